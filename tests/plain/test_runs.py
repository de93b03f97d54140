"""Runs: names, records, locks, and what a run may go on with."""

from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from synth_spark.codebook import SourceColumn, SourceTable
from synth_spark.config import Config, dump_config, parse_config
from synth_spark.errors import ContractError
from synth_spark.pipeline import line, runs, stages
from synth_spark.pipeline.line import _choose
from synth_spark.pipeline.live import LiveMetrics
from synth_spark.pipeline.lock import run_lock
from synth_spark.pipeline.memory import PeakMemory
from synth_spark.pipeline.stages import _run_for, check_settings, run_stage
from synth_spark.pipeline.tracked import flat_settings, kept_config
from synth_spark.tracking import _clean, told
from synth_spark.workspace import Workspace
from tests import toy

EVENTS = {"path": "events", "key": "id", "order_by": "at", "options": {"user": "hunter2"}}


def _config(**sections: Any) -> Config:
    return parse_config({"name": "shop", "source": {"events": [EVENTS]}, **sections}, origin="test")


def _done(workspace: Workspace, state: runs.RunState, *stages: str) -> None:
    for stage in stages:
        state.begin(stage)
        state.stages[stage].status = runs.DONE
    runs.save_state(workspace.run(state.run_id), state)


def test_a_record_comes_back_as_it_was(workspace: Workspace) -> None:
    paths, state = runs.create_run(workspace, _config())
    _done(workspace, state, "encode")
    state.begin("train")
    runs.save_state(paths, state)
    found = runs.load_state(paths)
    assert found == state and found.next_stage == "train"
    assert runs.newest_run(workspace, "shop").run_id == state.run_id


def test_a_stage_done_again_takes_back_what_came_after(workspace: Workspace) -> None:
    _, state = runs.create_run(workspace, _config())
    _done(workspace, state, *runs.STAGES)
    assert state.next_stage is None
    state.begin("sample")
    assert list(state.stages) == ["encode", "train", "sample"] and state.next_stage == "sample"


def test_a_sample_after_a_decode_that_failed_is_of_the_same_run(workspace: Workspace) -> None:
    paths, state = runs.create_run(workspace, _config())
    _done(workspace, state, "encode", "train", "sample")
    state.begin("decode")
    runs.save_state(paths, state)
    assert _run_for("sample", _config(), workspace, state.run_id).run_id == state.run_id


def test_what_a_generation_inherits_is_not_its_own(workspace: Workspace) -> None:
    _, state = runs.create_run(workspace, _config())
    _done(workspace, state, "encode", "train", "sample")
    state.stages["train"].started = "2026-01-01T00:00:00+00:00"
    assert list(state.own_stages) == ["encode", "train", "sample"], "its own, whatever the clock of the machine said"
    state.parent = "another"
    assert list(state.own_stages) == ["sample"]


def test_a_generation_that_was_broken_off_is_not_gone_on_with(workspace: Workspace) -> None:
    whole, _ = runs.create_run(workspace, _config())
    _, torn = runs.create_run(workspace, _config(), parent=whole.run_id)
    assert torn.is_half_made and not runs.load_state(whole).is_half_made
    paths, _, reason = _choose(_config(), workspace, None, fresh=False)
    assert paths.run_id == whole.run_id and reason.startswith("unfinished, goes on with encode")
    assert runs.find_run(workspace, _config().name, None).run_id == whole.run_id
    with pytest.raises(ContractError, match="was broken off; remove it"):
        runs.check_usable(torn)


def test_a_refused_number_of_subjects_leaves_the_run_as_it_was(workspace: Workspace, tmp_path: Path) -> None:
    config = _config(output={"root": str(workspace.root)})
    file = tmp_path / "config.yml"
    file.write_text(dump_config(config), encoding="utf-8")
    paths, _ = runs.create_run(workspace, config)
    with pytest.raises(ContractError, match="has no finished encode stage"):
        run_stage("sample", file, subjects=50)
    assert runs.load_state(paths).subjects is None


def test_more_subjects_than_keys_are_refused_before_training(workspace: Workspace) -> None:
    paths = workspace.run("narrow")
    paths.folder.mkdir(parents=True)
    narrow = SourceTable((SourceColumn("id", "tinyint"),), "id", None)
    replace(toy.codebook(), events=narrow, num_subjects={"training": 60, "validation": 5}).save(paths.codebook)
    with pytest.raises(ContractError, match="key of type tinyint: it has room for 64 synthetic subjects, not for 65"):
        stages._check_keys(_config(), paths, None)
    stages._check_keys(_config(), paths, 64)


