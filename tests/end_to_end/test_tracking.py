"""What MLflow keeps of a run, and the model that it serves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import MadeLine
    from pyspark.sql import SparkSession

# what asks for canaries, calibration, longer histories or more columns
NOT_IN_SO_SMALL_A_RUN = {
    "canaries.count", "canaries.exposure", "canaries.auc", "train.calibrate.distance.<round>", "rules.<kind>",
    "profiling.pool", "profiling.<data>.<rank>", "tails.accuracy", "tails.share",
}  # fmt: skip
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


def _json_safe(row: Any) -> dict[str, Any]:
    """A row of Spark as JSON can hold it, written here once more."""
    plain = (int, float, str, type(None))
    return {name: value if isinstance(value, plain) else str(value) for name, value in row.asDict().items()}


def _published(made_line: MadeLine, spark: SparkSession, run_id: str) -> dict[int, dict[str, Any]]:
    """Key -> the subject's row with its events, of the tables that the run wrote."""

    def rows(table: str) -> list[dict[str, Any]]:
        found = spark.read.format("delta").load(str(made_line.workspace.published / table))
        return [_json_safe(row) for row in found.where(f"run_id = '{run_id}'").drop("run_id").collect()]

    subjects = {row["customer id"]: {**row, "events": []} for row in rows("subjects")}
    for event in rows("events"):
        subjects[event["customer id"]]["events"].append(event)
    return {key: {**row, "events": sorted(row["events"], key=json.dumps)} for key, row in subjects.items()}


def test_the_model_answers_with_the_rows_that_the_run_published(
    made_line: MadeLine, store: Any, spark: SparkSession
) -> None:
    import mlflow
    import pandas as pd

    run_id = _first_run(made_line)
    (run,) = [
        store.get_run(version.run_id)
        for version in store.search_model_versions("name = 'made'")
        if store.get_run(version.run_id).data.tags["synth_spark.run_id"] == run_id
    ]
    (version,) = store.search_model_versions(f"run_id = '{run.info.run_id}'")
    model = mlflow.pyfunc.load_model(f"models:/made/{version.version}")
    published, seed = _published(made_line, spark, run_id), int(run.data.params["seed"])
    served = model.predict(pd.DataFrame({"num_subjects": [100, len(published)], "seed": [seed, seed]}))
    assert (
        list(served.columns)
        == ["customer id", "region", "score", "events"]
        == model.metadata.signature.outputs.input_names()
    )
    answered = json.loads(json.dumps(served.to_dict(orient="records"), allow_nan=False))
    assert answered[:100] == answered[100:200]
    assert all(row["events"] == sorted(row["events"], key=lambda event: event["day"]) for row in answered)
    whole = {row["customer id"]: {**row, "events": sorted(row["events"], key=json.dumps)} for row in answered[100:]}
    assert whole == published and len(answered) == 100 + len(published)
    for wrong in (0, 10_001):
        with pytest.raises(mlflow.MlflowException, match="at least 1 and together they must be at most 10000"):
            model.predict(pd.DataFrame({"num_subjects": [wrong], "seed": [1]}))
    folder = made_line.workspace.root / "mlartifacts"
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".pickle", ".pt", ".bin")]
    examples = list(folder.rglob("input_example.json"))
    assert examples and json.loads(examples[0].read_text(encoding="utf-8"))["columns"] == ["num_subjects", "seed"]


def _children(store: Any, run: Any) -> list[Any]:
    """The stages of a run, in the order in which they began."""
    wanted = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    return list(store.search_runs([run.info.experiment_id], wanted, order_by=["attributes.start_time ASC"]))


def test_each_stage_is_a_child_with_its_own_times_and_figures(made_line: MadeLine, store: Any) -> None:
    from synth_spark.pipeline.runs import STAGES

    experiment = store.get_experiment_by_name("made")
    wanted = f"tags.`synth_spark.run_id` = '{_first_run(made_line)}'"
    (run,) = store.search_runs([experiment.experiment_id], wanted)
    children = _children(store, run)
    assert [child.info.run_name for child in children] == list(STAGES)
    assert [child.data.tags["synth_spark.stage"] for child in children] == list(STAGES)
    for child in children:
        assert child.info.status == "FINISHED" and child.data.tags["ended"] == "well"
        seconds = f"seconds.{child.info.run_name}"
        assert child.data.metrics[seconds] == run.data.metrics[seconds]
        assert child.data.metrics.items() <= run.data.metrics.items()
        assert abs((child.info.end_time - child.info.start_time) / 1000 - child.data.metrics[seconds]) < max(
            5, 0.5 * child.data.metrics[seconds]
        )
    work = {stage: run.data.metrics.get(f"spark.{stage}.tasks", 0) for stage in STAGES}
    assert all(work[stage] > 0 for stage in ("encode", "sample", "decode", "qa"))
    assert run.data.metrics["spark.encode.shuffle_write_bytes"] > 0 == run.data.metrics["spark.qa.failed_tasks"]


