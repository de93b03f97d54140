"""Single stages of a run: what each needs, calls and leaves behind. [plain; each stage loads its own engine]"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from synth_spark.codebook import Codebook
from synth_spark.columns import STAGES_TABLE
from synth_spark.config import Config, dump_config, load_config
from synth_spark.errors import ConfigError, ContractError, one_line
from synth_spark.files import replace_text
from synth_spark.logs import stage_logger
from synth_spark.manifest import Manifest
from synth_spark.model.facts import read_facts
from synth_spark.pipeline.inventory import bytes_of, readers_of
from synth_spark.pipeline.live import LiveMetrics
from synth_spark.pipeline.opened import OpenRun, open_run
from synth_spark.pipeline.runs import (
    DONE,
    FAILED,
    STAGES,
    Figures,
    changed_sections,
    check_usable,
    config_digest,
    create_run,
    find_run,
)
from synth_spark.pipeline.spark_totals import work_between
from synth_spark.pipeline.tracked import describe_run, stage_ended, stage_failed
from synth_spark.workspace import RunPaths, Workspace

_CHANGES_PUBLISHED_ROWS = ("encode", "train", "sample", "decode")


def run_stage(
    stage: str,
    config_path: str | Path,
    run_id: str | None = None,
    *,
    force: bool = False,
    subjects: int | None = None,
) -> tuple[RunPaths, Figures]:
    """Run one stage of a run: by default of the newest one; encode begins a new run.

    Args:
        stage: one of STAGES.
        config_path: the YAML file; settings of this and later stages may differ from the run's, earlier ones not.
        run_id: the run to work on.
        force: publish although the gate says no.
        subjects: for sample, how many; a run that is decoded already gets a new generation, see generations.py.

    Returns:
        Where the run is, and the stage's figures.

    Raises:
        ContractError: an earlier stage is missing, was made with other settings, or the run is published.
    """
    config = load_config(config_path)
    workspace = Workspace.of(config.output)
    paths = _run_for(stage, config, workspace, run_id, subjects)
    with open_run(config, workspace, paths, catalog=stage == "publish") as run:
        if stage == "sample":
            _check_ready(run, stage, subjects)  # first: what is refused leaves the run as it was
            run.state.subjects = subjects
        figures = execute(run, stage, force=force)
        if run.state.next_stage is None:
            run.tracker.finished()
        else:
            run.tracker.unfinished()
    return paths, figures


def execute(run: OpenRun, stage: str, *, force: bool = False) -> Figures:
    """Run a stage of an open run, with its record in run.json, its log and its metrics.

    Raises:
        ContractError: what the stage needs is missing or belongs to something else.
    """
    log = stage_logger(stage)
    _check_ready(run, stage, run.state.subjects)
    _adopt_config(run, stage)
    state = run.state
    state.begin(stage)
    run.save()
    log.info("started")
    run.tracker.stage_begun(stage)
    record, started, before = state.stages[stage], time.perf_counter(), run.spark_totals()
    try:
        figures = _CALLS[stage](run, force)
    except BaseException as error:
        record.status, record.seconds, record.error = FAILED, time.perf_counter() - started, type(error).__name__
        record.run_bytes = bytes_of(run.paths.folder)
        run.save()
        log.info("failed: %s", one_line(error))
        stage_failed(run, stage, record.seconds, error)
        if state.at_rest:
            _record_costs(run)
        raise
    record.status, record.seconds, record.figures = DONE, time.perf_counter() - started, figures
    record.run_bytes, record.spark = bytes_of(run.paths.folder), work_between(before, run.spark_totals())
    run.save()
    log.info("done", extra={"seconds": record.seconds, **{f"figure.{key}": value for key, value in figures.items()}})
    work = {f"spark.{stage}.{name}": number for name, number in record.spark.items()}
    stage_ended(run, stage, figures, {f"seconds.{stage}": record.seconds, **work})
    if stage == STAGES[-1]:
        _record_costs(run)
    return figures


def _record_costs(run: OpenRun) -> None:
    """The run's stages into the table of all runs, now that its publication is decided; that outranks this record."""
    try:
        _append_costs(run)
    except Exception as error:
        stage_logger("line").warning("the table %s has no rows of this run: %s", STAGES_TABLE, type(error).__name__)
        stage_logger("line").info("costs of stages", exc_info=True)


def _append_costs(run: OpenRun) -> None:
    from synth_spark.publish.costs import StageCost, record_costs

    run_id, name = run.paths.run_id, run.state.name
    costs = [
        StageCost(
            run_id,
            name,
            stage,
            datetime.fromisoformat(record.started),
            record.seconds,
            record.status,
            record.error,
            record.run_bytes,
            {key: float(value) for key, value in record.figures.items() if isinstance(value, int | float)},
            record.spark,
        )
        for stage, record in run.state.own_stages.items()
    ]
    record_costs(run.spark, run.workspace.published / STAGES_TABLE, run_id, costs)


def _run_for(
    stage: str, config: Config, workspace: Workspace, run_id: str | None, subjects: int | None = None
) -> RunPaths:
    if stage not in STAGES:
        raise ConfigError(f"stage: {stage!r} is unknown; allowed: {', '.join(STAGES)}")
    if stage == "encode" and (run_id is None or not workspace.run(run_id).state.exists()):
        return create_run(workspace, config, run_id)[0]
    state = find_run(workspace, config.name, run_id)
    paths = workspace.run(state.run_id)
    check_usable(state)
    check_settings(config, paths, stage)
    if stage == "sample" and (state.is_done("decode") or state.publish_begun):
        from synth_spark.pipeline.generations import new_generation

        _check_keys(config, paths, subjects)
        return new_generation(workspace, paths, state)
    return paths


