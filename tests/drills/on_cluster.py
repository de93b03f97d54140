"""Faults on a standalone cluster: executors, worker machines and Python workers that die, hang or lack memory."""

from __future__ import annotations

import dataclasses
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from synth_spark.columns import EVENTS_TABLE, RUN_ID, SUBJECTS_TABLE
from tests.drills.yard import PATIENCE, Outcome, Yard, said, wait_for
from tests.standalone import Standalone, end, standalone

SUBJECTS = 30_000


@contextmanager
def cluster_of(yard: Yard, **settings: str) -> Iterator[tuple[Standalone, Yard]]:
    """Two workers, and the same yard whose commands run there."""
    with standalone(Path(tempfile.mkdtemp(prefix="cluster-", dir=yard.folder))) as cluster:
        yield cluster, dataclasses.replace(yard, environment=cluster.environment(**settings))


def undisturbed(yard: Yard) -> tuple[str, str]:
    """Ids of two new generations of the same rows; the first is sampled and decoded on this machine."""
    config, parent = yard.config(), yard.runs()[0].run_id
    ids = []
    for _ in range(2):
        yard.call("sample", config, "--run", parent, "--subjects", str(SUBJECTS))
        ids.append(yard.newest.run_id)
    yard.call("decode", config, "--run", ids[0])
    return ids[0], ids[1]


def lost(what: str, stage: str) -> Callable[[Yard], Outcome]:
    """An executor, or a worker with its executor, dies in a stage; tables equal those of an undisturbed run."""

    def drill(yard: Yard) -> Outcome:
        one, other = undisturbed(yard)
        before = yard.published()
        with cluster_of(yard) as (cluster, there):
            if stage == "sample":
                _lose(cluster, there, what, "sample", yard.config(), "--run", other, "--subjects", str(SUBJECTS))
            else:
                _lose(cluster, there, what, stage, yard.config(), "--run", other)
        if stage == "sample":
            yard.call("decode", yard.config(), "--run", other)
        _same(yard, one, other)
        assert yard.published() == before
        name = "an executor" if what == "executor" else "a worker machine with its executor"
        return Outcome(
            f"kill -9 of {name} of a cluster",
            stage,
            "nothing but Spark's own warning: the tasks are done again elsewhere",
            "all rows, equal to those of an undisturbed run on one machine; published tables as before",
        )

    return drill


def _lose(cluster: Standalone, there: Yard, what: str, *command: str | Path) -> None:
    with there.started(*command) as process:
        wait_for(lambda: _is_at_work(cluster) if command[0] == "sample" else cluster.tasks_begun() > 12, process)
        if what == "machine":
            victim = cluster.workers[0]
            assert psutil.Process(victim.pid).children(), "the machine that goes away does nothing"
            end(victim)
        else:
            executor = cluster.executors()[0]
            for one in (*executor.children(recursive=True), executor):
                one.kill()
        assert process.poll() is None, "the command had ended before"
        told, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told[-4000:]


def _is_at_work(cluster: Standalone) -> bool:
    """Both executors sample: their Python workers have used a second of processor time."""
    times = [sum(process.cpu_times()[:2]) for process in cluster.python_workers()]
    return sum(seconds > 4 for seconds in times) >= 2


def _same(yard: Yard, one: str, other: str) -> None:
    for name in (SUBJECTS_TABLE, EVENTS_TABLE):
        rows = yard.spark.read.format("delta").load(str(yard.workspace.published / name))
        first, second = (rows.where(rows[RUN_ID] == run).drop(RUN_ID) for run in (one, other))
        assert first.count() == second.count() > 0
        assert first.exceptAll(second).isEmpty() and second.exceptAll(first).isEmpty()


def speculation(yard: Yard) -> Outcome:
    """A Python worker hangs; with speculative execution a copy of its task ends the stage."""
    one, other = undisturbed(yard)
    eager = {"spark.speculation": "true", "spark.speculation.quantile": "0.3", "spark.speculation.multiplier": "1.2"}
    with cluster_of(yard, **eager) as (cluster, there):
        command = ("sample", yard.config(), "--run", other, "--subjects", str(SUBJECTS))
        with there.started(*command) as process:
            wait_for(lambda: _is_at_work(cluster), process)
            hanging = cluster.python_workers()[0]
            hanging.send_signal(signal.SIGSTOP)
            told, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, told[-4000:]
    yard.call("decode", yard.config(), "--run", other)
    _same(yard, one, other)
    return Outcome(
        "a Python worker of a cluster hangs (SIGSTOP), `spark.speculation` is on",
        "sample",
        "nothing: a second copy of its task is done elsewhere",
        "all rows, once each, equal to those of an undisturbed run on one machine",
    )


def python_memory(yard: Yard) -> Outcome:
    """Python workers may take less memory than a model and a chunk need."""
    one, other = undisturbed(yard)
    command = ("sample", yard.config(), "--run", other, "--subjects", str(SUBJECTS))
    with cluster_of(yard, **{"spark.executor.pyspark.memory": "350m", "spark.executor.memory": "512m"}) as (_, there):
        told = there.call(*command, code=12)
    yard.call(*command)
    yard.call("decode", yard.config(), "--run", other)
    _same(yard, one, other)
    return Outcome(
        "Python workers of a cluster with too little memory (`spark.executor.pyspark.memory`)",
        "sample",
        said(told)[:160],
        "with more memory the same command ends well, with equal rows",
    )


DRILLS: dict[str, Callable[[Yard], Outcome]] = {
    **{f"lose-executor-{stage}": lost("executor", stage) for stage in ("sample", "decode")},
    "lose-machine-sample": lost("machine", "sample"),
    "speculation": speculation,
    "python-memory": python_memory,
}
