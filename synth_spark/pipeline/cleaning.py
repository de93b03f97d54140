"""Cleaning of a workspace: what ended processes left, files no version needs, tables between stages. [spark]"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from synth_spark import tables
from synth_spark.columns import DECISIONS_TABLE, EVENTS_TABLE, RUNS_TABLE, STAGES_TABLE, SUBJECTS_TABLE
from synth_spark.config import load_config
from synth_spark.errors import ContractError
from synth_spark.pipeline.inventory import bytes_of, leftovers, nobodys_run, readers_of, told_bytes, unreadable_runs
from synth_spark.pipeline.lock import is_held
from synth_spark.pipeline.opened import session
from synth_spark.pipeline.removal import remove
from synth_spark.pipeline.runs import load_state, runs_of
from synth_spark.pipeline.summary import say
from synth_spark.places import Place, TableName
from synth_spark.workspace import RunPaths, Workspace

_YOUNG_SECONDS = 3600  # a run that is just being made has no record yet, and a page no lock
_LEFT = "left by a process that ended"
_INTERMEDIATE = (
    "with --intermediate, runs that are judged lose their sequences and sampled sequences: they cannot be trained, "
    "judged or published again, outputs drawn from their models later are judged without the attack by the model "
    "(undecided), and canaries cannot be planted; models, reports and published rows stay"
)


@dataclass
class _Broom:
    """Removes, or only tells; sums up."""

    workspace: Workspace
    spark: SparkSession
    dry_run: bool
    freed_bytes: int = 0

    def tell(self, size: int | None, place: Place, why: str) -> None:
        """One line, and the sum; None: nobody knows the size."""
        self.freed_bytes += size or 0
        verb = "would remove" if self.dry_run else "removed"
        say(f"{verb} {'?' if size is None else told_bytes(size):>8}  {self.workspace.told(place)}: {why}")

    def sweep(self, path: Path, why: str) -> None:
        """A file or folder."""
        size = bytes_of(path)
        if not self.dry_run:
            remove(path)
        self.tell(size, path, why)

    def vacuum(self, table: Place, hours: int | None = None) -> None:
        """Files of a table that no version within its retention needs."""
        files = tables.unneeded_files(self.spark, table, hours)
        if files:
            size = None if isinstance(table, TableName) else sum(map(bytes_of, files))
            if not self.dry_run:
                tables.vacuum(self.spark, table, hours)
            self.tell(size, table, f"{len(files)} files that no version within retention needs")

    def tidy_table(self, table: Path) -> None:
        """A table of a run that nobody works on: the rest of a first write that was broken off, or a vacuum."""
        if table.exists():
            if tables.exists(self.spark, table):
                self.vacuum(table)
            else:
                self.sweep(table, _LEFT)

    def sweep_table(self, table: Path) -> None:
        """A table of a run that is judged."""
        if table.exists():
            self.sweep(table, "intermediate table of a run that is judged")

    def claim(self, stack: ExitStack, paths: RunPaths) -> bool:
        """Hold a run until the stack ends, or at least see that nobody does; whether that went well."""
        if is_held(paths.folder):
            say(f"left {paths.run_id} alone: a process works on it")
            return False
        if self.dry_run:
            return True
        try:
            stack.enter_context(nobodys_run(paths))
        except ContractError as error:
            say(f"left {paths.run_id} alone: {error}")
            return False
        return True


def clean(config_path: str | Path, *, older_than: int | None, intermediate: bool, dry_run: bool) -> None:
    """Remove from a workspace what no run needs, and say what it was.

    Args:
        older_than: retention of the published tables in hours; default: each table's own, as for the tables of runs.
        intermediate: also sequences and sampled sequences of runs that are judged.
        dry_run: only say it.

    Raises:
        ConfigError: `older_than` is below the retention of a published table; runs were not looked at yet.
        ContractError: a process began to work on a run meanwhile.
    """
    workspace = Workspace.of(load_config(config_path).output)
    with session(workspace) as spark:
        broom = _Broom(workspace, spark, dry_run)
        for name in (SUBJECTS_TABLE, EVENTS_TABLE, RUNS_TABLE, DECISIONS_TABLE, STAGES_TABLE):
            if tables.exists(spark, workspace.published / name):
                broom.vacuum(workspace.published / name, older_than)
        for page in sorted(workspace.reports.glob("*.tmp")):
            if _is_old(page):
                broom.sweep(page, _LEFT)
        for paths in unreadable_runs(workspace):
            _clean_unreadable(broom, paths)
        if intermediate:
            say(_INTERMEDIATE)
        for state in runs_of(workspace):
            _clean_run(broom, workspace.run(state.run_id), intermediate=intermediate)
    say(f"{told_bytes(broom.freed_bytes)} {'would be' if dry_run else 'were'} removed from {workspace.root}")


def _clean_unreadable(broom: _Broom, paths: RunPaths) -> None:
    if paths.state.exists():
        say(f"left {paths.run_id} alone: its run.json is damaged; synth-spark runs delete removes it")
    elif _is_old(paths.folder):
        with ExitStack() as stack:
            claimed = broom.claim(stack, paths)
        if claimed:  # its lock is closed again: NFS keeps what is open in its folder
            broom.sweep(paths.folder, "no run.json, so no command can go on with it")


def _clean_run(broom: _Broom, paths: RunPaths, *, intermediate: bool) -> None:
    with ExitStack() as stack:
        if not broom.claim(stack, paths):
            return
        for path in leftovers(paths):
            broom.sweep(path, _LEFT)
        readers = [state.run_id for state in readers_of(broom.workspace, paths.run_id)]
        if intermediate and load_state(paths).at_rest:
            broom.sweep_table(paths.sampled_sequences)
            if all(_is_through(broom, stack, reader) for reader in readers):
                broom.sweep_table(paths.sequences)
            else:
                say(f"left runs/{paths.run_id}/sequences: a run that was drawn from its model needs them to be judged")
            return
        broom.tidy_table(paths.sampled_sequences)
        if not readers:  # they may read an earlier version
            broom.tidy_table(paths.sequences)


def _is_through(broom: _Broom, stack: ExitStack, reader: str) -> bool:
    """Whether a run that was drawn from another's model does without the sequences that trained it, from now on."""
    paths = broom.workspace.run(reader)
    return broom.claim(stack, paths) and load_state(paths).at_rest


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _YOUNG_SECONDS
