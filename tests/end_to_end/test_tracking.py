"""What MLflow keeps of a run, and the model that it serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import MadeLine
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def store(made_line: MadeLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import mlflow

    uri = f"sqlite:///{made_line.workspace.root / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)  # what a line in this process has set outranks the environment
    mlflow.set_registry_uri(uri)
    yield mlflow.MlflowClient()


def _first_run(made_line: MadeLine) -> str:
    from synth_spark.pipeline.runs import runs_of

    return runs_of(made_line.workspace, "made")[0].run_id


def test_the_run_tells_how_it_came_about(made_line: MadeLine, store: Any) -> None:
    experiment = store.get_experiment_by_name("made")
    run_id = _first_run(made_line)
    (run,) = store.search_runs([experiment.experiment_id], f"tags.`synth_spark.run_id` = '{run_id}'")
    assert run.info.status == "FINISHED" and run.data.tags["ended"] == "well"
    for name in ("seed", "train.width", "version.torch", "manifest.digest", "manifest.delta_version"):
        assert run.data.params[name], name
    for name in ("accuracy.overall", "accuracy.overall.ceiling", "seconds.train", "peak_memory_bytes", "fit.seconds"):
        assert name in run.data.metrics, name
    learned = [name.removeprefix("bits.") for name in run.data.metrics if name.startswith("bits.")]
    assert any(name.startswith("events.") for name in learned)
    assert all(f"bits_marginal.{name}" in run.data.metrics for name in learned)
    inputs = {item.dataset.name: item.dataset for item in run.inputs.dataset_inputs}
    assert set(inputs) == {"made.subjects", "made.events"}
    assert all(run.data.params[f"source.digest.{n.split('.')[1]}"] == table.digest for n, table in inputs.items())
    assert json.loads(inputs["made.events"].source)["place"].endswith("events.parquet")
    assert any(name.startswith("system/") for name in run.data.metrics)
    steps = [metric.step for metric in store.get_metric_history(run.info.run_id, "validation.loss")]
    assert steps == [1, 2]
    artifacts = {item.path for item in store.list_artifacts(run.info.run_id)}
    assert {"config.yml", "codebook.json", "qa.json", "report.html"} <= artifacts
    assert not any("log" in name for name in artifacts)
    assert str(made_line.workspace.root) in experiment.artifact_location


def test_the_model_serves_what_the_sample_stage_drew(made_line: MadeLine, store: Any, spark: SparkSession) -> None:
    import mlflow
    import pandas as pd

    run_id = _first_run(made_line)
    version = next(
        v
        for v in store.search_model_versions("name = 'made'")
        if store.get_run(v.run_id).data.tags["synth_spark.run_id"] == run_id
    )
    model = mlflow.pyfunc.load_model(f"models:/made/{version.version}")
    seed = int(store.get_run(version.run_id).data.params["seed"])
    served = model.predict(pd.DataFrame({"num_subjects": [70], "seed": [seed]}))
    table = spark.read.format("delta").load(str(made_line.workspace.run(run_id).sampled_sequences))
    rows = table.where("subject_number < 70").orderBy("subject_number").collect()
    assert [list(codes) for codes in served["event_codes"]] == [row.event_codes for row in rows]
    assert [list(codes) for codes in served["static_codes"]] == [row.static_codes for row in rows]
    assert list(served["num_events"]) == [row.num_events for row in rows]
    assert model.metadata.signature is not None
    folder = made_line.workspace.root / "mlartifacts"
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".pickle", ".pt", ".bin")]
    examples = list(folder.rglob("input_example.json"))
    assert examples and json.loads(examples[0].read_text(encoding="utf-8"))["columns"] == ["num_subjects", "seed"]


def test_the_gate_moves_the_aliases_and_tells_why(made_line: MadeLine, store: Any) -> None:
    champion = store.get_model_version_by_alias("made", "champion")
    run = store.get_run(champion.run_id).data
    assert run.tags["publish.gate"] == "passed" and run.metrics["gate.passed"] == 1.0
    newest = max(store.search_model_versions("name = 'made'"), key=lambda version: int(version.version))
    assert store.get_model_version_by_alias("made", "candidate").version == newest.version
    assert run.tags["gate.membership.auc"].startswith("met: ")
    assert run.metrics["gate.membership.auc.met"] == 1.0 and run.metrics["gate.membership.auc.limit"] == 1.0
    assert run.metrics["qa.evaluations"] >= 1


@pytest.mark.parametrize(("forced", "promoted"), [(0, 1), (1, 0)])
def test_force_makes_no_champion(forced: int, promoted: int) -> None:
    from types import SimpleNamespace

    from synth_spark.pipeline.tracked import _published

    calls: list[int] = []
    _published(SimpleNamespace(tracker=SimpleNamespace(promote=lambda: calls.append(1))), {"forced": forced})  # type: ignore[arg-type]
    assert len(calls) == promoted
