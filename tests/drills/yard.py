"""Where faults are made on purpose: a small made source, a workspace with one publication, and whole command lines."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml

from synth_spark.columns import EVENTS_TABLE, SUBJECTS_TABLE
from synth_spark.errors import SynthError
from synth_spark.pipeline.runs import DONE, STARTED, RunState, newest_run
from synth_spark.workspace import RunPaths, Workspace
from tests.end_to_end import made
from tests.gates import OPEN_GATE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]
NAME = "made"
PEOPLE = 12_000  # enough for two files of validation subjects, so for two ranks
PATIENCE = 900.0  # seconds that any command may take
QUICK = {"width": 16, "hidden": 8, "threads": 1, "max_epochs": 3, "calibration_rounds": 0}


@dataclass
class Yard:
    """The folder of the drills and what they do there."""

    folder: Path
    spark: SparkSession = field(repr=False)
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)  # of commands

    @property
    def workspace(self) -> Workspace:
        return Workspace.at(self.folder / "workspace")

    @property
    def newest(self) -> RunState:
        return newest_run(self.workspace, NAME)

    @property
    def paths(self) -> RunPaths:
        """Of the newest run."""
        return self.workspace.run(self.newest.run_id)

    def config(self, **sections: Any) -> Path:
        """A config of the made source, with changes of its sections."""
        document: dict[str, Any] = yaml.safe_load((self.folder / "made.yml").read_text(encoding="utf-8"))
        for section, changes in sections.items():
            document[section] = {**document.get(section, {}), **changes}
        path = self.folder / f"{'-'.join(sorted(sections)) or 'same'}.yml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    @contextmanager
    def started(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """A command that runs; whatever is left of it and of its children is killed at the end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "synth_spark.cli", *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def call(self, *arguments: str | Path, code: int = 0) -> str:
        """What a command says that is expected to end with a code."""
        with self.started(*arguments) as process:
            told, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, f"{arguments} ended with {process.returncode}, not {code}:\n{told[-4000:]}"
        return told

    def published(self) -> list[Any]:
        """Rows and content of what readers of the published tables see."""
        from synth_spark import read_published
        from synth_spark.source.digest import content_digest

        seen = [read_published(self.spark, self.workspace.root, name) for name in (SUBJECTS_TABLE, EVENTS_TABLE)]
        return [(rows.count(), content_digest(rows)) for rows in seen]

    def kill_in(self, stage: str, *arguments: str | Path, after: float = 0.5) -> RunState:
        """Start a line and kill it with all its children some seconds after a stage has begun."""
        before = {state.run_id for state in self.runs()}
        with self.started(*arguments) as process:
            wait_for(lambda: self._began(stage, before), process)
            time.sleep(after)
            os.killpg(process.pid, signal.SIGKILL)
        return self.newest

    def runs(self) -> list[RunState]:
        """All runs, oldest first."""
        from synth_spark.pipeline.runs import runs_of

        return runs_of(self.workspace, NAME)

    def leftovers(self) -> str:
        """What `clean` would remove, as it tells it."""
        told = self.call("clean", self.config(), "--dry-run")
        return "\n".join(line for line in told.splitlines() if line.startswith("would remove"))

    def _began(self, stage: str, before: set[str]) -> bool:
        new = [state for state in self.runs() if state.run_id not in before]
        record = new[-1].stages.get(stage) if new else None
        return record is not None and record.status in (STARTED, DONE)


@dataclass(frozen=True)
class Outcome:
    """A row of the table."""

    fault: str
    where: str
    seen: str
    remained: str


class Impossible(Exception):
    """This machine does not let the fault be made; the table keeps what another one showed."""


def said(told: str) -> str:
    """What a command's output names as its error; what Spark wrote before may lie on the same line."""
    ours = "|".join(kind.__name__ for kind in SynthError.__subclasses__())
    found = re.search(rf"({ours}): .*", told)
    assert found is not None, told[-4000:]
    return found[0]


def wait_for(happened: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:
    """Ask until the answer is true, and return it; the process must live meanwhile."""
    limit = time.monotonic() + PATIENCE
    while not (answer := happened()):
        assert process is None or process.poll() is None, "the command ended before it happened"
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.05)
    return answer


def descendants(process: subprocess.Popen[str], wanted: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Running children, children's children and so on that are wanted."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if wanted(child):
                found.append(child)
        except psutil.Error:  # it ended meanwhile
            continue
    return found


def make_yard(folder: Path, spark: SparkSession) -> Yard:
    """A yard with one run published."""
    made.write_source(folder / "source", num_subjects=PEOPLE)
    made.write_config(folder, train=QUICK, qa={"gate": OPEN_GATE, "max_evaluations": 1000})
    yard = Yard(folder, spark)
    yard.call("run", yard.config())
    return yard
