"""What a workspace holds, and what the commands that only look say of it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from synth_spark.cli import app
from synth_spark.config import load_config
from synth_spark.errors import ContractError
from synth_spark.manifest import Manifest
from synth_spark.pipeline import runs
from synth_spark.pipeline.inventory import (
    bytes_of,
    leftovers,
    nobodys_run,
    readers_of,
    shown_run,
    told_bytes,
    unreadable_runs,
)
from synth_spark.pipeline.lock import is_held, run_lock
from synth_spark.workspace import RunPaths, Workspace

FIGURES: dict[str, dict[str, Any]] = {
    "encode": {"subjects.training": 1200, "events.training": 9000, "source.events_delta_version": 4},
    "sample": {"subjects": 1500, "events": 12345},
    "qa": {"gate": "passed", "qa.evaluations": 1, "accuracy.overall": 0.97, "accuracy.overall.ceiling": 0.98},
    "publish": {"publication": 1, "gate": "passed"},
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace")


@pytest.fixture
def config(tmp_path: Path, workspace: Workspace) -> Path:
    return _config_file(tmp_path / "shop.yml", workspace)


def _config_file(path: Path, workspace: Workspace, **sections: Any) -> Path:
    events = {"path": "events", "key": "id", "order_by": "at", "options": {"user": "hunter2"}}
    document = {"name": "shop", "source": {"events": [events]}, "output": {"root": str(workspace.root)}, **sections}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def _made(config: Path, run_id: str, *, until: str = "publish", **changed: Any) -> RunPaths:
    """A run whose stages are done up to one."""
    settings = load_config(config)
    paths, state = runs.create_run(Workspace.at(settings.output.root), settings, run_id)
    for stage in runs.STAGES[: runs.STAGES.index(until) + 1]:
        state.begin(stage)
        record = state.stages[stage]
        record.status, record.seconds, record.figures = runs.DONE, 12.5, dict(FIGURES.get(stage, {}))
    for name, value in changed.items():
        setattr(state, name, value)
    runs.save_state(paths, state)
    Manifest(str(paths.sequences), 0, "fingerprint", "schema", {"events": f"digest of {run_id}"}, ()).save(
        paths.manifest
    )
    return paths


def _told(*arguments: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == code, done.output
    return done.output


def test_a_list_has_one_line_per_run_the_newest_last(config: Path, workspace: Workspace) -> None:
    assert "no run yet" in _told("runs", "list", config)
    _made(config, "first")
    paths = _made(config, "second", until="qa", parent="first")
    state = runs.load_state(paths)
    state.begin("publish")
    state.stages["publish"] = runs.StageRecord(runs.FAILED, runs.utc_now(), 1.0, {}, "GateFailed")
    runs.save_state(paths, state)
    _made(config, "third", publication=2)
    lines = _told("runs", "list", config).splitlines()
    assert [line.split()[0] for line in lines] == ["run", "first", "second", "third"]
    assert "publish done" in lines[1] and "1,500" in lines[1] and "12,345" in lines[1] and "shown" not in lines[1]
    assert "publish failed" in lines[2] and lines[2].endswith("first")
    assert "2, shown" in lines[3] and "passed" in lines[3]
    ends = {line.index(number) + len(number) for line, number in zip(lines, ("events", *["12,345"] * 3), strict=True)}
    assert len(ends) == 1  # numbers stand below one another


def test_a_list_tells_work_from_work_broken_off(config: Path) -> None:
    paths = _made(config, "one", until="encode")
    state = runs.load_state(paths)
    state.begin("train")
    runs.save_state(paths, state)
    assert "train broken off" in _told("runs", "list", config)
    with run_lock(paths.folder):
        assert "train running" in _told("runs", "list", config)


def test_a_list_names_folders_that_no_command_can_use(config: Path, workspace: Workspace) -> None:
    _made(config, "good")
    _made(config, "bad").state.write_text("{", encoding="utf-8")
    (workspace.runs / "empty").mkdir()
    assert [paths.run_id for paths in unreadable_runs(workspace)] == ["bad", "empty"]
    told = _told("runs", "list", config)
    assert "bad: a damaged run.json" in told and "empty: no run.json, 0 B" in told


def test_the_shown_run_is_told_only_where_it_is_certain(config: Path, workspace: Workspace) -> None:
    assert shown_run([]) is None
    _made(config, "old")
    _made(config, "again", until="qa", publication=3, publish_begun=True)  # judged anew after it was published
    assert shown_run(runs.runs_of(workspace)) == "again"
    killed = _made(config, "killed", until="qa")
    state = runs.load_state(killed)
    state.begin("publish")
    runs.save_state(killed, state)
    assert shown_run(runs.runs_of(workspace)) is None
    header, *lines = _told("runs", "list", config).splitlines()
    place = header.index("publication")
    assert [line[place:].split()[0] for line in lines] == ["1", "3", "?"]
    assert "not known" in _told("runs", "show", config, "killed")


def test_a_run_is_shown_with_stages_sizes_and_origin(config: Path) -> None:
    paths = _made(config, "parent", publication=1)
    _made(config, "child", until="train", parent="parent")
    paths.sequences.mkdir()
    (paths.sequences / "part").write_bytes(b"x" * 25_000)
    told = _told("runs", "show", config, "parent")
    assert "publication          1, shown\n" in told and "drawn from its model child\n" in told
    assert "1,200 training subjects, 9,000 events" in told and "12.5 s" in told and "0.9700" in told
    assert "sequences               25.0 kB" in told and f"pyspark {version('pyspark')}" in told
    state = runs.load_state(paths)
    state.stages["publish"] = runs.StageRecord(runs.FAILED, runs.utc_now(), 1.0, {}, "GateFailed")
    runs.save_state(paths, state)
    assert "failed: GateFailed" in _told("runs", "show", config, "parent")


def test_a_diff_tells_settings_source_and_figures(config: Path, tmp_path: Path, workspace: Workspace) -> None:
    _made(config, "one")
    paths = _made(_config_file(tmp_path / "other.yml", workspace, seed=7, train={"width": 32}), "two", subjects=9)
    state = runs.load_state(paths)
    state.stages["sample"].figures["subjects"] = 9
    state.stages["qa"].figures["accuracy.overall"] = 0.5
    runs.save_state(paths, state)
    told = _told("runs", "diff", config, "one", "two")
    rows = {tuple(line.split()) for line in told.splitlines()}
    assert {("seed", "1", "7"), ("train.width", "128", "32"), ("subjects", "1,500", "9")} <= rows
    assert ("accuracy", "0.9700", "0.5000") in rows and "digest of events" in told and "digest of two" in told
    assert "software: no difference" in told and "--compare one two" in told
    assert "hunter2" not in told and "train.hidden" not in told


@pytest.mark.parametrize("command", [("show", "none"), ("diff", "one", "none"), ("diff", "none", "one")])
def test_a_run_that_is_not_there_is_told(config: Path, command: tuple[str, ...]) -> None:
    _made(config, "one")
    assert "runs list" in _told("runs", command[0], config, *command[1:], code=ContractError.exit_code)


def test_nothing_is_deleted_where_nobody_can_be_asked(config: Path) -> None:
    paths = _made(config, "one")
    assert "--yes" in _told("runs", "delete", config, "one", code=2)
    assert paths.state.exists()


def test_runs_that_read_the_sequences_of_another(config: Path, workspace: Workspace) -> None:
    origin = _made(config, "origin")
    for run_id, parent in (("child", "origin"), ("grandchild", "child")):
        shutil.copyfile(origin.manifest, _made(config, run_id, parent=parent).manifest)
    _made(config, "encoded-again", parent="origin")
    _made(config, "lost", parent="origin").manifest.unlink()
    assert [state.run_id for state in readers_of(workspace, "origin")] == ["child", "grandchild"]
    assert readers_of(workspace, "child") == []


def test_leftovers_are_what_nothing_reads(config: Path) -> None:
    paths = _made(config, "one")
    kept = ["sequences/part.tmp", "checkpoint/model/model.json", "checkpoint/epoch-0002/progress.json"]
    left = ["canaries/codebook.json", "qa.json.tmp", "checkpoint/epoch-0001/x", "checkpoint/epoch-0003/x"]
    left += ["checkpoint/latest.json.tmp", "checkpoint/ranks/rank-0.tmp"]
    for name in (*kept, *left):
        (paths.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.folder / name).write_text("{}", encoding="utf-8")
    assert "epoch-0001" not in {path.name for path in leftovers(paths)}  # which one counts is not known
    (paths.checkpoint / "latest.json").write_text(json.dumps({"folder": "epoch-0002"}), encoding="utf-8")
    found = [str(path.relative_to(paths.folder)) for path in leftovers(paths)]
    assert len(found) == len(set(found)) == len(left)
    assert all(any(name.startswith(path) for path in found) for name in left)
    assert not any(name.startswith(path) for path in found for name in kept)


def test_sizes_count_files_and_follow_no_link(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "file").write_bytes(b"x" * 1000)
    (tmp_path / "big").write_bytes(b"x" * 10**6)
    os.symlink(tmp_path / "big", tmp_path / "folder" / "link")
    assert 1000 < bytes_of(tmp_path / "folder") < 2000
    assert bytes_of(tmp_path / "none") == 0
    assert [told_bytes(n) for n in (0, 999, 12_345, 999_600, 5 * 10**12)] == [
        "0 B",
        "999 B",
        "12.3 kB",
        "1.0 MB",
        "5.0 TB",
    ]


def test_asking_for_a_lock_makes_none(tmp_path: Path) -> None:
    assert not is_held(tmp_path) and not list(tmp_path.iterdir())
    with run_lock(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_where_storage_knows_no_locks_a_stage_that_began_is_at_work_for_a_day(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _made(config, "job", until="train")
    state = runs.load_state(paths)
    state.begin("sample")
    runs.save_state(paths, state)
    with nobodys_run(paths):
        assert is_held(paths.folder), "the kernel knows that nobody else works on it"

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "as the storage says")

    monkeypatch.setattr("synth_spark.pipeline.lock.fcntl.flock", refuse)
    with pytest.raises(ContractError, match="run job: sample began, its storage knows no locks"), nobodys_run(paths):
        pass
    long_ago = time.time() - 90_000
    for path in paths.folder.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    with nobodys_run(paths):
        pass
    state.stages["sample"].status = runs.DONE
    runs.save_state(paths, state)
    with nobodys_run(paths):
        assert not is_held(paths.folder), "nobody knows"
