"""Deletion of a run: its rows in the published tables first, then its folder. [spark]

In this order a deletion that was broken off can be done again; what is gone already counts nothing. The record of what
was published and decided stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.columns import DECISIONS_TABLE, EVENTS_TABLE, RUN_ID, RUNS_TABLE, STAGES_TABLE, SUBJECTS_TABLE
from synth_spark.config import load_config
from synth_spark.errors import ContractError
from synth_spark.pipeline.inventory import bytes_of, nobodys_run, readers_of, told_bytes
from synth_spark.pipeline.lock import LOCK
from synth_spark.pipeline.opened import session
from synth_spark.pipeline.runs import check_run_id
from synth_spark.pipeline.summary import say
from synth_spark.publish.publications import newest
from synth_spark.workspace import RunPaths, Workspace

_READERS_LOSE = (
    "they keep model and rows; QA of them, if it is repeated, goes without the attack by the model, which leaves their "
    "gate undecided, and they cannot be trained again"
)


@dataclass(frozen=True)
class _Held:
    """What there is of a run."""

    rows: dict[str, int]  # rows by published table
    record: dict[str, int]  # rows that stay
    readers: list[str]  # runs that read its sequences


def delete_run(config_path: str | Path, run_id: str, *, agreed: Callable[[], bool]) -> None:
    """Say what goes and what stays and, if that is agreed to, delete the run.

    Raises:
        ContractError: there is no such run, the views show it, or another process works on it or on a run that reads
            its sequences.
    """
    check_run_id(run_id)
    workspace = Workspace.of(load_config(config_path).output)
    paths = workspace.run(run_id)
    with ExitStack() as stack:
        if paths.folder.exists():  # else a lock would make it
            stack.enter_context(nobodys_run(paths))
        readers = [state.run_id for state in readers_of(workspace, run_id)]
        for reader in readers:
            stack.enter_context(nobodys_run(workspace.run(reader)))
        spark = stack.enter_context(session(workspace))
        _check_not_shown(spark, workspace, run_id, config_path)
        held = _Held(
            _counted(spark, workspace, run_id, (SUBJECTS_TABLE, EVENTS_TABLE)),
            _counted(spark, workspace, run_id, (RUNS_TABLE, DECISIONS_TABLE, STAGES_TABLE)),
            readers,
        )
        if not paths.folder.exists() and not any(held.rows.values()):
            raise ContractError(f"run {run_id}: not found in {workspace.runs}; synth-spark runs list names them")
        _tell_plan(workspace, paths, held)
        if not agreed():
            say("nothing was removed")
            return
        for table in held.rows:
            place = workspace.published / table
            say(f"removed {tables.delete_run(spark, place, run_id):,} rows from {workspace.told(place)}")
        paths.state.unlink(missing_ok=True)  # from here on no command goes on with it, and clean would end this
        for path in paths.folder.glob("*"):
            if path.name != LOCK:
                remove(path)
    if paths.folder.exists():  # now that its lock is closed: NFS keeps what is open in its folder
        remove(paths.folder)
    say(f"removed runs/{run_id}")


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _check_not_shown(spark: SparkSession, workspace: Workspace, run_id: str, config_path: str | Path) -> None:
    shown = newest(spark, workspace.published / RUNS_TABLE)
    if shown is not None and shown.run_id == run_id:
        raise ContractError(
            f"run {run_id}: the views show it (publication {shown.number}), so its rows must stay; publish another run "
            f"first, an earlier one will do: synth-spark publish {config_path} --run RUN"
        )


def _counted(spark: SparkSession, workspace: Workspace, run_id: str, names: tuple[str, ...]) -> dict[str, int]:
    """Rows of the run in each table that is there."""
    places = {name: workspace.published / name for name in names}
    return {
        name: tables.read_table(spark, place).where(F.col(RUN_ID) == run_id).count()
        for name, place in places.items()
        if tables.exists(spark, place)
    }


def _tell_plan(workspace: Workspace, paths: RunPaths, held: _Held) -> None:
    parts = sorted(((bytes_of(path), path.name) for path in paths.folder.glob("*")), reverse=True)
    largest = ", ".join(f"{name} {told_bytes(size)}" for size, name in parts[:4])
    say(f"run {paths.run_id}\n  goes:")
    say(f"    {paths.folder}: {told_bytes(sum(size for size, _ in parts))}" + (f" ({largest})" if largest else ""))
    for table, number in held.rows.items():
        name = workspace.told(workspace.published / table)
        say(f"    {name}: {number:,} rows; their files follow with synth-spark clean, after retention")
    say("  stays:")
    for table, number in held.record.items():
        say(f"    {workspace.told(workspace.published / table)}: {number:,} rows, the record")
    say("    its MLflow run and registered models, and pages in reports/ that compare it")
    if held.readers:
        say(f"  drawn from its model: {', '.join(held.readers)}; {_READERS_LOSE}")
