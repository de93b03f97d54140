"""Runs, metrics, artifacts and models in MLflow; nothing else of the package imports it but the served model. [mlflow]

MLflow takes seconds to import and to open its database, so all of it happens on one thread of its own, in order, while
the line goes on. A tracking store that fails never ends a run: the failures are counted, logged and told at the end.
Code here keeps to what MLflow 2.13 has, too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from synth_spark.errors import EnvironmentProblem, SynthError, one_line

RUN_TAG = "synth_spark.run_id"
STAGE_TAG = "synth_spark.stage"  # of the child runs
BEING_LOGGED = "SYNTH_SPARK_MODEL_IS_LOGGED"  # environment; MLflow 3 loads and asks each model that it logs
ENDED = "ended"  # tag: how the last work on a run, or a stage, ended: well, or what, why and what to do
CANDIDATE, CHAMPION = "candidate", "champion"  # alias of a trained model, and of the one that passed the gate
EXPERIMENT_FOLDER = "SYNTH_SPARK_EXPERIMENT_FOLDER"  # environment; Databricks wants experiments in a workspace folder
_TRACKING_URI = "MLFLOW_TRACKING_URI"
_PARENT_TAG = "mlflow.parentRunId"
_NAME = re.compile(r"[^\w\-. :]")  # what MLflow does not allow in names of parameters and metrics, or takes for a path
_USER = re.compile(r"//[^/@\s]*@")  # who logs in, inside an address
_IN_A_ROW = 3  # failures after which a store is left alone until the next stage: each of them may take minutes
_MAX_NAME = 250  # characters of a name
_MAX_VALUE, _MAX_TAG = 500, 5000  # characters of a parameter and of a tag; the limits of MLflow 2.13
_BATCH, _METRICS = 100, 900  # parameters or tags, and metrics beside tags, per call; the limits of MLflow
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Input:
    """A source table as MLflow lists it: where it was and what it held, by digest; never a row."""

    name: str
    kind: str  # delta, parquet, jdbc, ...
    digest: str
    source: dict[str, Any]  # place, version


@dataclass(frozen=True)
class ModelFiles:
    """What is logged as a model: code as text, weights as safetensors, no pickle."""

    code: Path  # a file that calls mlflow.models.set_model
    folder: Path  # model folder of a checkpoint
    package: Path  # folder of this package, shipped with the model
    settings: dict[str, Any]
    requirements: list[str]
    columns: dict[str, str | dict[str, str]]  # of an answer, with their types; a list of rows has columns of its own


def default_uri(root: Path) -> str:
    """The tracking store: MLFLOW_TRACKING_URI where it is set, else a database in the workspace."""
    return os.environ.get(_TRACKING_URI) or f"sqlite:///{root / 'mlflow.db'}"


def told(text: str) -> str:
    """An address, or a message that may hold one, without who logs in there."""
    return _USER.sub("//...@", text)


def experiment_name(experiment: str) -> str:
    """The experiment's name in the store: with the folder of EXPERIMENT_FOLDER before it, where that is set."""
    folder = os.environ.get(EXPERIMENT_FOLDER, "").rstrip("/")
    return f"{folder}/{experiment}" if folder else experiment


def registered_name(experiment: str, schema: str | None, registry_uri: str) -> str:
    """The model's name in the registry; that of Unity Catalog wants the catalog's schema before it."""
    return f"{schema}.{experiment}" if schema is not None and registry_uri.startswith("databricks-uc") else experiment