@pytest.mark.parametrize("run_id", ["../away", "a/b", ".hidden", "a b", "~", "a\nb"])
def test_a_run_id_is_a_plain_name(workspace: Workspace, run_id: str) -> None:
    with pytest.raises(ContractError, match="run id"):
        runs.create_run(workspace, _config(), run_id)
    with pytest.raises(ContractError, match="run id"):
        runs.find_run(workspace, "made", run_id)


def test_a_damaged_record_is_named_and_hides_no_other(workspace: Workspace) -> None:
    paths, _ = runs.create_run(workspace, _config(), "one")
    runs.create_run(workspace, _config(), "two")
    paths.state.write_text("{", encoding="utf-8")
    with pytest.raises(ContractError, match="damaged"):
        runs.load_state(paths)
    assert [state.run_id for state in runs.runs_of(workspace, "shop")] == ["two"]


def test_which_run_goes_on(workspace: Workspace) -> None:
    config = _config()
    _, first, reason = _choose(config, workspace, None, False)
    assert reason == "new"
    _done(workspace, first, "encode")
    _, same, reason = _choose(config, workspace, None, False)
    assert same.run_id == first.run_id and "goes on with train" in reason
    _, other, reason = _choose(_config(seed=2), workspace, None, False)
    assert other.run_id != first.run_id and "other settings" in reason
    _, fresh, _ = _choose(config, workspace, None, True)
    assert fresh.run_id not in (first.run_id, other.run_id)


def test_later_settings_may_change_earlier_ones_may_not(workspace: Workspace) -> None:
    paths, _ = runs.create_run(workspace, _config())
    check_settings(_config(qa={"seed": 7}), paths, "qa")
    with pytest.raises(ContractError, match="train"):
        check_settings(_config(train={"width": 32}), paths, "sample")


def test_two_processes_cannot_work_on_one_run(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from synth_spark.pipeline.lock import run_lock\n"
        "with run_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(ContractError, match=f"process {holder.pid} on"), run_lock(tmp_path):
        pass
    holder.kill()  # -9: the lock of a dead process is nobody's
    holder.communicate()
    with run_lock(tmp_path):
        pass


def test_storage_that_lets_no_file_be_rewritten_gives_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "as the storage says")

    monkeypatch.setattr("synth_spark.pipeline.lock.FileIO", refuse)
    with caplog.at_level("WARNING"), run_lock(tmp_path):
        pass
    assert "knows no locks" in caplog.text
    monkeypatch.setattr("synth_spark.pipeline.lock.FileIO", lambda *arguments: (_ for _ in ()).throw(PermissionError()))
    with pytest.raises(PermissionError), run_lock(tmp_path):
        pass


class _Tracker:
    def __init__(self) -> None:
        self.steps: list[int] = []

    def steps_of(self, metric: str) -> set[int]:
        return {1}

    def metrics(self, values: dict[str, Any], *, step: int) -> None:
        assert "epoch" not in values
        self.steps.append(step)


def _epochs(*epochs: int) -> str:
    return "".join(json.dumps({"epoch": epoch, "train.loss": 1.0}) + "\n" for epoch in epochs)


def test_each_epoch_is_told_once(tmp_path: Path) -> None:
    file, tracker = tmp_path / "metrics.jsonl", _Tracker()
    file.write_text(_epochs(1, 2), encoding="utf-8")
    with LiveMetrics(file, tracker, poll_seconds=0.01):  # type: ignore[arg-type]
        file.write_text(_epochs(1, 2, 2, 3) + '{"epoch": 4, "trai', encoding="utf-8")
    assert tracker.steps == [2, 3], "a training that goes on: the store has the first"


def test_a_training_from_the_start_is_told_again(tmp_path: Path) -> None:
    file, tracker = tmp_path / "metrics.jsonl", _Tracker()
    with LiveMetrics(file, tracker, poll_seconds=0.01):  # type: ignore[arg-type]
        file.write_text(_epochs(1, 2), encoding="utf-8")
    assert tracker.steps == [1, 2], "the store's first epoch is another training's"


