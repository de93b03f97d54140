"""One line run on a small made source, in a process of its own, that all end-to-end tests look at."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from synth_spark.workspace import Workspace
from tests.end_to_end import made
from tests.gates import OPEN_GATE

ROOT = Path(__file__).parents[2]
SECRETS: dict[str, Any] = {
    "region": "Zzyzx-Quuxville-7719",
    "score": 417.8326147,
    "amount": Decimal("8364172.59"),
    "key": 738_204_915_626_073,
}
TINY_MODEL = {"width": 16, "hidden": 8, "threads": 1, "max_epochs": 2, "calibration_rounds": 0}
EASY_GATE = {"gate": OPEN_GATE}
LOOK_AT_MADE_LINE = (
    "test_commands_of_documents",
    "test_line",
    "test_no_leaks",
    "test_tracking",
    "test_notebooks_on_a_line",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Of files dealt to processes those that look at `made_line` go to one of them: it takes minutes to make."""
    from xdist.scheduler import LoadScopeScheduling

    class ByLine(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "made_line" if Path(file).stem in LOOK_AT_MADE_LINE else file

    return ByLine(config, log)


@dataclass
class MadeLine:
    """A made source with its workspace, and the command line to work on it."""

    folder: Path
    config: Path
    outputs: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return Workspace.at(self.folder / "workspace")

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "synth_spark.cli", *map(str, arguments)]

    def environment(self, temporary: Path | None = None) -> dict[str, str]:
        """All temporary files of Python and the JVM go to one folder, which can be searched."""
        temporary = temporary or self.folder / "tmp-other"
        temporary.mkdir(exist_ok=True)
        java = f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} -Djava.io.tmpdir={temporary}"
        own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "JAVA_TOOL_OPTIONS": java}
        return {**{key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}, **own}

    def call(
        self, *arguments: str | Path, temporary: Path | None = None, before: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run synth-spark to its end."""
        return subprocess.run(
            [*before, *self.command(*arguments)],
            capture_output=True,
            text=True,
            timeout=600,
            cwd=self.folder,
            env=self.environment(temporary),
        )

    def write_config(self, name: str, **sections: Any) -> Path:
        """The same data set with other settings in some sections."""
        document = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        path = self.folder / f"{name}.yml"
        path.write_text(yaml.safe_dump({**document, **sections}), encoding="utf-8")
        return path


def _made(folder: Path) -> MadeLine:
    made.write_source(folder / "source", secrets=SECRETS)
    return MadeLine(folder, made.write_config(folder, train=TINY_MODEL, qa=EASY_GATE))


@pytest.fixture
def made_source(tmp_path: Path) -> MadeLine:
    """The made source, before anything has run on it."""
    return _made(tmp_path)


@pytest.fixture(scope="session")
def made_line(tmp_path_factory: pytest.TempPathFactory) -> MadeLine:
    """The made source after `synth-spark run` has ended well on it."""
    line = _made(tmp_path_factory.mktemp("made"))
    done = line.call("run", line.config, temporary=line.temporary)
    assert done.returncode == 0, done.stdout + done.stderr
    line.outputs.append(done.stdout)
    (line.workspace.root / "output.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return line


@pytest.fixture(scope="session")
def planted() -> dict[str, Any]:
    """What was planted in the made source: one category, two numbers, one key, each of one subject only."""
    return SECRETS
