"""Reports of runs, written by the qa stage, written again, or set side by side; without Spark. [plain]"""

from __future__ import annotations

from pathlib import Path

from synth_spark.config import load_config
from synth_spark.errors import ContractError
from synth_spark.files import replace_text
from synth_spark.pipeline.lock import run_lock
from synth_spark.pipeline.runs import Figures, RunState, find_run, load_state
from synth_spark.pipeline.tracked import flat_settings
from synth_spark.qa_result import QaResult
from synth_spark.report.comparison import Side, render_comparison
from synth_spark.report.stage import run_report
from synth_spark.workspace import RunPaths, Workspace


def write_report(workspace: Workspace, paths: RunPaths, state: RunState, *, looks: int | None = None) -> Figures:
    """Write the run's report.html from its qa.json; its figures.

    Args:
        looks: how often figures against the holdout had been made; default: as the run's qa stage noted.
    """
    if looks is None:
        looks = int(state.stages["qa"].figures["qa.evaluations"])
    return run_report(paths, software=software_of(state), drawn_from=drawn_from(workspace, state), looks=looks)


def rewrite_report(config_path: str | Path, run_id: str | None = None) -> Path:
    """Write a run's report again, from what its qa stage found; where it is.

    Raises:
        ContractError: there is no such run, its qa stage is not done, or another process works on it.
    """
    config = load_config(config_path)
    workspace = Workspace.of(config.output)
    state = find_run(workspace, config.name, run_id)
    paths = workspace.run(state.run_id)
    with run_lock(paths.folder):
        _check_judged(state, config_path)
        write_report(workspace, paths, state)
    return paths.report


def compare_runs(config_path: str | Path, first: str, second: str) -> Path:
    """Write the page that sets two runs of a workspace side by side; where it is.

    Raises:
        ContractError: a run is not there, or its qa stage is not done.
    """
    workspace = Workspace.of(load_config(config_path).output)
    one, other = (_side(workspace, run_id, config_path) for run_id in (first, second))
    page = workspace.comparison(one.result.run_id, other.result.run_id)
    replace_text(page, render_comparison(one, other))
    return page


def drawn_from(workspace: Workspace, state: RunState) -> str | None:
    """The run that trained the model, if somebody asked for a number of subjects; None for a model's default output.

    A generation of a generation leads back to the run that trained; a run that was removed since ends the way.
    """
    if state.parent is None and state.subjects is None:
        return None
    origin = state.run_id
    while state.parent is not None:
        origin = state.parent
        if not workspace.run(origin).state.exists():
            break
        state = load_state(workspace.run(origin))
    return origin


def _side(workspace: Workspace, run_id: str, config_path: str | Path) -> Side:
    paths = workspace.run(run_id)
    state = load_state(paths)
    _check_judged(state, config_path)
    return Side(
        result=QaResult.load(paths.qa),
        settings=settings_of(paths, state),
        software=software_of(state),
        drawn_from=drawn_from(workspace, state),
    )


def _check_judged(state: RunState, config_path: str | Path) -> None:
    if not state.is_done("qa") or "qa.evaluations" not in state.stages["qa"].figures:  # or judged by an earlier version
        raise ContractError(
            f"report: run {state.run_id} has no finished qa stage, so there is nothing to report; "
            f"run: synth-spark qa {config_path} --run {state.run_id}"
        )


def settings_of(paths: RunPaths, state: RunState) -> dict[str, str]:
    """What the run was made with, as dotted keys, without credentials."""
    asked = {} if state.subjects is None else {"--subjects of the command": str(state.subjects)}
    return flat_settings(load_config(paths.config)) | asked


def software_of(state: RunState) -> dict[str, str]:
    """What the run was begun with."""
    return {**state.versions, "this code (commit)": state.git_commit}
