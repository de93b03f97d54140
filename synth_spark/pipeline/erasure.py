"""Erasure of subjects: which runs hold them, and what the owner then has done. [spark]

Runs keep no keys, so whom they hold is asked of the source as it was (source/search.py); where that cannot be told, a
run counts as holding them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from synth_spark.columns import RUNS_TABLE, TRAINING, VALIDATION
from synth_spark.config import load_config
from synth_spark.errors import ConfigError, ContractError
from synth_spark.manifest import Manifest
from synth_spark.pipeline.inventory import bytes_of, nobodys_run, publication_of, told_bytes, unreadable_runs
from synth_spark.pipeline.opened import session
from synth_spark.pipeline.removal import delete_run
from synth_spark.pipeline.runs import RunState, load_state, runs_of, save_state, utc_now
from synth_spark.pipeline.stages import config_of
from synth_spark.pipeline.summary import say
from synth_spark.publish.publications import newest
from synth_spark.seeds import salt_fingerprint
from synth_spark.source.search import Answer, Snapshot, find_subjects, read_keys
from synth_spark.workspace import RunPaths, Workspace

DELETE, MARK = "delete", "mark"


@dataclass(frozen=True)
class _Held:
    """A run and what it holds of the subjects."""

    paths: RunPaths
    state: RunState
    answer: Answer


def erase(config_path: str | Path, keys_file: Path, *, remedy: str | None, agreed: Callable[[str], bool]) -> None:
    """Tell which runs of a config's workspace hold these subjects, and do what is asked for and agreed to.

    Args:
        keys_file: one subject's key per line.
        remedy: DELETE the runs that hold any, MARK them for retraining, or None: only tell.
        agreed: asked with what will be done.

    Raises:
        SourceError: the file cannot be read.
        ContractError: the views show a run that would be deleted; nothing was done then.
    """
    config = load_config(config_path)
    workspace = Workspace.of(config.output)
    with session(workspace) as spark:
        keys = read_keys(spark, keys_file)
        shown = newest(spark, workspace.published / RUNS_TABLE)
        shown_id = shown.run_id if shown is not None else None
        say(f"{keys.count():,} subjects to look for in the runs in {workspace.root}")
        asked = _search(spark, workspace, keys)
        held = [run for run in asked if run.answer.holds]
        keys.unpersist()
    unreadable = unreadable_runs(workspace)
    for told in dict.fromkeys(run.answer.unread for run in asked if run.answer.unread):
        say(told)
    for run in held:
        _tell(run, shown_id)
    for paths in unreadable:
        say(f"run {paths.run_id}: counts as holding them, since its record cannot be read: {paths.folder}")
    if not held and not unreadable:
        say("no run holds any of them")
        return
    say("yours to clear: the source and its versions, copies outside the workspace, what MLflow keeps")
    if remedy == DELETE:
        _delete(config_path, [paths.run_id for paths in unreadable], held, shown_id, agreed)
    elif remedy == MARK:
        if unreadable:
            say("what has no readable record cannot be marked, nor does any stage work on it")
        _mark(held, agreed)


def _search(spark: SparkSession, workspace: Workspace, keys: DataFrame) -> list[_Held]:
    """Every encoded run, whatever its config's name, with its answer; runs that read the same are asked about once."""
    answers: dict[str, Answer] = {}
    found = []
    for state in runs_of(workspace):
        paths = workspace.run(state.run_id)
        if "encode" not in state.stages and not state.is_half_made:
            continue
        try:
            own = config_of(paths)
        except ConfigError as error:
            found.append(_Held(paths, state, Answer(None, f"its settings cannot be read ({type(error).__name__})")))
            continue
        try:
            snapshot = _snapshot(paths, state, salt_fingerprint(workspace.salt()))
        except ContractError:
            found.append(_Held(paths, state, Answer(None, "it was split by another salt than the one at hand")))
            continue
        settings = own.model_dump(mode="json", include={"seed", "source", "split"})
        question = json.dumps([settings, snapshot.digests, snapshot.versions], sort_keys=True)
        if question not in answers:
            answers[question] = find_subjects(spark, keys, own, snapshot, salt=workspace.salt())
        found.append(_Held(paths, state, answers[question]))
    return found


def _snapshot(paths: RunPaths, state: RunState, salt: str) -> Snapshot:
    """What the run noted of its source; nothing if encoding was broken off, the first time or another.

    Raises:
        ContractError: another salt than the one with this fingerprint split it.
    """
    if "encode" in state.stages and not state.is_done("encode"):
        return Snapshot({}, {})
    try:
        manifest = Manifest.load(paths.manifest)
    except ContractError:
        return Snapshot({}, {})
    manifest.check_salt(salt)
    return Snapshot(manifest.source_digest, state.source_versions)


def _tell(run: _Held, shown: str | None) -> None:
    paths, state, answer = run.paths, run.state, run.answer
    if answer.by_split is None:
        say(f"run {state.run_id}: counts as holding them, since it cannot be told: {answer.basis}")
    else:
        numbers = ", ".join(f"{number:,} {split}" for split, number in answer.by_split.items() if number)
        say(f"run {state.run_id}: holds {numbers} ({answer.basis})")
    if paths.sequences.exists():
        say(f"  their encoded histories: {paths.sequences}, {told_bytes(bytes_of(paths.sequences))}")
    if paths.checkpoint.exists():
        learned = answer.by_split is None or answer.by_split[TRAINING] or answer.by_split[VALIDATION]
        say(f"  a model that {'learned' if learned else 'did not learn'} from them: {paths.checkpoint}")
    number = publication_of(state)
    if number is not None:
        say(f"  publication {number}" + (", which the views show" if state.run_id == shown else ""))
    if state.mlflow_run_id:
        say(f"  MLflow run {state.mlflow_run_id}, with the model if it was registered")
    if state.parent:
        say(f"  its model was trained by {state.parent}")
    if state.retrain:
        say(f"  marked for retraining: {state.retrain}")


def _delete(
    config_path: str | Path, unreadable: list[str], held: list[_Held], shown: str | None, agreed: Callable[[str], bool]
) -> None:
    # generations before the run whose sequences they read
    doomed = [run.state.run_id for run in reversed(held)] + unreadable
    if shown in doomed:
        raise ContractError(
            f"run {shown}: the views show it, so its rows must stay for now; publish a run without these subjects "
            f"first (take them out of the source, then: synth-spark run {config_path} --fresh), or use --mark; nothing "
            "was done"
        )
    for run_id in doomed:
        delete_run(config_path, run_id, agreed=partial(agreed, f"delete {run_id}?"))


def _mark(held: list[_Held], agreed: Callable[[str], bool]) -> None:
    unmarked = [run for run in held if not run.state.retrain]
    if not unmarked or not agreed(f"mark {len(unmarked)} runs for retraining?"):
        say("nothing was marked")
        return
    with ExitStack() as stack:
        for run in unmarked:
            stack.enter_context(nobodys_run(run.paths))
        for run in unmarked:
            state = load_state(run.paths)
            state.retrain = f"it holds subjects that were to be erased, {utc_now()}"
            save_state(run.paths, state)
            say(f"marked {state.run_id}: it is not sampled, decoded, judged or published any more")
