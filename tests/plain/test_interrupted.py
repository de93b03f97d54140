"""What is ended from outside says so where it is recorded, and ends with a code of its own."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import typer

from synth_spark.cli import main
from synth_spark.errors import Terminated, interruption, one_line
from synth_spark.pipeline import stages
from synth_spark.pipeline.ending import guarded
from synth_spark.pipeline.runs import runs_of
from synth_spark.pipeline.signals import ended_by_signals
from synth_spark.workspace import Workspace
from tests.unread import config_of

SECRET = "Zanzi" + "bar"  # in no line of code
GO_ON = "a run goes on with the stage that was at work"


class Store:
    """Stands for the tracking store: what would be tagged."""

    told: list[tuple[str, Any]]
    mlflow_run_id = None
    failures: tuple[str, ...] = ()

    def __init__(self, *_: Any, **__: Any) -> None:
        Store.told = []

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def tags(self, values: dict[str, str]) -> None:
        self.told.append(("run", values))

    def stage_ended(self, numbers: Any, words: dict[str, str], *, well: bool) -> None:
        self.told.append(("stage", {**words, "well": well}))

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _terminate(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _stop_while_clearing_up(*_: Any) -> None:
    try:
        _terminate()
    finally:
        raise ConnectionRefusedError("Spark's JVM got the signal, too")


@pytest.mark.parametrize(
    ("work", "code", "told"),
    [
        (_interrupt, 130, f"KeyboardInterrupt: interrupted (SIGINT); {GO_ON}"),
        (_terminate, 143, f"Terminated: told to end (SIGTERM); {GO_ON}"),
        (_stop_while_clearing_up, 143, f"Terminated: told to end (SIGTERM); {GO_ON}"),
    ],
)
def test_a_stage_that_is_ended_from_outside_says_so_everywhere(
    work: Any, code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("synth_spark.tracking.Tracker", Store)
    monkeypatch.setitem(stages._CALLS, "encode", work)
    config = config_of(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main(["encode", str(config)])
    assert ended.value.code == code and told in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
    assert ("stage", {"ended": told, "well": False}) in Store.told and ("run", {"ended": told}) in Store.told
    workspace = Workspace.at(tmp_path / "workspace")
    (state,) = runs_of(workspace, "t")
    assert state.stages["encode"].status == "failed"
    log = workspace.run(state.run_id).log.read_text(encoding="utf-8")
    messages = {line["stage"]: line["message"] for line in map(json.loads, log.splitlines())}
    assert messages == {"encode": f"failed: {told}", "line": f"ended by {told}"}


def _unforeseen(*_: Any) -> None:
    raise RuntimeError(SECRET) from ValueError(SECRET)


def test_what_an_unforeseen_error_says_is_left_out_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors of Spark or pyarrow quote values of the data."""
    config = config_of(tmp_path)
    monkeypatch.setattr("synth_spark.tracking.Tracker", Store)
    monkeypatch.setitem(stages._CALLS, "encode", _unforeseen)
    with pytest.raises(SystemExit) as ended:
        main(["encode", str(config)])
    seen = capsys.readouterr()
    assert ended.value.code == 1 and "RuntimeError" in seen.err and "_unforeseen" in seen.err and "--debug" in seen.err
    workspace = Workspace.at(tmp_path / "workspace")
    (state,) = runs_of(workspace, "t")
    log = workspace.run(state.run_id).log.read_text(encoding="utf-8")
    assert "_unforeseen" in log
    record = (workspace.run(state.run_id).folder / "run.json").read_text(encoding="utf-8")
    assert not [text for text in (seen.out, seen.err, log, record, str(Store.told)) if SECRET in text]
    with pytest.raises(RuntimeError, match=SECRET):
        main(["encode", str(config), "--debug"])


@pytest.mark.parametrize("end", [typer.Abort(), typer.Exit(3), typer.BadParameter("--yes"), SystemExit(4)], ids=repr)
def test_what_a_user_answers_is_no_error(end: BaseException) -> None:
    """Who interrupts a question, or is refused by an option, sees what typer says."""

    def answered() -> None:
        raise end

    with pytest.raises(type(end)):
        guarded(answered, debug=False)


def test_who_listens_already_goes_on_to() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with ended_by_signals():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_other_errors_are_no_interruption() -> None:
    assert interruption(ValueError("x")) is None and one_line(ValueError("x")).startswith("ValueError: unforeseen")
    assert interruption(SystemExit(3)) is None
    assert interruption(Terminated()) == (143, f"Terminated: told to end (SIGTERM); {GO_ON}")
