from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from synth_spark.progress import _tasks, track


def test_it_is_silent_when_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), description="counting", unit="numbers")) == [0, 1, 2]
    with track(5, description="counting", unit="numbers") as bar:
        bar.update(5)
    assert capsys.readouterr().err == ""


def test_a_terminal_sees_count_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with track(5, description="counting", unit="numbers") as bar:
        bar.update(5)
    shown = capsys.readouterr().err
    assert "counting" in shown and "5/5" in shown and "numbers/s" in shown


def test_stages_that_spark_skips_are_not_counted() -> None:
    stages = {
        1: SimpleNamespace(numTasks=4, numActiveTasks=0, numCompletedTasks=4),
        2: SimpleNamespace(numTasks=8, numActiveTasks=2, numCompletedTasks=3),
        3: SimpleNamespace(numTasks=90, numActiveTasks=0, numCompletedTasks=0),
        4: None,
    }
    tracker = SimpleNamespace(
        getJobIdsForGroup=lambda group: [1, 2],
        getJobInfo=lambda job: SimpleNamespace(stageIds=[1, 2, 3, 4]) if job == 1 else None,
        getStageInfo=stages.get,
    )
    assert _tasks(tracker, "group") == (7, 12)
