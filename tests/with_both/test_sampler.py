"""From one checkpoint and seed the same rows, whatever partitions, retries or neighbours."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest
import torch

from synth_spark.config import Config
from synth_spark.errors import ContractError
from synth_spark.model.checkpoint import file_digest, save_checkpoint
from synth_spark.model.network import ModelConfig, SequenceModel
from synth_spark.sample.plan import SamplePlan
from synth_spark.sample.stage import plan_sample
from synth_spark.sample.udf import sample_chunks
from synth_spark.sample.worker import load_generator, sample_rows
from tests import toy

PLAN = SamplePlan(num_subjects=1000, chunk_subjects=128, seed=11)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    toy.codebook().save(folder / "codebook.json")
    torch.manual_seed(0)
    config = ModelConfig(toy.STATIC_CARDINALITIES, toy.EVENT_CARDINALITIES, toy.LOWS, toy.HIGHS, width=16, hidden=8)
    save_checkpoint(folder / "model", SequenceModel(config), folder / "codebook.json", {})
    return folder / "model"


def sampled(spark, folder, plan=PLAN, *, partitions=1, chunks=None) -> list[tuple]:
    rows = sample_chunks(
        spark,
        plan,
        model_folder=folder,
        weights_digest=file_digest(folder / "weights.safetensors"),
        chunks=chunks or range(plan.num_chunks),
        num_partitions=partitions,
    )
    return sorted((r[0], r[1], r[2], tuple(r[3]), tuple(r[4])) for r in rows.collect())


@pytest.fixture(scope="module")
def expected(spark_session, model_folder):
    return sampled(spark_session, model_folder)


def test_rows_are_the_planned_subjects(expected):
    assert [row[0] for row in expected] == list(range(1000))
    assert {row[1] for row in expected} == {"synthetic"}
    assert all(len(row[4]) == 2 * row[2] for row in expected)


@pytest.mark.parametrize("partitions", [3, 7])
def test_the_same_for_any_number_of_partitions(spark, model_folder, expected, partitions):
    assert sampled(spark, model_folder, partitions=partitions) == expected


def test_tasks_need_no_disk_of_the_drivers(spark, model_folder, expected, tmp_path):
    """The folder is gone before the first task begins."""
    copy = shutil.copytree(model_folder, tmp_path / "model")
    digest = file_digest(copy / "weights.safetensors")
    rows = sample_chunks(
        spark, PLAN, model_folder=copy, weights_digest=digest, chunks=range(PLAN.num_chunks), num_partitions=2
    )
    shutil.rmtree(copy)
    assert sorted(row[0] for row in rows.select("subject_number").collect()) == [row[0] for row in expected]


def test_a_single_chunk_can_be_made_again_alone(spark, model_folder, expected):
    assert sampled(spark, model_folder, chunks=range(5, 6)) == expected[5 * 128 : 6 * 128]


def test_fewer_subjects_are_a_prefix(spark, model_folder, expected):
    assert sampled(spark, model_folder, SamplePlan(100, 128, 11)) == expected[:100]


def test_another_seed_gives_other_subjects_of_the_same_kind(spark, model_folder, expected):
    other = sampled(spark, model_folder, SamplePlan(1000, 128, 12))
    assert sum(a == b for a, b in zip(other, expected, strict=True)) < 300
    mean = sum(row[2] for row in expected) / 1000
    assert sum(row[2] for row in other) / 1000 == pytest.approx(mean, rel=0.15)


def test_flat_data_is_sampled(spark, tmp_path):
    """Subjects without events, in the same schema."""
    toy.flat_codebook().save(tmp_path / "codebook.json")
    config = ModelConfig(toy.FLAT_CARDINALITIES, (), (0,), (0,), hidden=8)
    save_checkpoint(tmp_path / "model", SequenceModel(config), tmp_path / "codebook.json", {})
    rows = sampled(spark, tmp_path / "model", partitions=2)
    assert [row[0] for row in rows] == list(range(1000))
    assert {(row[2], len(row[3]), row[4]) for row in rows} == {(0, 3, ())}


@pytest.mark.parametrize(
    ("set_to", "events_per_subject", "expected"), [(None, 3, 4096), (None, 50_000, 159), (400, 50_000, 400)]
)
def test_the_chunk_follows_from_the_codebook_unless_it_is_set(set_to, events_per_subject, expected):
    source = {"events": [{"path": "events", "key": "id", "order_by": "at"}]}
    config = Config.model_validate({"name": "toy", "source": source, "sample": {"chunk_subjects": set_to}})
    book = dataclasses.replace(
        toy.codebook(),
        num_subjects={"training": 900, "validation": 100, "holdout": 0},
        num_events={"training": 900 * events_per_subject, "validation": 100 * events_per_subject, "holdout": 0},
    )
    plan = plan_sample(config, book, None)
    assert (plan.num_subjects, plan.chunk_subjects) == (1000, expected)


def test_the_same_after_a_killed_python_worker(spark, model_folder):
    """One Python worker is killed while it samples; its task is tried again and nothing changes."""
    plan = SamplePlan(num_subjects=60_000, chunk_subjects=2000, seed=4)
    expected = sampled(spark, model_folder, plan, partitions=4)
    stop = threading.Event()
    killer = threading.Thread(target=_kill_workers, args=(stop, lambda: _failed_tasks(spark, "killed") > 0))
    killer.start()
    spark.sparkContext.setJobGroup("killed", "")
    try:
        found = sampled(spark, model_folder, plan, partitions=4)
    finally:
        stop.set()
        killer.join()
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    assert _failed_tasks(spark, "killed") > 0, "no worker that worked was killed: the test proved nothing"
    assert found == expected


def _failed_tasks(spark, group: str) -> int:
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    return sum(stage.numFailedTasks for stage in stages if stage)


def _kill_workers(stop: threading.Event, failed: Callable[[], bool]) -> None:
    """Kill Python workers until a task has failed: only those that work, for an idle one is replaced unnoticed."""
    before: dict[int, float] = {}
    while not stop.wait(0.1) and not failed():
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                parent = process.parent()
                if not parent or not all("pyspark.daemon" in own.cmdline() for own in (process, parent)):
                    continue
                worked = sum(process.cpu_times()[:2])
                if worked > before.setdefault(process.pid, worked) + 0.1:
                    os.kill(process.pid, signal.SIGKILL)
                    break


def files_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_worker_asks_once_for_a_model_and_leaves_nothing(model_folder, tmp_path):
    asked = []

    def files():
        asked.append(1)
        return files_of(model_folder)

    one, other = (load_generator("once", 1, files, str(tmp_path)) for _ in range(2))
    assert one is other and asked == [1] and not list(tmp_path.iterdir())


def test_an_altered_model_is_refused_before_any_task(spark, model_folder, tmp_path):
    shutil.copytree(model_folder, tmp_path / "model")
    digest = file_digest(model_folder / "weights.safetensors")
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(ContractError, match="does not match its digest"):
        sample_chunks(
            spark, PLAN, model_folder=tmp_path / "model", weights_digest=digest, chunks=range(1), num_partitions=1
        )
    (tmp_path / "model" / "weights.safetensors").unlink()
    with pytest.raises(ContractError, match="cannot be read"):
        sample_chunks(
            spark, PLAN, model_folder=tmp_path / "model", weights_digest=digest, chunks=range(1), num_partitions=1
        )


def test_rows_leave_in_batches_of_bounded_size(model_folder, monkeypatch, tmp_path):
    monkeypatch.setattr("synth_spark.sample.worker._MAX_CODES", 50)
    generator = load_generator("any", 1, lambda: files_of(model_folder), str(tmp_path))
    batches = sample_rows(generator, PLAN, 0)
    assert len(batches) > 5
    assert sum(batch.num_rows for batch in batches) == 128
