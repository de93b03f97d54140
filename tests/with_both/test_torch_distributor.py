"""Ranks on this machine, by TorchDistributor or torchrun: they train alike, and when one fails or dies it is named.

Ranks on executors: tests/with_cluster.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from synth_spark.config import TrainSettings
from synth_spark.errors import EnvironmentProblem, TrainingError
from synth_spark.manifest import Manifest
from synth_spark.model.checkpoint import load_checkpoint
from synth_spark.train.launch import launch_training
from synth_spark.train.rank import TrainJob, train_rank
from tests import toy

pytestmark = pytest.mark.timeout(240)


def launch(spark, run: toy.ToyRun, folder: Path, *, launcher: str = "torchdistributor", **settings) -> dict:
    small = {"width": 16, "hidden": 8, "batch_events": 64, "calibration_rounds": 0, "timeout_seconds": 60}
    resolved = TrainSettings(**{**small, **settings}).model_dump()
    folder.mkdir(exist_ok=True)
    job = TrainJob(str(run.manifest), str(run.codebook), str(folder), 1, 1, resolved)
    return launch_training(spark, job, launcher=launcher, num_ranks=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> toy.ToyRun:
    return toy.write_run(tmp_path_factory.mktemp("run"), training_files=[200, 120, 40], validation_files=[60, 40])


def test_two_ranks_train_and_leave_the_same_model(spark, run, tmp_path):
    """Under both launchers; torchrun gets no session."""
    figures = launch(spark, run, tmp_path / "a", max_epochs=2)
    assert figures["num_ranks"] == 2
    assert load_checkpoint(tmp_path / "a" / "model").facts["epochs"] == 2
    other = launch(None, run, tmp_path / "b", launcher="torchrun", max_epochs=2)
    assert other["num_ranks"] == 2 and other["validation.loss"] == figures["validation.loss"]
    weights = [(tmp_path / name / "model" / "weights.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("launcher", ["torchdistributor", "torchrun"])
def test_a_rank_that_raises_is_named_with_its_own_error(spark, run, tmp_path, launcher):
    """A wrong row count in the second file, which only rank 1 reads."""
    manifest = Manifest.load(run.manifest)
    wrong = dataclasses.replace(manifest.files[1], rows=manifest.files[1].rows + 1)
    broken = tmp_path / "manifest.json"
    dataclasses.replace(manifest, files=(manifest.files[0], wrong, *manifest.files[2:])).save(broken)
    with pytest.raises(TrainingError, match=r"rank 1 of 2 failed first: ContractError: manifest lists 121 rows"):
        launch(spark, dataclasses.replace(run, manifest=broken), tmp_path / "a", launcher=launcher)


def test_a_rank_without_the_folder_says_so(run, tmp_path):
    job = TrainJob(str(run.manifest), str(run.codebook), str(tmp_path / "elsewhere"), 1, 1, {})
    with pytest.raises(EnvironmentProblem, match=r"rank 0 of 1 on .* does not see it; output\.root"):
        train_rank(dataclasses.asdict(job))
    assert not (tmp_path / "elsewhere").exists(), "nothing is made on a disk that nobody else sees"


def test_a_rank_that_dies_ends_the_run_and_is_named(spark, run, tmp_path):
    victim = tmp_path / "a" / "ranks" / "rank-1.json"
    killer = threading.Thread(target=_kill_when_started, args=(victim,), daemon=True)
    killer.start()
    with pytest.raises(TrainingError, match="rank 1 of 2 died"):
        launch(spark, run, tmp_path / "a", max_epochs=10_000, patience=10_000)
    killer.join()


def _kill_when_started(note: Path) -> None:
    for _ in range(1200):
        if note.exists():
            break
        time.sleep(0.1)
    time.sleep(1.0)
    os.kill(json.loads(note.read_text())["process"], signal.SIGKILL)


def test_more_ranks_than_files_is_a_clear_error(spark, run, tmp_path):
    manifest = Manifest.load(run.manifest)
    few = tmp_path / "manifest.json"
    files = tuple(file for file in manifest.files if file.path.endswith("-000.parquet"))
    dataclasses.replace(manifest, files=files).save(few)
    with pytest.raises(TrainingError, match=r"train\.num_ranks is 2, the split has 1 files"):
        launch(spark, dataclasses.replace(run, manifest=few), tmp_path / "a")
