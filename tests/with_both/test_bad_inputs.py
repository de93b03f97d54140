"""Bad input ends in a correct run, or soon in an error that says what is wrong; what is published stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synth_spark.cli import main
from synth_spark.errors import ConfigError, SynthError
from synth_spark.workspace import Workspace
from tests.uncompiled import uncompiled
from tests.with_both.bad_inputs.artifacts import ARTIFACTS
from tests.with_both.bad_inputs.configs import CONFIGS
from tests.with_both.bad_inputs.entry import SECRET, BadInput, Bench
from tests.with_both.bad_inputs.files import FILES
from tests.with_both.bad_inputs.names import HOSTILE_NAMES
from tests.with_both.bad_inputs.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.timeout(300)]

CORPUS = [*CONFIGS, *TABLES, *HOSTILE_NAMES, *FILES, *ARTIFACTS]
SOON = 120.0  # seconds to an error on a busy machine; what begins work first takes longer
LONGEST = 1_200  # characters of a message


@pytest.fixture(scope="module")
def published(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace in which a run of one event is published."""
    from synth_spark import tables
    from synth_spark.columns import RUN_ID
    from synth_spark.publish.publications import Publication, append

    workspace = Workspace.at(tmp_path_factory.mktemp("published") / "workspace")
    with uncompiled(spark_session):  # hundreds of expressions on few rows
        rows = spark_session.createDataFrame([(1, 5, "before")], f"id bigint, at int, {RUN_ID} string")
        tables.replace_run(rows, workspace.published / "events", "before", expected_rows=1, properties={"a": "b"})
        publication = Publication("before", "fingerprint", "digest", 1, 1, "passed", False, figures={})
        append(spark_session, workspace.published / "runs", publication)
        yield workspace


@pytest.fixture
def bench(spark_session: SparkSession, published: Workspace, tmp_path: Path) -> Bench:
    return Bench(spark_session, tmp_path, published)


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time of change."""
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in found}


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry.name)
def test_bad_input(entry: BadInput, bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    before = _files(bench.workspace.published)
    if entry.error is None:
        entry.work(bench)
    else:
        started = time.monotonic()
        with pytest.raises(SynthError) as refused:
            entry.work(bench)
        assert time.monotonic() - started < SOON
        _check_error(refused.value, entry)
    assert SECRET not in "".join(capfd.readouterr())
    assert _files(bench.workspace.published) == before


def _check_error(error: SynthError, entry: BadInput) -> None:
    message = str(error)
    assert type(error) is entry.error
    missing = [word for word in entry.words if word not in message]
    assert not missing, f"{missing} not in: {message}"
    assert SECRET not in message and len(message) < LONGEST and "\n" not in message
    assert error.__context__ is None or error.__suppress_context__, "a log would show the error behind it"


def test_the_command_line_tells_it_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yml").write_text("name: !!python/name:os.getcwd ''")
    with pytest.raises(SystemExit) as ended:
        main(["run", str(tmp_path / "config.yml")])
    told = capfd.readouterr()
    assert ended.value.code == ConfigError.exit_code
    assert told.err.startswith("ConfigError: ") and told.err.count("\n") == 1 and not told.out


def test_what_is_published_is_read_as_before(bench: Bench) -> None:
    """After all of that: the last test of the module."""
    from synth_spark.publish.read import read_published

    assert [tuple(row) for row in read_published(bench.spark, bench.workspace.root, "events").collect()] == [(1, 5)]
