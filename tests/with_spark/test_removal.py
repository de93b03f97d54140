"""Deleting runs and cleaning: what goes, what stays, what is refused, and that readers notice nothing."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from synth_spark import tables
from synth_spark.columns import DECISIONS_TABLE, EVENTS_TABLE, RUN_ID, RUNS_TABLE, SUBJECTS_TABLE
from synth_spark.config import load_config
from synth_spark.errors import ConfigError, ContractError
from synth_spark.manifest import Manifest
from synth_spark.pipeline import runs
from synth_spark.pipeline.cleaning import clean
from synth_spark.pipeline.lock import run_lock
from synth_spark.pipeline.opened import OpenRun
from synth_spark.pipeline.removal import delete_run
from synth_spark.pipeline.stages import _check_ready
from synth_spark.publish.decisions import QA, Decision, record
from synth_spark.publish.publications import Publication, append
from synth_spark.publish.read import read_published
from synth_spark.workspace import RunPaths, Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHOWN = "shown"  # the last of the three runs that published
NUMBERS = {SUBJECTS_TABLE: 3, EVENTS_TABLE: 8}


@pytest.fixture
def config(tmp_path: Path, workspace: Workspace) -> Path:
    path = tmp_path / "shop.yml"
    events = {"path": "events", "key": "id", "order_by": "at"}
    document = {"name": "shop", "source": {"events": [events]}, "output": {"root": str(workspace.root)}}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def templates(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table between stages, and what three runs published; a copy of a table's folder is a table, too."""
    spark, folder = spark_session, tmp_path_factory.mktemp("templates")
    tables.write_table(spark.range(20).coalesce(1), folder / "codes", fingerprint="fingerprint", properties={})
    published = folder / "published"
    for run_id in ("one", "two", SHOWN):
        for name, number in NUMBERS.items():
            rows = spark.range(number).selectExpr("id AS `odd ``name`", f"'{run_id}' AS {RUN_ID}").coalesce(1)
            tables.replace_run(
                rows, published / name, run_id, expected_rows=number, properties={"is_synthetic": "true"}
            )
        record(spark, published / DECISIONS_TABLE, Decision(run_id, QA, "passed", "holdout", 1, ()))
        append(spark, published / RUNS_TABLE, Publication(run_id, "fingerprint", "digest", 3, 8, "passed", False))
    return folder


@pytest.fixture
def made(config: Path, workspace: Workspace, templates: Path) -> Callable[..., RunPaths]:
    """Makes the folder of a run whose rows are there already: tables between stages, manifest, record."""
    shutil.copytree(templates / "published", workspace.published)

    def make(run_id: str, *, parent: RunPaths | None = None, judged: bool = True) -> RunPaths:
        paths, state = runs.create_run(workspace, load_config(config), run_id)
        for stage in runs.STAGES if judged else runs.STAGES[:4]:
            state.begin(stage)
            state.stages[stage].status = runs.DONE
        state.parent = parent.run_id if parent else None
        runs.save_state(paths, state)
        for table in [paths.sampled_sequences] if parent else [paths.sequences, paths.sampled_sequences]:
            shutil.copytree(templates / "codes", table)
        Manifest(str((parent or paths).sequences), 0, "fingerprint", "schema", {}, ()).save(paths.manifest)
        return paths

    return make


def _yes() -> bool:
    return True


def _rows(spark: SparkSession, workspace: Workspace) -> dict[str, Counter[str]]:
    """Rows by run, of each table."""
    found = {}
    for name in (SUBJECTS_TABLE, EVENTS_TABLE, RUNS_TABLE, DECISIONS_TABLE):
        rows = tables.read_table(spark, workspace.published / name).select(RUN_ID).collect()
        found[name] = Counter(row[0] for row in rows)
    return found


def _seen(spark: SparkSession, workspace: Workspace) -> list[Any]:
    """What readers see."""
    return [sorted(read_published(spark, workspace.root, name).collect()) for name in (SUBJECTS_TABLE, EVENTS_TABLE)]


def _files(workspace: Workspace) -> dict[str, int]:
    """Size by path of all files but locks."""
    files = (path for path in workspace.root.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(workspace.root)): path.stat().st_size for path in files}


