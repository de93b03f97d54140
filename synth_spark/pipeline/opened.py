"""A run that this process works on: its lock, log, tracker, memory record and Spark session. [plain]"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from synth_spark import logs
from synth_spark.config import Config
from synth_spark.errors import interruption, one_line
from synth_spark.pipeline.lock import run_lock
from synth_spark.pipeline.memory import PeakMemory
from synth_spark.pipeline.runs import RunState, load_state, save_state
from synth_spark.pipeline.spark_totals import spark_totals
from synth_spark.pipeline.summary import say
from synth_spark.workspace import RunPaths, Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from synth_spark.tracking import Tracker


@dataclass
class OpenRun:
    """What a stage of the pipeline needs."""

    config: Config
    workspace: Workspace
    paths: RunPaths
    state: RunState
    tracker: Tracker
    memory: PeakMemory
    catalog: bool  # the session must know the views
    adopted: bool = False  # its config is the run's, and MLflow knows it
    _session: SparkSession | None = field(default=None, repr=False)
    _saving: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def spark(self) -> SparkSession:
        """The session, made on first use."""
        if self._session is None:
            from synth_spark.pipeline.cluster import check_cluster
            from synth_spark.session import get_spark

            self._session = get_spark(workspace=self.workspace, catalog=self.catalog)
            check_cluster(self._session, self.workspace.root)
            _check_catalog(self._session, self.workspace)
        return self._session

    def spark_totals(self) -> dict[str, int]:
        """What Spark did so far, without making a session for the question."""
        return spark_totals(self._session)

    def save(self) -> None:
        """Write run.json with what is known by now."""
        with self._saving:
            self.state.mlflow_run_id = self.tracker.mlflow_run_id or self.state.mlflow_run_id
            self.state.peak_memory_bytes = max(self.state.peak_memory_bytes, self.memory.peak_bytes)
            save_state(self.paths, self.state)


@contextmanager
def open_run(config: Config, workspace: Workspace, paths: RunPaths, *, catalog: bool) -> Iterator[OpenRun]:
    """Hold a run while inside. A Spark session that is made in here is stopped at the end, one that was there stays.

    Raises:
        ContractError: another process works on the run, or its record is damaged.
    """
    from synth_spark.tracking import ENDED, Tracker

    with ExitStack() as stack:
        stack.enter_context(run_lock(paths.folder))
        state = load_state(paths)  # now: whoever held the run before may have changed it
        tags = {"synth_spark.version": state.versions["synth_spark"], "git_commit": state.git_commit}
        stack.enter_context(logs.configure(paths.run_id, paths.log))
        memory = stack.enter_context(PeakMemory())
        schema = None if workspace.views.catalog is None else str(workspace.views)
        tracker = Tracker(workspace.root, experiment=config.name, run_id=paths.run_id, tags=tags, schema=schema)
        stack.callback(_tell_failures, tracker)
        stack.enter_context(tracker)
        run = OpenRun(config, workspace, paths, state, tracker, memory, catalog)
        found, interrupted = _has_session(), False
        try:
            yield run
            tracker.tags({ENDED: "well"})
        except BaseException as error:
            interrupted = interruption(error) is not None
            tracker.tags({ENDED: one_line(error)})
            # below the console's level: whoever called says the message, the traceback is for the file
            logs.stage_logger("line").info("ended by %s", one_line(error), exc_info=True)
            raise
        finally:
            run.save()
            tracker.metrics({"peak_memory_bytes": state.peak_memory_bytes})
            if run._session is not None and not found:
                # the signal that ended the run may have ended Spark's JVM, too
                with suppress(*([Exception] if interrupted else [])):
                    run._session.stop()


def _tell_failures(tracker: Tracker) -> None:
    for failure in tracker.failures:
        say(f"MLflow is not complete: {failure}")


@contextmanager
def session(workspace: Workspace | None = None) -> Iterator[SparkSession]:
    """A Spark session for a workspace's tables. One that is made in here is stopped at the end, others stay.

    Raises:
        ConfigError: it does not know the catalog of the workspace's tables.
    """
    from synth_spark.pipeline.cluster import check_cluster
    from synth_spark.session import get_spark

    found = _has_session()
    spark = get_spark(workspace=workspace)
    try:
        if workspace is not None:
            check_cluster(spark, workspace.root)
            _check_catalog(spark, workspace)
        yield spark
    finally:
        if not found:
            spark.stop()


def _check_catalog(spark: SparkSession, workspace: Workspace) -> None:
    """Before work: whether the session knows the catalog that the config names."""
    if workspace.views.catalog is not None:
        from synth_spark.tables import check_catalog

        check_catalog(spark, workspace.views.catalog)


def _has_session() -> bool:
    """Whether this process has a session already, without loading pyspark for the question.

    On a Databricks runtime there always is one, and it is the cluster's: later tasks need it.
    """
    import os
    import sys

    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        return True
    if "pyspark.sql" not in sys.modules:
        return False
    from pyspark import SparkContext

    return SparkContext._active_spark_context is not None