def _section(heading: str) -> str:
    """Of docs/for-mlops.md."""
    text = (Path(__file__).parents[2] / "docs" / "for-mlops.md").read_text(encoding="utf-8")
    return text.split(f"## {heading}")[1].split("\n## ")[0]


def _names(table: str) -> list[str]:
    """Between backticks in the first column."""
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def _documented() -> tuple[list[str], list[str]]:
    """Names of metrics, and what may stand behind them."""
    table, behind = _section("Metric names").split("Behind such a name")
    return _names(table), re.findall(r"`(\.\w+)`", behind)


def _pattern(name: str, behind: list[str]) -> re.Pattern[str]:
    """`<table>`, `<field>`, `<criterion>`, `<what>` and `<parameter>` stand for anything, other places for one word."""
    wide = re.sub(r"<(table|field|criterion|what|parameter)>", ".+", re.escape(name))
    return re.compile(re.sub(r"<\w+>", r"\\w+", wide) + f"({'|'.join(map(re.escape, behind))})*")


def test_every_metric_has_a_name_that_is_documented(made_line: MadeLine, store: Any) -> None:
    experiment = store.get_experiment_by_name("made")
    wanted = f"tags.`synth_spark.run_id` = '{_first_run(made_line)}'"
    (run,) = store.search_runs([experiment.experiment_id], wanted)
    logged = set(run.data.metrics).union(*(child.data.metrics for child in _children(store, run)))
    names, behind = _documented()
    patterns = {name: _pattern(name, behind) for name in names}
    assert not [name for name in logged if not any(pattern.fullmatch(name) for pattern in patterns.values())]
    unused = {name for name, pattern in patterns.items() if not any(map(pattern.fullmatch, logged))}
    assert unused <= NOT_IN_SO_SMALL_A_RUN, "documented, but never logged"


def test_every_tag_has_a_name_that_is_documented(made_line: MadeLine, store: Any) -> None:
    experiment = store.get_experiment_by_name("made")
    wanted = f"tags.`synth_spark.run_id` = '{_first_run(made_line)}'"
    (run,) = store.search_runs([experiment.experiment_id], wanted)
    runs, stages = set(run.data.tags), {tag for child in _children(store, run) for tag in child.data.tags}
    set_by_us = {tag for tag in runs | stages if not tag.startswith("mlflow.")}
    patterns = {name: _pattern(name, []) for name in _names(_section("Tags"))}
    assert not [tag for tag in set_by_us if not any(pattern.fullmatch(tag) for pattern in patterns.values())]
    unused = {name for name, pattern in patterns.items() if not any(map(pattern.fullmatch, set_by_us))}
    assert unused == {"synth_spark.parent", "changed.<parameter>"}, "documented, but never set"
    for row in (line.split("|") for line in _section("Tags").splitlines() if line.startswith("| `")):
        for name in re.findall(r"`([^`]+)`", row[1]):
            on = [any(map(patterns[name].fullmatch, tags)) for tags in (runs, stages)]
            expected = {"runs": [True, False], "stages": [False, True], "both": [True, True]}[row[2].strip()]
            assert on == expected or name in unused, (name, on)
    found = store.search_runs([experiment.experiment_id], "tags.ended = 'well' and tags.`synth_spark.run_id` LIKE '%'")
    assert run.info.run_id in {one.info.run_id for one in found}
    assert not [one for one in found if "synth_spark.stage" in one.data.tags]


def test_each_line_of_the_log_names_its_run_and_stage(made_line: MadeLine) -> None:
    from synth_spark.pipeline.runs import STAGES

    run_id = _first_run(made_line)
    text = made_line.workspace.run(run_id).log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["run_id"] for line in lines} == {run_id}
    assert set(STAGES) <= {line["stage"] for line in lines} <= {*STAGES, "line"}
    assert {line["stage"] for line in lines if line["message"] == "done" and line["seconds"] > 0} == set(STAGES)


def _tracked(run_id: str) -> Any:
    from synth_spark.tracking import Tracker

    return Tracker(Path("unused"), experiment="stages", run_id=run_id, tags={})


