"""What a workspace holds: sizes, publications, who reads whose sequences, what ended processes left. [plain]"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from synth_spark.errors import ContractError
from synth_spark.manifest import Manifest
from synth_spark.pipeline.lock import LOCK, run_lock
from synth_spark.pipeline.runs import STARTED, RunState, is_run_id, load_state, runs_of
from synth_spark.workspace import RunPaths, Workspace

QUIET_HOURS = 24  # without a change, after which a stage that began is taken for killed where storage knows no locks


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links are not followed, what is gone by now counts nothing."""
    if path.is_dir() and not path.is_symlink():
        return sum(bytes_of(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def told_bytes(number: int) -> str:
    """As people read it: 12.3 MB."""
    size, units = float(number), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


@contextmanager
def nobodys_run(paths: RunPaths) -> Iterator[None]:
    """Hold a run that something is to be removed from, while inside.

    Storage without locks cannot tell whether a stage that began is at work or was killed: there it counts as at work
    until nothing in the run's folder has changed for a day.

    Raises:
        ContractError: a process works on the run, or may.
    """
    with run_lock(paths.folder) as locked:
        if not locked:
            _check_quiet(paths)
        yield


def _check_quiet(paths: RunPaths) -> None:
    changed = [_changed(path) for path in paths.folder.rglob("*") if path.name != LOCK]
    hours = (time.time() - max(changed, default=0.0)) / 3600
    try:
        begun = [stage for stage, record in load_state(paths).stages.items() if record.status == STARTED]
    except ContractError:  # no stage works on a run whose record cannot be read
        return
    if begun and hours < QUIET_HOURS:
        raise ContractError(
            f"run {paths.run_id}: {begun[-1]} began, its storage knows no locks, and a file of it changed {hours:.1f} "
            f"hours ago, so a process may work on it; end it, and do this {QUIET_HOURS} hours later or after the stage "
            "has ended"
        )


def _changed(path: Path) -> float:
    """When, in seconds since the epoch; now, if it is gone by now."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return time.time()


def unreadable_runs(workspace: Workspace) -> list[RunPaths]:
    """Folders among the runs whose run.json is missing or damaged; what is no run's name is something else."""
    known = {state.run_id for state in runs_of(workspace)}
    folders = sorted(folder for folder in workspace.runs.glob("*") if folder.is_dir() and is_run_id(folder.name))
    return [workspace.run(folder.name) for folder in folders if folder.name not in known]


def publication_of(state: RunState) -> int | None:
    """The newest number the run was published under, as far as run.json knows."""
    return state.publication or state.figures_of("publish").get("publication")


def is_uncertain(state: RunState) -> bool:
    """Whether a process ended while it published: only the table of publications knows if it did."""
    return state.publish_begun and publication_of(state) is None and not state.refused


def shown_run(states: Sequence[RunState]) -> str | None:
    """The run that the views show, from run.json alone; None if nothing is published, or a run is uncertain."""
    published = [(number, state.run_id) for state in states if (number := publication_of(state)) is not None]
    return max(published)[1] if published and not any(map(is_uncertain, states)) else None


def readers_of(workspace: Workspace, run_id: str) -> list[RunState]:
    """Other runs whose manifest names this run's sequences: outputs drawn from its model, directly or in turn."""
    table = workspace.run(run_id).sequences.resolve()
    others = [state for state in runs_of(workspace) if state.parent is not None and state.run_id != run_id]
    return [state for state in others if _table_read_by(workspace.run(state.run_id)) == table]


def _table_read_by(paths: RunPaths) -> Path | None:
    try:
        return Path(Manifest.load(paths.manifest).table).resolve()
    except ContractError:
        return None


def leftovers(paths: RunPaths) -> list[Path]:
    """What a killed process left in a run's folder and nothing reads: half-written files, superseded epochs.

    It holds only while nobody works on the run.
    """
    checkpoint = paths.checkpoint
    found = [paths.canaries] if paths.canaries.exists() else []
    for folder in (paths.folder, checkpoint, checkpoint / "ranks"):
        found += sorted(folder.glob("*.tmp"))
    return [*found, *_superseded(checkpoint)]


def _superseded(checkpoint: Path) -> list[Path]:
    """Epochs that training would not go on from."""
    try:
        newest = json.loads((checkpoint / "latest.json").read_text(encoding="utf-8"))["folder"]
    except (OSError, ValueError, KeyError, TypeError):  # without it, which one counts is not known
        return []
    return sorted(epoch for epoch in checkpoint.glob("epoch-*") if epoch.name != newest)
