"""Runs told to people: all of a workspace, one, or what differs between two; from files, without Spark. [plain]"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synth_spark.config import load_config
from synth_spark.errors import ContractError
from synth_spark.manifest import Manifest
from synth_spark.pipeline.inventory import (
    bytes_of,
    is_uncertain,
    publication_of,
    shown_run,
    told_bytes,
    unreadable_runs,
)
from synth_spark.pipeline.lock import is_held
from synth_spark.pipeline.reports import settings_of, software_of
from synth_spark.pipeline.runs import STARTED, RunState, load_state, runs_of
from synth_spark.pipeline.summary import Row, quality_rows, say, stage_rows, tell_table
from synth_spark.report.comparison import differing
from synth_spark.workspace import RunPaths, Workspace

_NONE = "-"
_HEADER = ("run", "created (UTC)", "stage", "gate", "subjects", "events", "publication", "size", "parent")
_TO_THE_RIGHT = ("subjects", "events", "size")


def tell_runs(config_path: str | Path) -> None:
    """One line per run of the workspace, the newest last; subjects and events are those that were sampled."""
    workspace = Workspace.of(load_config(config_path).output)
    states = runs_of(workspace)
    shown = shown_run(states)
    if states:
        _tell_aligned(_HEADER, [_line(workspace, state, shown) for state in states])
    else:
        say(f"{workspace.root}: no run yet; start one with: synth-spark run {config_path}")
    for paths in unreadable_runs(workspace):
        what = "a damaged run.json" if paths.state.exists() else "no run.json"
        say(f"{paths.run_id}: {what}, {told_bytes(bytes_of(paths.folder))}; no command can go on with it")


def tell_run(config_path: str | Path, run_id: str) -> None:
    """A run's stages with time, figures and errors, how it was judged, what lies in its folder, where it comes from.

    Raises:
        ContractError: there is no such run.
    """
    workspace = Workspace.of(load_config(config_path).output)
    paths = workspace.run(run_id)
    state, states = load_state(paths), runs_of(workspace)
    children = [other.run_id for other in states if other.parent == run_id]
    about = {
        "folder": str(paths.folder),
        "created": _minute(state),
        "stage": _stage(paths, state),
        "publication": _publication(state, shown_run(states), told=True),
        "parent": state.parent or _NONE,
        "marked": f"for retraining: {state.retrain}" if state.retrain else _NONE,
        "drawn from its model": ", ".join(children) or _NONE,
        "MLflow run": state.mlflow_run_id or _NONE,
        "code (commit)": state.git_commit or _NONE,
        "versions": ", ".join(f"{package} {version}" for package, version in state.versions.items()),
    }
    say(f"run {run_id}")
    for name, value in about.items():
        say(f"  {name:<20} {value}")
    tell_table("stages", list(stage_rows(state)))
    tell_table("judged", list(quality_rows(state)))
    sizes = {path.name: bytes_of(path) for path in paths.folder.iterdir()}
    rows = [Row(name, told_bytes(size)) for name, size in sorted(sizes.items(), key=lambda item: -item[1])]
    tell_table("on disk", [*rows, Row("together", told_bytes(sum(sizes.values())))])


def tell_differences(config_path: str | Path, first: str, second: str) -> None:
    """What differs between two runs: settings, source, software, key figures.

    Raises:
        ContractError: a run is not there.
    """
    workspace = Workspace.of(load_config(config_path).output)
    (one, a), (two, b) = ((paths, load_state(paths)) for paths in (workspace.run(first), workspace.run(second)))
    groups = {
        "setting": (settings_of(one, a), settings_of(two, b)),
        "source": (_source(one, a), _source(two, b)),
        "software": (software_of(a), software_of(b)),
        "figure": (_figures(a), _figures(b)),
    }
    for what, sides in groups.items():
        rows = differing(*sides, what).rows
        if rows:
            _tell_aligned((what, first, second), rows)
        else:
            say(f"{what}: no difference")
        say("")
    if a.is_done("qa") and b.is_done("qa"):
        say(f"quality side by side: synth-spark report {config_path} --compare {first} {second}")


def _line(workspace: Workspace, state: RunState, shown: str | None) -> tuple[str, ...]:
    paths = workspace.run(state.run_id)
    sampled = state.figures_of("sample")
    return (
        state.run_id,
        _minute(state),
        _stage(paths, state),
        str(state.figures_of("qa").get("gate", _NONE)),
        *(f"{sampled[name]:,}" if name in sampled else _NONE for name in ("subjects", "events")),
        _publication(state, shown),
        told_bytes(bytes_of(paths.folder)),
        state.parent or _NONE,
    )


def _minute(state: RunState) -> str:
    return state.created[:16].replace("T", " ")


def _stage(paths: RunPaths, state: RunState) -> str:
    """The last stage that was begun and how it stands; one that began and that nobody works on was broken off."""
    if not state.stages:
        return _NONE
    stage, record = list(state.stages.items())[-1]
    if record.status == STARTED:
        return f"{stage} {'running' if is_held(paths.folder) else 'broken off'}"
    return f"{stage} {record.status}"


def _publication(state: RunState, shown: str | None, *, told: bool = False) -> str:
    number = publication_of(state)
    if is_uncertain(state):
        return "not known: it was broken off while it published; publishing it again settles that" if told else "?"
    if number is None:
        return _NONE
    return f"{number}, shown" if state.run_id == shown else str(number)


def _source(paths: RunPaths, state: RunState) -> dict[str, str]:
    """Digests and Delta versions of the source tables, as far as the run was encoded."""
    try:
        digests = Manifest.load(paths.manifest).source_digest
    except ContractError:
        digests = {}
    versions = {name: value for name, value in state.figures_of("encode").items() if name.endswith("delta_version")}
    found = {f"digest of {table}": digest for table, digest in digests.items()}
    return found | {name.removeprefix("source."): str(value) for name, value in versions.items()}


def _figures(state: RunState) -> dict[str, str]:
    sampled = {name: f"{value:,}" for name, value in state.figures_of("sample").items() if name in _HEADER}
    return sampled | {row.what: row.value for row in quality_rows(state)}


def _tell_aligned(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell; numbers stand to the right."""
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    for row in (header, *rows):
        cells = zip(header, row, widths, strict=True)
        say("  ".join(f"{cell:{'>' if name in _TO_THE_RIGHT else '<'}{width}}" for name, cell, width in cells).rstrip())