def _data_files(workspace: Workspace) -> set[str]:
    files = (workspace.published / EVENTS_TABLE).rglob("*.parquet")
    return {path.name for path in files if "_delta_log" not in path.parts}


def _aged(path: Path, *, days: int = 40) -> Path:
    """A file that somebody left a while ago; its folder is as old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 5000)
    then = time.time() - days * 86400
    os.utime(path, (then, then))
    os.utime(path.parent, (then, then))
    return path


def test_rows_that_others_read_or_see_are_not_made_anew(
    spark: SparkSession, config: Path, workspace: Workspace, made: Callable[..., RunPaths]
) -> None:
    nobody = cast("Any", None)

    def ready(paths: RunPaths, stage: str) -> None:
        state = runs.load_state(paths)
        run = OpenRun(load_config(config), workspace, paths, state, nobody, nobody, catalog=False, _session=spark)
        _check_ready(run, stage, None)

    one, alone = made("one", judged=False), made("alone", judged=False)
    assert not runs.load_state(one).publish_begun, "its folder is not the one that was published"
    with pytest.raises(ContractError, match="decode: run one is published"):
        ready(one, "decode")
    ready(alone, "encode")
    made("drawn", parent=alone)
    with pytest.raises(ContractError, match=r"encode: run alone: drawn was drawn from its model .*begin a new run"):
        ready(alone, "encode")


def test_a_deleted_run_is_gone_but_for_the_record(
    spark: SparkSession, config: Path, workspace: Workspace, made: Callable[..., RunPaths], capsys: Any
) -> None:
    old = made("one")
    made(SHOWN)
    before, seen = _rows(spark, workspace), _seen(spark, workspace)
    files = _files(workspace)
    delete_run(config, "one", agreed=lambda: False)
    assert "nothing was removed" in capsys.readouterr().out
    assert _rows(spark, workspace) == before and _files(workspace) == files

    delete_run(config, "one", agreed=_yes)
    told = capsys.readouterr().out
    assert "published/events: 8 rows" in told and "published/decisions: 1 rows, the record" in told
    after = _rows(spark, workspace)
    assert after[SUBJECTS_TABLE] == {"two": 3, SHOWN: 3} and after[EVENTS_TABLE] == {"two": 8, SHOWN: 8}
    assert (after[RUNS_TABLE], after[DECISIONS_TABLE]) == (before[RUNS_TABLE], before[DECISIONS_TABLE])
    assert not old.folder.exists() and workspace.run(SHOWN).state.exists()
    assert _seen(spark, workspace) == seen

    with pytest.raises(ContractError, match="run one: not found"):
        delete_run(config, "one", agreed=_yes)
    assert not old.folder.exists()


def test_a_deletion_that_was_broken_off_can_be_done_again(
    spark: SparkSession, config: Path, workspace: Workspace, made: Callable[..., RunPaths]
) -> None:
    made("one").state.unlink()  # and "two" has rows, but no folder
    tables.delete_run(spark, workspace.published / EVENTS_TABLE, "one")
    for run_id in ("one", "two"):
        delete_run(config, run_id, agreed=_yes)
    assert [_rows(spark, workspace)[name] for name in NUMBERS] == [{SHOWN: 3}, {SHOWN: 8}]
    assert not list(workspace.runs.iterdir())


def test_what_is_not_deleted(
    spark: SparkSession, config: Path, workspace: Workspace, made: Callable[..., RunPaths], capsys: Any
) -> None:
    parent = made("one")
    child = made(SHOWN, parent=parent)
    before = _rows(spark, workspace)
    with pytest.raises(ContractError, match="the views show it"):
        delete_run(config, SHOWN, agreed=_yes)
    for held in (parent, child):  # the child may be reading its parent's sequences
        with run_lock(held.folder), pytest.raises(ContractError, match=f"run {held.run_id}: process"):
            delete_run(config, "one", agreed=_yes)
    with pytest.raises(ContractError, match="run id"):
        delete_run(config, "../published", agreed=_yes)
    assert _rows(spark, workspace) == before and parent.sequences.exists()
    delete_run(config, "one", agreed=lambda: False)
    assert f"drawn from its model: {SHOWN}" in capsys.readouterr().out


@pytest.mark.slow
def test_clean_removes_what_no_run_needs_and_only_that(
    spark: SparkSession, config: Path, workspace: Workspace, made: Callable[..., RunPaths], capsys: Any
) -> None:
    paths, shown = made("one"), made(SHOWN)
    kept, seen = _files(workspace), _seen(spark, workspace)
    young = workspace.runs / "young"
    young.mkdir()
    left = [
        _aged(paths.canaries / "codebook.json"),
        _aged(paths.folder / "qa.json.tmp"),
        _aged(workspace.reports / "compare_a_b.html.tmp"),
        _aged(workspace.runs / "no-record" / "sequences" / "part"),
        _aged(workspace.published / EVENTS_TABLE / "part-uncommitted.snappy.parquet"),
        _aged(paths.sampled_sequences / "part-uncommitted.snappy.parquet"),
    ]
    shutil.rmtree(shown.sampled_sequences)
    kept = {name: size for name, size in kept.items() if not name.startswith("runs/shown/sampled_sequences")}
    left.append(_aged(shown.sampled_sequences / "part-first.snappy.parquet"))  # its first write was broken off
    (shown.sampled_sequences / "_delta_log").mkdir()
    os.utime(left[3].parents[1], (0, 0))
    before = _files(workspace)

    clean(config, older_than=None, intermediate=False, dry_run=True)
    told = capsys.readouterr().out
    assert _files(workspace) == before and "35.0 kB would be removed" in told

    with run_lock(paths.folder):
        clean(config, older_than=200, intermediate=True, dry_run=True)
    told = capsys.readouterr().out
    assert "left one alone" in told and "runs/one/" not in told and "runs/shown/sequences" in told

    clean(config, older_than=None, intermediate=False, dry_run=False)
    assert re.search(r"\n35.\d kB were removed", capsys.readouterr().out)  # a lock was added
    after = _files(workspace)
    assert not [path for path in left if path.exists()] and young.exists()
    assert kept.items() <= after.items()
    assert all("_delta_log" in name for name in after.keys() - kept.keys())
    assert _seen(spark, workspace) == seen

    clean(config, older_than=None, intermediate=False, dry_run=False)
    assert "0 B were removed" in capsys.readouterr().out
    assert _files(workspace) == after  # nothing to vacuum adds nothing to the logs


def test_retention_is_deltas_and_deleted_rows_go_with_it(
    spark: SparkSession, config: Path, workspace: Workspace, made: Callable[..., RunPaths]
) -> None:
    made("one")
    seen = _seen(spark, workspace)
    before, data = _files(workspace), _data_files(workspace)
    with pytest.raises(ConfigError, match="retention of 1 hours"):
        clean(config, older_than=1, intermediate=True, dry_run=False)
    assert _files(workspace) == before
    delete_run(config, "one", agreed=_yes)
    clean(config, older_than=None, intermediate=False, dry_run=False)
    assert data <= _data_files(workspace)  # readers of the last days may still need the rows of before
    retention = {"delta.deletedFileRetentionDuration": "interval 0 hours"}
    tables.set_properties(spark, workspace.published / EVENTS_TABLE, retention)
    clean(config, older_than=None, intermediate=False, dry_run=False)
    needed = tables.read_table(spark, workspace.published / EVENTS_TABLE).inputFiles()
    assert _data_files(workspace) == {Path(file).name for file in needed} < data
    assert _seen(spark, workspace) == seen


def test_intermediate_tables_go_when_nobody_waits_for_them(
    config: Path, made: Callable[..., RunPaths], capsys: Any
) -> None:
    parent = made("one")
    waiting = made("two", parent=parent, judged=False)
    clean(config, older_than=None, intermediate=True, dry_run=False)
    told = capsys.readouterr().out
    assert "cannot be trained, judged or published again" in told and "left runs/one/sequences" in told
    assert parent.sequences.exists() and not parent.sampled_sequences.exists() and waiting.sampled_sequences.exists()
    state = runs.load_state(waiting)
    state.begin("qa")
    state.stages["qa"].status = runs.DONE
    state.stages["publish"] = runs.StageRecord(runs.FAILED, runs.utc_now(), error="GateFailed")
    runs.save_state(waiting, state)
    clean(config, older_than=None, intermediate=True, dry_run=False)
    assert not parent.sequences.exists() and not waiting.sampled_sequences.exists() and parent.manifest.exists()