def test_a_stage_that_a_killed_process_left_open_ends_when_the_run_goes_on(store: Any) -> None:
    with _tracked("killed") as first:
        first.stage_begun("train")  # and never ended
        first.unfinished()
    with _tracked("killed") as second:
        second.stage_begun("train")
        second.stage_ended({"seconds.train": 2.0}, {"ended": "TrainingError: rank 1 failed; look there"}, well=False)
    assert not first.failures + second.failures
    run = store.get_run(second.mlflow_run_id)
    assert first.mlflow_run_id == run.info.run_id
    assert [child.info.status for child in _children(store, run)] == ["KILLED", "FAILED"]
    assert _children(store, run)[1].data.tags["ended"] == "TrainingError: rank 1 failed; look there"
    assert _children(store, run)[1].data.metrics == {"seconds.train": 2.0}


def test_a_store_that_fails_is_told_and_ends_nothing(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    def refuse(*arguments: Any, **settings: Any) -> None:
        raise OSError("the store is away")

    with _tracked("away") as tracker:
        assert tracker.steps_of("train.loss") == set()  # it is open now
        with monkeypatch.context() as away:
            away.setattr(mlflow.MlflowClient, "create_run", refuse)
            tracker.stage_begun("encode")
            tracker.stage_ended({"seconds.encode": 1.0}, {"ended": "well"}, well=True)
            assert tracker.steps_of("train.loss") == set()
        tracker.metrics({"seconds.encode": 1.0})
        tracker.finished()
    assert tracker.failures == ["OSError: the store is away"]
    run = store.get_run(tracker.mlflow_run_id)
    assert run.info.status == "FINISHED" and run.data.metrics["seconds.encode"] == 1.0 and not _children(store, run)


def test_a_store_that_stays_away_is_left_alone_until_the_next_stage(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    asked: list[int] = []

    def refuse(*arguments: Any, **settings: Any) -> None:
        asked.append(1)
        raise OSError("the store is away")

    with _tracked("gone") as tracker:
        assert tracker.steps_of("first") == set()  # it is open now
        with monkeypatch.context() as away:
            away.setattr(mlflow.MlflowClient, "log_batch", refuse)
            for step in range(9):
                tracker.metrics({"first": 1.0}, step=step)
            assert tracker.steps_of("first") == set()
        assert len(asked) == 3
        tracker.metrics({"lost": 1.0})
        tracker.stage_begun("qa")
        tracker.metrics({"second": 2.0})
        tracker.stage_ended({}, {}, well=True)
        tracker.finished()
    assert len(tracker.failures) == 4 and "until the next stage" in tracker.failures[-1]
    run = store.get_run(tracker.mlflow_run_id)
    assert run.info.status == "FINISHED" and run.data.metrics["second"] == 2.0 and "lost" not in run.data.metrics


def test_the_gate_moves_the_aliases_and_tells_why(made_line: MadeLine, store: Any) -> None:
    champion = store.get_model_version_by_alias("made", "champion")
    run = store.get_run(champion.run_id).data
    assert run.tags["publish.gate"] == "passed" and run.metrics["gate.passed"] == 1.0
    newest = max(store.search_model_versions("name = 'made'"), key=lambda version: int(version.version))
    assert store.get_model_version_by_alias("made", "candidate").version == newest.version
    assert run.tags["gate.membership.auc"].startswith("met: ")
    assert run.metrics["gate.membership.auc.met"] == 1.0 and run.metrics["gate.membership.auc.limit"] == 1.0
    assert run.metrics["qa.evaluations"] >= 1


@pytest.mark.parametrize(("forced", "promoted"), [(0, ["of its parent"]), (1, [])])
def test_force_makes_no_champion(tmp_path: Path, forced: int, promoted: list[str]) -> None:
    """What was drawn from another run's model makes that one the champion."""
    from types import SimpleNamespace

    from synth_spark.pipeline.runs import RunState, save_state
    from synth_spark.pipeline.tracked import _published
    from synth_spark.workspace import Workspace

    workspace = Workspace.at(tmp_path)
    trained = RunState("trained", "n", "2026", "digest", "commit", {}, mlflow_run_id="of its parent")
    save_state(workspace.run("trained"), trained)
    drawn = RunState("drawn", "n", "2026", "digest", "commit", {}, mlflow_run_id="its own", parent="trained")
    calls: list[str] = []
    run = SimpleNamespace(tracker=SimpleNamespace(promote=calls.append), state=drawn, workspace=workspace)
    _published(run, {"forced": forced})  # type: ignore[arg-type]
    assert calls == promoted


def test_the_champion_is_the_model_that_was_drawn_from(store: Any) -> None:
    store.create_registered_model("stages")
    with _tracked("trains") as first:
        first.unfinished()
    version = store.create_model_version("stages", "folder", run_id=first.mlflow_run_id).version
    with _tracked("draws") as second:
        second.promote(first.mlflow_run_id)
        second.promote()  # of its own it has none
        second.finished()
    assert store.get_model_version_by_alias("stages", "champion").version == version
    assert len(second.failures) == 1 and "has no registered model, so alias champion stays" in second.failures[0]
