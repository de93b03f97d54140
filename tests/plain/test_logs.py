from __future__ import annotations

import errno
import json
import logging
from io import TextIOWrapper
from pathlib import Path

import pytest

from synth_spark.errors import ContractError
from synth_spark.logs import configure, stage_logger


def _lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_each_line_has_run_id_and_stage(tmp_path: Path) -> None:
    file = tmp_path / "run" / "log.jsonl"
    with configure("r1", file):
        stage_logger("encode").info("fitted %d fields", 3, extra={"fields": 3, "place": Path("x")})
        stage_logger("train").debug("not kept")
    (line,) = _lines(file)
    assert line.pop("time")
    assert line == {
        "level": "INFO", "run_id": "r1", "stage": "encode", "message": "fitted 3 fields", "fields": 3, "place": "x",
    }  # fmt: skip


def test_a_line_of_no_stage_belongs_to_the_whole_line(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    with configure("r1", file, console=False):
        logging.getLogger("synth_spark.tracking").warning("the store is away")
    assert [(line["run_id"], line["stage"]) for line in _lines(file)] == [("r1", "line")]


def test_lines_are_appended_and_tracebacks_kept_without_values(tmp_path: Path) -> None:
    file, secret = tmp_path / "log.jsonl", "Zanzibar".upper()
    for number in range(2):
        with configure("r1", file, console=False):
            try:
                raise KeyError(secret) from ContractError(f"attempt {number}")
            except KeyError:
                stage_logger("qa").exception("failed")
    told = [str(line["traceback"]) for line in _lines(file)]
    assert all("KeyError" in one and "test_logs.py" in one for one in told)
    assert ["attempt 0" in one for one in told] == [True, False] and "attempt 1" in told[1], "ours say no values"
    assert secret not in file.read_text(encoding="utf-8")


def test_storage_that_does_not_append_keeps_all_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "log.jsonl"
    with configure("r1", file):
        stage_logger("encode").info("first")

    def refuse(handler: logging.FileHandler) -> None:
        raise OSError(errno.EOPNOTSUPP, "as the storage says")

    monkeypatch.setattr(logging.FileHandler, "_open", refuse)
    with configure("r1", file):
        stage_logger("train").info("second")
    assert [line["message"] for line in _lines(file)] == ["first", "second"]


def test_storage_that_opens_for_appending_and_then_refuses_keeps_all_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(TextIOWrapper):
        def flush(self) -> None:
            raise OSError(errno.ESPIPE, "as the storage says")

        def close(self) -> None:
            self.buffer.raw.close()  # type: ignore[attr-defined]  # what was not written is gone

    file = tmp_path / "log.jsonl"
    with configure("r1", file):
        stage_logger("encode").info("first")
    monkeypatch.setattr(logging.FileHandler, "_open", lambda handler: Refusing(file.open("ab")))
    with configure("r1", file):
        stage_logger("train").info("second")
        stage_logger("train").info("third")
    assert [line["message"] for line in _lines(file)] == ["first", "second", "third"]


def test_a_log_that_cannot_be_closed_does_not_end_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handler: logging.FileHandler) -> None:
        raise OSError(errno.EOPNOTSUPP, "as the storage says")

    monkeypatch.setattr(logging.FileHandler, "close", refuse)
    with configure("r1", tmp_path / "log.jsonl"):
        stage_logger("train").info("work")


def test_what_cannot_be_told_ends_no_work_and_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    file = tmp_path / "log.jsonl"
    with configure("r1", file, console=False):
        stage_logger("train").info("first")
        stage_logger("train").info("%d", "no number")
        stage_logger("train").info("\ud800 of half a letter")

        def full(handler: logging.FileHandler, *arguments: object) -> None:
            raise OSError(errno.ENOSPC, "the disk is full")

        with monkeypatch.context() as disk:
            disk.setattr("synth_spark.logs.LogFile._write", full)
            stage_logger("train").info("lost")
        stage_logger("train").info("last")
    assert [line["message"] for line in _lines(file)] == ["first", "last"]


def test_extra_cannot_overwrite_what_every_line_has(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    with configure("r1", file):
        stage_logger("qa").info("x", extra={"run_id": "other", "stage": "other", "level": "other"})
    assert [_lines(file)[0][key] for key in ("run_id", "stage", "level")] == ["r1", "qa", "INFO"]


def test_only_warnings_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with configure("r1", tmp_path / "log.jsonl"):
        stage_logger("qa").info("quiet")
        stage_logger("qa").warning("loud")
    assert capsys.readouterr().err == "WARNING: loud\n"


def test_it_leaves_logging_as_it_was(tmp_path: Path) -> None:
    logger = logging.getLogger("synth_spark")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with pytest.raises(RuntimeError), configure("r1", tmp_path / "log.jsonl"):
        raise RuntimeError
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