class Tracker:
    """One MLflow run, written by a thread of its own in the order of the calls.

    A run of the line has one MLflow run, found by the tag RUN_TAG, also when another process goes on with it. Each
    attempt at a stage is a child of it.
    """

    def __init__(
        self, root: Path, *, experiment: str, run_id: str, tags: Mapping[str, str], schema: str | None = None
    ) -> None:
        self.uri = default_uri(root)
        self._own_store = _TRACKING_URI not in os.environ
        self.mlflow_run_id: str | None = None
        self.failures: list[str] = []
        self._schema = schema  # of a catalog, for models
        self._root, self._experiment, self._run_id, self._tags = root, experiment, run_id, dict(tags)
        self._client: Any = None
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any], bool] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="mlflow", daemon=True)
        self._status = "FAILED"
        self._home = ""  # id of the experiment
        self._child: str | None = None  # the MLflow run of the stage that is at work
        self._failed_in_a_row = 0

    def __enter__(self) -> Tracker:
        self._thread.start()
        self._submit(self._open)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._submit(self._end, again=True)
        self._work.put(None)
        self._thread.join()
        if self._own_store:  # set_tracking_uri put it there, for this process's whole life
            os.environ.pop(_TRACKING_URI, None)

    def finished(self) -> None:
        """Mark the run as ended well; without this call it ends as FAILED."""
        self._status = "FINISHED"

    def unfinished(self) -> None:
        """Leave the run open: later stages will go on with it."""
        self._status = "RUNNING"

    def params(self, values: Mapping[str, Any]) -> None:
        """Parameters; one that has another value already (a stage run again) becomes a tag instead."""
        self._submit(lambda: self._log_params({_clean(key): _short(str(value)) for key, value in values.items()}))

    def metrics(self, values: Mapping[str, Any], *, step: int = 0) -> None:
        """Metrics of one step; values that are no numbers are left out."""
        now = int(time.time() * 1000)
        self._submit(lambda: self._log(self.mlflow_run_id, _metrics(values, step, now), []))

    def stage_begun(self, stage: str) -> None:
        """Begin a child run; one that a killed process left open has ended as KILLED by now."""
        now = int(time.time() * 1000)
        self._submit(lambda: self._begin_child(stage, now), again=True)

    def stage_ended(self, values: Mapping[str, Any], tags: Mapping[str, str], *, well: bool) -> None:
        """End the child run with figures and tags of its own."""
        now = int(time.time() * 1000)
        self._submit(lambda: self._end_child(values, tags, "FINISHED" if well else "FAILED", now), again=True)

    def inputs(self, tables: list[Input]) -> None:
        """The tables that the run learns from."""
        self._submit(lambda: self._log_inputs(tables))

    def artifact(self, file: Path) -> None:
        """A copy of a file."""
        self._submit(lambda: self._client.log_artifact(self.mlflow_run_id, str(file)))

    def text(self, name: str, content: str) -> None:
        """A file of this name and content."""
        self._submit(lambda: self._client.log_text(self.mlflow_run_id, content, name))

    def tags(self, values: Mapping[str, str]) -> None:
        """Tags of the run."""
        self._submit(lambda: self._log(self.mlflow_run_id, [], _tags(values)))

    def model(self, files: ModelFiles) -> None:
        """Log and register a model under the experiment's name, with alias CANDIDATE."""
        self._submit(lambda: self._log_model(files))

    def promote(self, trained_by: str | None = None) -> None:
        """Give a model the alias CHAMPION: the one that an MLflow run logged, by default this one."""
        self._submit(lambda: self._promote(trained_by or self.mlflow_run_id))

    def steps_of(self, metric: str) -> set[int]:
        """Steps at which a metric is logged already; waits for the store."""
        future = self._submit(lambda: {m.step for m in self._client.get_metric_history(self.mlflow_run_id, metric)})
        return future.result() or set()

    def _submit(self, call: Callable[[], Any], *, again: bool = False) -> Future[Any]:
        """Have the thread call this; `again`: also where the store was given up before."""
        future: Future[Any] = Future()
        self._work.put((call, future, again))
        return future

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            call, future, again = item
            if again:
                self._failed_in_a_row = 0
            opened = self.mlflow_run_id is not None or call == self._open
            if not opened or self._failed_in_a_row >= _IN_A_ROW:  # both are noted
                future.set_result(None)
                continue
            try:
                future.set_result(call())
                self._failed_in_a_row = 0
            except Exception as error:  # told at the end; hours of work must not be lost to a store that is away
                future.set_result(None)
                self._note(error)

    def _note(self, error: Exception) -> None:
        self._failed_in_a_row += 1
        self.failures.append(told(f"{type(error).__name__}: {error}"))
        log.warning("MLflow: %s", one_line(error) if isinstance(error, SynthError) else type(error).__name__)
        log.info("MLflow", exc_info=True)
        if self._failed_in_a_row == _IN_A_ROW:
            self.failures.append(f"{_IN_A_ROW} calls failed in a row: no more was sent until the next stage began")

    def _open(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # MLflow would warn where there is no git
        # by its own defaults MLflow asks a server that is away for four minutes, each time
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        for name in ("mlflow", "alembic"):  # database migrations are of no interest here
            logging.getLogger(name).setLevel(logging.ERROR)
        import mlflow

        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(self.uri)
        logging.getLogger("mlflow").setLevel(logging.ERROR)  # the import sets it anew
        self._client = mlflow.MlflowClient()
        self._home = experiment = self._experiment_id()
        found = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{self._run_id}'", max_results=1)
        run = (
            found[0]
            if found
            else self._client.create_run(experiment, run_name=self._run_id, tags={RUN_TAG: self._run_id, **self._tags})
        )
        mlflow.start_run(run_id=run.info.run_id, log_system_metrics=True)
        self.mlflow_run_id = run.info.run_id
        if found:
            self._end_killed(experiment, run.info.run_id)

    def _end_killed(self, experiment: str, parent: str) -> None:
        """Children that are still open were left by a process that is gone: only one at a time works on a run."""
        wanted = f"attributes.status = 'RUNNING' and tags.`{_PARENT_TAG}` = '{parent}'"
        for child in self._client.search_runs([experiment], wanted):
            self._client.set_terminated(child.info.run_id, "KILLED")

    def _begin_child(self, stage: str, time_ms: int) -> None:
        self._child = None
        tags = {_PARENT_TAG: self.mlflow_run_id, STAGE_TAG: stage}
        child = self._client.create_run(self._home, start_time=time_ms, tags=tags, run_name=stage)
        self._child = child.info.run_id

    def _end_child(self, values: Mapping[str, Any], tags: Mapping[str, str], status: str, time_ms: int) -> None:
        child, self._child = self._child, None
        if child is None:  # it was not begun, which is noted
            return
        try:
            self._log(child, _metrics(values, 0, time_ms), _tags(tags))
        finally:
            self._client.set_terminated(child, status, time_ms)

    def _experiment_id(self) -> str:
        name = experiment_name(self._experiment)
        found = self._client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "deleted":
            raise EnvironmentProblem(
                f"MLflow experiment {name}: deleted in its store; restore it there, or give the config another name"
            )
        if found is not None:
            return str(found.experiment_id)
        # with a store of our own the artifacts lie beside it; another store knows where it wants them
        own = (self._root / "mlartifacts").as_uri() if self._own_store else None
        return str(self._client.create_experiment(name, artifact_location=own))

    def _log_params(self, values: dict[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        run = self._client.get_run(self.mlflow_run_id).data
        known, changed = run.params, {key for key in values if f"changed.{key}" in run.tags}
        new = [Param(key, value) for key, value in values.items() if key not in known]
        other = {key: value for key, value in values.items() if key in changed or known.get(key, value) != value}
        tags = [RunTag(f"changed.{key}", value) for key, value in other.items()]
        for start in range(0, max(len(new), len(tags)), _BATCH):
            part = slice(start, start + _BATCH)
            self._client.log_batch(self.mlflow_run_id, params=new[part], tags=tags[part])

    def _log(self, mlflow_run: str | None, metrics: list[Any], tags: list[Any]) -> None:
        """In as few calls as the store allows."""
        while metrics or tags:
            self._client.log_batch(mlflow_run, metrics=metrics[:_METRICS], tags=tags[:_BATCH])
            metrics, tags = metrics[_METRICS:], tags[_BATCH:]

    def _log_inputs(self, tables: list[Input]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        tags = [InputTag("mlflow.data.context", "training")]
        found = [Dataset(table.name, table.digest, table.kind, json.dumps(table.source)) for table in tables]
        self._client.log_inputs(self.mlflow_run_id, [DatasetInput(dataset, tags) for dataset in found])

    def _log_model(self, files: ModelFiles) -> None:
        import mlflow

        name = {"name": "model"} if int(mlflow.__version__.split(".")[0]) >= 3 else {"artifact_path": "model"}
        os.environ[BEING_LOGGED] = "1"
        try:
            mlflow.pyfunc.log_model(
                **name,
                python_model=str(files.code),
                artifacts={"model": str(files.folder)},
                model_config=files.settings,
                code_paths=[str(files.package)],
                pip_requirements=files.requirements,
                signature=_signature(files.columns),
                input_example=_example(),
                registered_model_name=self._model_name(),
            )
        finally:
            del os.environ[BEING_LOGGED]
        version = self._model_version(self.mlflow_run_id)
        if version is not None:
            self._client.set_registered_model_alias(self._model_name(), CANDIDATE, version)

    def _promote(self, mlflow_run: str | None) -> None:
        version = self._model_version(mlflow_run)
        if version is None:
            raise EnvironmentProblem(
                f"MLflow run {mlflow_run} has no registered model, so alias {CHAMPION} stays where it was; "
                "what is published now was drawn from another one"
            )
        self._client.set_registered_model_alias(self._model_name(), CHAMPION, version)

    def _model_name(self) -> str:
        import mlflow

        return registered_name(self._experiment, self._schema, mlflow.get_registry_uri())

    def _model_version(self, mlflow_run: str | None) -> str | None:
        """The newest registered version that an MLflow run made."""
        found = self._client.search_model_versions(f"name = '{self._model_name()}'")
        own = [version for version in found if version.run_id == mlflow_run]
        return max((version.version for version in own), key=int, default=None)

    def _end(self) -> None:
        import mlflow

        mlflow.end_run("FINISHED" if self._status == "RUNNING" else self._status)
        if self._status == "RUNNING":
            self._client.update_run(self.mlflow_run_id, status="RUNNING")


def _metrics(values: Mapping[str, Any], step: int, time_ms: int) -> list[Any]:
    from mlflow.entities import Metric

    numbers = {key: value for key, value in values.items() if isinstance(value, (int, float))}
    return [Metric(_clean(key), float(value), time_ms, step) for key, value in numbers.items()]


def _tags(values: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(_clean(key), str(value)[:_MAX_TAG]) for key, value in values.items()]


def _signature(columns: dict[str, str | dict[str, str]]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array, Object, Property

    def spec(name: str, kind: str | dict[str, str]) -> Any:
        if isinstance(kind, str):
            return ColSpec(DataType[kind], name, required=False)
        return ColSpec(Array(Object([Property(n, DataType[k], required=False) for n, k in kind.items()])), name)

    asked: list[Any] = [ColSpec(DataType.long, "num_subjects"), ColSpec(DataType.long, "seed")]
    return ModelSignature(inputs=Schema(asked), outputs=Schema([spec(*column) for column in columns.items()]))


def _example() -> Any:
    """A request, which holds nothing of any data set."""
    import pandas as pd

    return pd.DataFrame({"num_subjects": [3], "seed": [1]})


def _clean(name: str) -> str:
    """A name that MLflow takes; one that had to be changed stays unlike all others by a digest."""
    clean = _NAME.sub("_", name)
    if clean == name and len(name) <= _MAX_NAME:
        return name
    return f"{clean[: _MAX_NAME - 9]}_{_digest(name)}"


def _short(value: str) -> str:
    """A value that MLflow takes whole; a longer one is cut, and told from others by a digest."""
    return value if len(value) <= _MAX_VALUE else f"{value[: _MAX_VALUE - 12]}... {_digest(value)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