def check_settings(config: Config, paths: RunPaths, stage: str) -> None:
    """Whether a run may go on at `stage` with this config.

    Raises:
        ContractError: settings that earlier stages used have changed since, or the run is another data set's.
    """
    before, own = STAGES[: STAGES.index(stage)], config_of(paths)
    if own.name != config.name:
        raise ContractError(
            f"run {paths.run_id}: is a run of {own.name}, and the config's name is {config.name}; "
            "name another run, or another config"
        )
    changed = changed_sections(config, own, before)
    if changed:
        raise ContractError(
            f"run {paths.run_id}: settings of earlier stages changed since ({', '.join(changed)}); "
            "start a new run with them, or give the run's own config.yml"
        )


def _adopt_config(run: OpenRun, stage: str) -> None:
    """The config at hand becomes the run's own, once it is held and the stage may begin: a refused one changes none."""
    if run.adopted:
        return
    check_settings(run.config, run.paths, stage)  # again: whoever held the run before may have changed them
    run.state.config_digest = config_digest(run.config)
    replace_text(run.paths.config, dump_config(run.config))
    describe_run(run)
    run.adopted = True


def config_of(paths: RunPaths) -> Config:
    """The config that a run was made with."""
    return load_config(paths.config)


def _check_ready(run: OpenRun, stage: str, subjects: int | None) -> None:
    """Earlier stages are done, what they left belongs together, and keys can name so many synthetic subjects."""
    check_usable(run.state)
    index, paths = STAGES.index(stage), run.paths
    missing = [earlier for earlier in STAGES[:index] if not run.state.is_done(earlier)]
    if missing:
        raise ContractError(f"{stage}: run {paths.run_id} has no finished {missing[0]} stage; run it first")
    # decode also where the record knows of none: a catalog keeps the rows of a run whose folder was removed
    if stage == "decode" or (stage in _CHANGES_PUBLISHED_ROWS and run.state.publish_begun):
        _check_unpublished(run, stage)
    if stage == "encode":
        _check_unread(run)
    if index > STAGES.index("encode"):
        fingerprint = Codebook.load(paths.codebook).fingerprint
        _same(run, "the manifest", Manifest.load(paths.manifest).codebook_fingerprint, fingerprint)
        if index > STAGES.index("train"):
            model = read_facts(paths.checkpoint / "model")
            _same(run, "the checkpoint", model["codebook_fingerprint"], fingerprint)
        if stage in ("train", "sample"):  # not only when keys are made, hours later
            _check_keys(run.config, run.paths, subjects)


def _check_keys(config: Config, run: RunPaths, subjects: int | None) -> None:
    from synth_spark.decode.keys import check_room
    from synth_spark.sample.stage import plan_sample

    codebook = Codebook.load(run.codebook)
    table = codebook.subjects or codebook.events
    if table is not None and table.key is not None:
        check_room(table.type_of(table.key), plan_sample(config, codebook, subjects).num_subjects)


def _same(run: OpenRun, what: str, found: str, fingerprint: str) -> None:
    if found != fingerprint:
        raise ContractError(
            f"run {run.paths.run_id}: {what} belongs to codebook {found}, codebook.json is {fingerprint}; "
            "run the stage that made it again"
        )


def _check_unpublished(run: OpenRun, stage: str) -> None:
    from synth_spark.columns import RUNS_TABLE
    from synth_spark.publish.publications import is_published

    if is_published(run.spark, run.workspace.published / RUNS_TABLE, run.paths.run_id):
        raise ContractError(
            f"{stage}: run {run.paths.run_id} is published, so its rows must not change; start a new run, "
            "or make more subjects from its model: synth-spark sample --run ... --subjects N"
        )


def _check_unread(run: OpenRun) -> None:
    readers = [state.run_id for state in readers_of(run.workspace, run.paths.run_id)]
    if readers:
        raise ContractError(
            f"encode: run {run.paths.run_id}: {', '.join(readers[:5])} was drawn from its model and is judged by its "
            "sequences, so they stay as they are; begin a new run: encode without --run, or with another id"
        )


def _encode(run: OpenRun, force: bool) -> Figures:
    from synth_spark.encode.stage import run_encode
    from synth_spark.publish.views import check_room

    if run.workspace.views.catalog is not None:  # now: where publish finds out, hours of work are done
        check_room(run.spark, run.workspace.views)
    workspace = run.workspace
    return run_encode(run.spark, run.config, run.paths, salt=workspace.salt(), published=workspace.published)


def _train(run: OpenRun, force: bool) -> Figures:
    from synth_spark.train.stage import run_train

    spark = run.spark if run.config.train.needs_spark else None
    with LiveMetrics(run.paths.checkpoint / "metrics.jsonl", run.tracker):
        return run_train(spark, run.config, run.paths)


def _sample(run: OpenRun, force: bool) -> Figures:
    from synth_spark.sample.stage import run_sample

    return run_sample(run.spark, run.config, run.paths, subjects=run.state.subjects)


def _decode(run: OpenRun, force: bool) -> Figures:
    from synth_spark.decode.stage import run_decode

    return run_decode(run.spark, run.config, run.paths, published=run.workspace.published)


def _qa(run: OpenRun, force: bool) -> Figures:
    from synth_spark.pipeline.evidence import evaluate

    return evaluate(run)


def _publish(run: OpenRun, force: bool) -> Figures:
    from synth_spark.pipeline.evidence import publish

    return publish(run, force=force)


_CALLS: dict[str, Callable[[OpenRun, bool], dict[str, Any]]] = {
    "encode": _encode,
    "train": _train,
    "sample": _sample,
    "decode": _decode,
    "qa": _qa,
    "publish": _publish,
}
