"""What a machine lacks is told in one line, whoever met it; other errors stay what they are."""

from __future__ import annotations

import errno
import os

import pytest
from typer.testing import CliRunner

from synth_spark import cli
from synth_spark.errors import TrainingError
from synth_spark.pipeline.shortages import shortage


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk: full"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "output.root: its disk"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/x"), None),
        (MemoryError(), "memory: a Python process"),
        (RuntimeError("Job aborted\n  numpy.core._exceptions._ArrayMemoryError: no"), "memory: a Python process"),
        (RuntimeError("Job aborted\nMemoryError: Unable to allocate 3 GiB"), "memory: a Python process"),
        (
            RuntimeError("x: Traceback\nImportError: libtorch.so: failed to map segment from shared object"),
            "memory: a Python process",
        ),
        (RuntimeError("rank 0: OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"), "memory: the GPU"),
        (RuntimeError("x: java.lang.OutOfMemoryError: Java heap space"), "memory: Spark's Java process"),
        (ValueError("a value of the source that says MemoryError"), None),
    ],
)
def test_a_shortage_is_recognised(error: Exception, told: str | None) -> None:
    found = shortage(error)
    assert found is None if told is None else str(found).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("java.io.IOException: No space left on device\n\tat java.io.FileOutputStream.write", "disk: full"),
        (
            "org.apache.spark.SparkException: ... java.io.FileNotFoundException: x (Read-only file system)",
            "output.root",
        ),
    ],
)
def test_what_the_jvm_met_is_recognised(text: str, told: str) -> None:
    assert told in str(shortage(RuntimeError(text)))


def test_what_it_came_from_counts_and_nothing_of_it_is_quoted() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device: Zzyzx")
        except OSError as first:
            raise RuntimeError("Zzyzx") from first
    except RuntimeError as error:
        assert "disk: full" in str(shortage(error)) and "Zzyzx" not in str(shortage(error))


RANK = "rank 0 of 1 failed first: SafetensorError: I/O error: No space left on device (os error 28)"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), TrainingError(RANK)], ids=repr)
def test_the_command_line_ends_with_its_code(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("synth_spark.pipeline.line.run_line", full)
    ended = CliRunner().invoke(cli.app, ["run", "conf/cdnow.yml"])
    assert ended.exit_code == 12 and "EnvironmentProblem: disk: full" in ended.output