def test_memory_of_children_counts() -> None:
    with PeakMemory(interval_seconds=0.05) as alone:
        pass
    script = "import time; block = bytearray(300_000_000); time.sleep(1)"
    with PeakMemory(interval_seconds=0.05) as memory:
        subprocess.run([sys.executable, "-c", script], check=True)
    assert memory.peak_bytes > alone.peak_bytes + 250_000_000


def test_settings_are_told_without_credentials() -> None:
    flat = flat_settings(_config())
    assert flat["train.width"] == "128" and flat["source.events.0.key"] == "id"
    assert "hunter2" not in json.dumps(flat)
    kept = kept_config(_config())
    assert "hunter2" not in kept and "width: 128" in kept and "options:" in kept


@pytest.mark.parametrize(
    "place", [{"table": "main.shop.sales"}, {"jdbc": {"url": "jdbc:postgresql://host/db", "table": "sales"}}], ids=list
)
def test_a_run_reads_the_settings_that_it_wrote(place: dict[str, Any]) -> None:
    config = parse_config({"name": "x", "source": {"events": [{**place, "key": "id", "order_by": "at"}]}}, origin="x")
    assert parse_config(yaml.safe_load(dump_config(config)), origin="x") == config


def test_a_second_line_of_a_process_did_not_begin_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_lines", itertools.count())
    first, second = line._command_began(), line._command_began()
    assert first == psutil.Process().create_time() and first < second <= time.time()


def test_costs_that_cannot_be_recorded_end_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(run: object) -> None:
        raise PermissionError("a table that quotes C17")

    monkeypatch.setattr(stages, "_append_costs", refuse)
    with caplog.at_level("WARNING"):
        stages._record_costs(None)  # type: ignore[arg-type]
    assert "the table stages has no rows of this run: PermissionError" in caplog.text
    assert "C17" not in caplog.text


def test_settings_leave_a_run_without_the_values_in_their_sql() -> None:
    events = {"path": "x", "format": "csv", "key": "id", "order_by": "at", "where": "id <> 'C17'"}
    events["select"] = {"id": "id", "at": "at", "big": "x > 123456"}
    config = Config.model_validate({"name": "x", "source": {"events": [events]}})
    for text in (json.dumps(flat_settings(config)), kept_config(config)):
        assert "C17" not in text and "123456" not in text
        assert "id <> ..." in text and "x > ..." in text
    query = {"url": "jdbc:derby:shop", "table": "(SELECT * FROM orders WHERE id <> 'C17') o"}
    config = Config.model_validate(
        {"name": "x", "source": {"events": [{"jdbc": query, "key": "id", "order_by": "at"}]}}
    )
    for text in (json.dumps(flat_settings(config)), kept_config(config)):
        assert "C17" not in text and "WHERE id <> ..." in text


def test_columns_may_be_called_as_settings_of_sql_are() -> None:
    columns = {name: {"family": "category"} for name in ("where", "select", "table")}
    events = {"path": "x", "key": "id", "order_by": "at", "columns": columns}
    config = parse_config({"name": "x", "source": {"events": [events]}}, origin="x")
    assert json.loads(flat_settings(config)["source.events.0.columns"])["where"]["family"] == "category"
    assert "family: category" in kept_config(config)


def test_addresses_are_told_without_who_logs_in() -> None:
    assert told("postgresql://user:p%40w@host:5432/db") == "postgresql://...@host:5432/db"
    assert told("asked https://me:pw@host/api: no answer, a@b") == "asked https://...@host/api: no answer, a@b"
    assert told("sqlite:////tmp/a b/mlflow.db") == "sqlite:////tmp/a b/mlflow.db"


def test_names_that_mlflow_does_not_take_stay_unlike() -> None:
    assert _clean("bits.events.amount.value") == "bits.events.amount.value"
    names = [
        _clean(name)
        for name in ("price (\u20ac)", "price ($)", "km//h", "a/./b", *(f"{'x' * 300}.{end}" for end in "ab"))
    ]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 250 and "/" not in name for name in names)


def test_a_run_is_not_taken_over_by_a_config_of_another_name(workspace: Workspace) -> None:
    paths, _ = runs.create_run(workspace, _config())
    other = _config().model_copy(update={"name": "other"})
    with pytest.raises(ContractError, match="config's name is other"):
        _run_for("encode", other, workspace, paths.run_id)
