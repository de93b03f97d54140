"""Commands that the documents show: what needs neither a network nor a minute is run as it stands there.

The others are checked against the command line, the Makefile and the bundle by tests/plain/test_documents.py.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.csv
import pyarrow.parquet
import pytest

from synth_spark.cli import main
from synth_spark.pipeline.runs import runs_of
from tests.plain.test_documents import DOCUMENTS, REFERENCE, ROOT, commands_of

if TYPE_CHECKING:
    from conftest import MadeLine
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
# in the order in which they are run: plan reads what init wrote
RUN = (
    "--help",
    "doctor",
    "init",
    "plan",
    "runs list",
    "runs show",
    "runs diff",
    "report",
    "explain",
    "export",
    "erase",
    "clean",
)
NOT_RUN = {
    "run": "takes minutes; the fixture has walked the line",
    "encode": "begins a run",
    "train": "takes minutes",
    "sample": "makes a run that other tests would take for theirs; test_line draws from a model",
    "decode": "a stage of a run",
    "qa": "takes a minute, and looks at the holdout",
    "publish": "changes what is published",
    "runs delete": "asks a person",
}
PLACEHOLDERS = {
    "CONFIG": ["conf/cdnow.yml"],
    "TABLE...": ["data/customers", "data/visits.csv"],
    "TARGET": ["cdnow.duckdb"],
    "KEYS-FILE": ["keys.txt"],
}


def shown() -> set[tuple[str, ...]]:
    """Every command of synth-spark that some document shows with its arguments, placeholders filled in."""
    documents = [path for path in DOCUMENTS if path != REFERENCE]
    found = [words for document in documents for words in commands_of(document, "synth-spark")]
    filled = {tuple(part for word in words for part in PLACEHOLDERS.get(word, [word])) for words in found}
    given = {words for words in filled if words[len(name_of(words).split()) :] or words[0] in ("--help", "doctor")}
    # whatever the documents clean, nothing is taken away here that other tests look at
    return {(*words, "--dry-run") if words[0] == "clean" and "--dry-run" not in words else words for words in given}


def name_of(words: tuple[str, ...]) -> str:
    return " ".join(words[:2] if words[0] == "runs" else words[:1])


RUNNABLE = sorted(
    (words for words in shown() if name_of(words) in RUN), key=lambda words: (RUN.index(name_of(words)), words)
)


def test_every_command_is_run_or_somebody_said_why_not() -> None:
    names = {name_of(words) for words in shown()}
    assert names <= {*RUN, *NOT_RUN}
    assert set(RUN) <= names | {"runs show", "runs diff"}, "nothing shows them any more"


@pytest.fixture(scope="module")
def desk(made_line: MadeLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the documents' paths lead to the made source and to the line that was walked on it."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("conf", "data/customers"):
        (folder / name).mkdir(parents=True)
    shutil.copy(made_line.config, folder / "conf/cdnow.yml")
    shutil.copy(made_line.folder / "source/subjects.parquet", folder / "data/customers")
    events = pyarrow.parquet.read_table(made_line.folder / "source/events.parquet")
    pyarrow.csv.write_csv(events, folder / "data/visits.csv")
    (folder / "keys.txt").write_text(f"{events['customer id'][0]}\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("words", RUNNABLE, ids=" ".join)
def test_a_command_of_the_documents_works(
    words: tuple[str, ...],
    desk: Path,
    made_line: MadeLine,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = runs_of(made_line.workspace, "made")[0].run_id
    model = str(made_line.workspace.run(first).checkpoint / "model")
    monkeypatch.chdir(desk)
    if name_of(words) in ("init", "plan", "export", "erase", "clean"):
        spark: SparkSession = request.getfixturevalue("spark")
        monkeypatch.setattr("synth_spark.session.get_spark", lambda **_: spark)
    main([{"RUN": first, "MODEL": model}.get(word, word) for word in words])
    assert capsys.readouterr().out.strip()


def test_the_options_of_mlflow_are_its_own() -> None:
    import mlflow.cli

    for words in (words for document in DOCUMENTS for words in commands_of(document, "mlflow")):
        command: Any = mlflow.cli.cli
        while words and words[0] in getattr(command, "commands", {}):
            command, words = command.commands[words[0]], words[1:]
        assert not hasattr(command, "commands"), words
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word.split("=")[0] for word in words if word.startswith("-")} <= known, words


def test_make_site_writes_the_site() -> None:
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("these tests do not run in the environment that make setup makes")
    done = subprocess.run(["make", "site"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and (ROOT / "build/site/index.html").is_file(), done.stdout + done.stderr
