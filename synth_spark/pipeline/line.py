"""The whole line in one Spark session, from wherever the last call ended. [plain; each stage loads its own engine]"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import psutil

from synth_spark.config import Config, load_config
from synth_spark.devices import check_device, placement
from synth_spark.errors import GateFailed, GateUndecided
from synth_spark.pipeline.opened import OpenRun, open_run
from synth_spark.pipeline.runs import RunState, config_digest, create_run, load_state, runs_of
from synth_spark.pipeline.stages import check_settings, execute
from synth_spark.pipeline.summary import say, tell_plan, tell_summary
from synth_spark.readers import require_reader
from synth_spark.tracking import told
from synth_spark.workspace import RunPaths, Workspace


def run_line(
    config_path: str | Path, *, run_id: str | None = None, fresh: bool = False, force: bool = False
) -> RunPaths:
    """Run all stages that are not done, and say what came of it.

    Without `run_id`, an unfinished newest run with the same settings goes on with its first stage that is not done;
    else, or with `fresh`, a new run begins. A process that was killed anywhere leaves a run that can go on.

    Raises:
        GateFailed, GateUndecided: the run is complete but was not published.
        SynthError: a stage cannot do its work; the message says what to do.
    """
    began = _command_began()
    config = load_config(config_path)
    workspace = Workspace.of(config.output)
    paths, state, reason = _choose(config, workspace, run_id, fresh)
    tell_plan(config, workspace, state, reason)
    if state.next_stage is None:
        say("nothing to do: all stages are done; without --run a new run begins")
        return paths
    with open_run(config, workspace, paths, catalog=True) as run:
        stopped, stages = _run_stages(run, force)
        run.state.start_up_seconds = time.time() - began - stages
        run.save()
        seconds = time.time() - began
        tell_summary(config, workspace, paths, run.state, seconds=seconds, tracking=told(run.tracker.uri))
        if stopped is not None:
            raise stopped
        run.tracker.finished()
    return paths


_lines = itertools.count()  # that this process has walked


def _command_began() -> float:
    """Seconds since the epoch: the start of this process for its first line, now for those after it (a notebook's)."""
    return time.time() if next(_lines) else psutil.Process(os.getpid()).create_time()


def _choose(config: Config, workspace: Workspace, run_id: str | None, fresh: bool) -> tuple[RunPaths, RunState, str]:
    """The run to work on, and why this one."""
    if run_id is not None and not fresh and workspace.run(run_id).state.exists():
        paths = workspace.run(run_id)
        state = load_state(paths)
        if state.next_stage is not None:
            check_settings(config, paths, state.next_stage)
        return paths, state, "goes on, as asked"
    whole = [run for run in runs_of(workspace, config.name) if not run.is_half_made]
    newest = None if fresh or run_id is not None or not whole else whole[-1]
    if newest is None:
        return *create_run(workspace, config, run_id), "new"
    if newest.next_stage is None:
        return *create_run(workspace, config), f"new; the last one, {newest.run_id}, is complete"
    if newest.config_digest != config_digest(config):
        return *create_run(workspace, config), f"new; the last one, {newest.run_id}, has other settings"
    reason = f"unfinished, goes on with {newest.next_stage}; --fresh begins a new one"
    return workspace.run(newest.run_id), newest, reason


def _run_stages(run: OpenRun, force: bool) -> tuple[Exception | None, float]:
    """All stages that are not done, and their seconds; a gate that says no is returned, to be raised afterwards."""
    stages = 0.0
    train, to_train = run.config.train, not run.state.is_done("train")
    if to_train:  # now, as is the session: encoding may take hours
        require_reader(train.reader)
        check_device(train)
    spark = run.spark  # made now, so that a missing Java or a held catalog is told before hours of work
    assert spark is not None
    if to_train and train.launcher == "cluster":
        placement(train, spark)
    stopped: Exception | None = None
    while stopped is None and (stage := run.state.next_stage) is not None:
        say(f"{stage} ...")
        started = time.perf_counter()
        try:
            execute(run, stage, force=force)
        except (GateFailed, GateUndecided) as error:
            stopped = error
        stages += time.perf_counter() - started
        say(f"{stage} {'stopped' if stopped else 'done'} in {time.perf_counter() - started:.1f} s")
    return stopped, stages
