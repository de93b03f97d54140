"""Training on toy files through petastorm: it learns, resumes to the last bit, and ranks agree."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing
from safetensors.torch import load_file, save_file

from synth_spark.codebook import Codebook
from synth_spark.config import TrainSettings
from synth_spark.errors import ConfigError, ContractError, TrainingError
from synth_spark.manifest import Manifest
from synth_spark.model.checkpoint import load_checkpoint, model_config_of
from synth_spark.model.network import SequenceModel
from synth_spark.train.batches import PetastormReader
from synth_spark.train.calibrate import calibrate
from synth_spark.train.launch import launch_training
from synth_spark.train.loop import Trainer, make_batch
from synth_spark.train.marginals import Marginals
from synth_spark.train.rank import TrainJob, train_rank
from synth_spark.train.ranks import RankInfo, process_group
from tests import toy

SMALL = {"width": 16, "hidden": 8, "batch_events": 128, "number_format": "float32", "calibration_rounds": 0}


def job(run: toy.ToyRun, folder: Path, **settings) -> TrainJob:
    folder.mkdir(exist_ok=True, parents=True)
    resolved = TrainSettings(**{**SMALL, **settings}).model_dump()
    return TrainJob(str(run.manifest), str(run.codebook), str(folder), 1, 1, resolved)


def train(run: toy.ToyRun, folder: Path, **settings) -> dict:
    return launch_training(None, job(run, folder, **settings), launcher="inprocess", num_ranks=1)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "model").model.state_dict()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> toy.ToyRun:
    folder = tmp_path_factory.mktemp("run with spaces")
    return toy.write_run(folder, training_files=[200, 200, 150], validation_files=[100, 60])


def test_it_learns_stops_early_and_leaves_a_model(run, tmp_path):
    figures = train(run, tmp_path / "a", patience=2, max_epochs=30)
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, figures["epochs"] + 1))
    assert lines[0]["validation.loss"] > 1.1 * figures["validation.loss"]
    assert figures["epochs"] <= figures["best_epoch"] + 2
    assert weights_of(tmp_path / "a")


def test_resume_is_equal_to_the_last_bit(run, tmp_path):
    train(run, tmp_path / "straight", max_epochs=4)
    train(run, tmp_path / "resumed", max_epochs=2)
    shutil.rmtree(tmp_path / "resumed" / "model")
    figures = train(run, tmp_path / "resumed", max_epochs=4)
    assert figures["epochs"] == 4
    straight, resumed = weights_of(tmp_path / "straight"), weights_of(tmp_path / "resumed")
    for name, tensor in straight.items():
        assert torch.equal(tensor, resumed[name]), name
    assert len((tmp_path / "resumed" / "metrics.jsonl").read_text().splitlines()) == 4


def test_resume_refuses_another_manifest(run, tmp_path):
    train(run, tmp_path / "a", max_epochs=1)
    manifest = Manifest.load(run.manifest)
    other = tmp_path / "manifest.json"
    dataclasses.replace(manifest, delta_version=7).save(other)
    changed = dataclasses.replace(job(run, tmp_path / "a", max_epochs=2), manifest=str(other))
    with pytest.raises(ContractError, match="restore the manifest"):
        launch_training(None, changed, launcher="inprocess", num_ranks=1)


def test_resume_refuses_another_number_of_ranks(run, tmp_path):
    train(run, tmp_path / "a", max_epochs=1)
    state = tmp_path / "a" / "epoch-0001" / "progress.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "num_ranks": 2}))
    with pytest.raises(ContractError, match="2 ranks"):
        train(run, tmp_path / "a", max_epochs=2)


def test_rows_missing_from_a_file_end_the_run(run, tmp_path):
    manifest = Manifest.load(run.manifest)
    files = (dataclasses.replace(manifest.files[0], rows=manifest.files[0].rows + 1), *manifest.files[1:])
    dataclasses.replace(manifest, files=files).save(tmp_path / "manifest.json")
    changed = dataclasses.replace(job(run, tmp_path / "a"), manifest=str(tmp_path / "manifest.json"))
    with pytest.raises(ContractError, match="the reader delivered"):
        launch_training(None, changed, launcher="inprocess", num_ranks=1)


def test_one_process_refuses_several_ranks(run, tmp_path):
    with pytest.raises(ConfigError, match="torchdistributor"):
        launch_training(None, job(run, tmp_path / "a"), launcher="inprocess", num_ranks=2)


def trainer_on(run: toy.ToyRun, folder: Path, ranks: RankInfo, **settings) -> Trainer:
    resolved = TrainSettings(**{**SMALL, "dropout": 0.0, **settings})
    torch.manual_seed(0)
    book, manifest = Codebook.load(run.codebook), Manifest.load(run.manifest)
    model = SequenceModel(model_config_of(book, width=resolved.width, hidden=resolved.hidden, dropout=0.0))
    readers = {
        split: PetastormReader(manifest.of_split(split), window_subjects=1000, num_static=2, num_event=2)
        for split in ("training", "validation")
    }
    return Trainer(model, readers, resolved, ranks, seed=1, folder=folder, manifest_digest=manifest.digest)


def test_divergence_is_named(run, tmp_path):
    ranks = RankInfo(0, 1)
    with process_group(ranks, timeout_seconds=30):
        trainer = trainer_on(run, tmp_path, ranks)
        with torch.no_grad():
            trainer.model.event_heads.block_bias.fill_(float("nan"))
        with pytest.raises(TrainingError, match=r"train\.learning_rate"):
            trainer.fit()


def _spawned(rank: int, world: int, port: int, document: dict) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    train_rank(document)


def _train_on_ranks(job: TrainJob, world: int) -> None:
    torch.multiprocessing.spawn(_spawned, args=(world, _free_port(), dataclasses.asdict(job)), nprocs=world)


def _one_step(rank: int, world: int, port: int, run: toy.ToyRun, folder: Path) -> None:
    """Rank r trains on every world-th subject of one batch; its gradients go to a file."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    ranks = RankInfo(rank, world)
    part = toy.window(90, seed=11)
    rows = np.flatnonzero(part.num_events)
    shares = np.array_split(rows, [len(rows) // 4]) if world == 2 else [rows]
    random_shares = np.array_split(np.arange(90), [70]) if world == 2 else [np.arange(90)]
    with process_group(ranks, timeout_seconds=60):
        trainer = trainer_on(run, folder, ranks)
        trainer._step(make_batch(part, shares[rank], random_shares[rank]))
        gradients = {name: parameter.grad for name, parameter in trainer.model.named_parameters()}
        save_file(gradients, folder / f"gradients-{world}-{rank}.safetensors")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_gradients_of_two_uneven_ranks_are_those_of_one(run, tmp_path):
    for world in (1, 2):
        torch.multiprocessing.spawn(_one_step, args=(world, _free_port(), run, tmp_path), nprocs=world)
    one, two, other = (load_file(tmp_path / f"gradients-{name}.safetensors") for name in ("1-0", "2-0", "2-1"))
    for name, gradient in one.items():
        torch.testing.assert_close(two[name], gradient, rtol=1e-4, atol=1e-6)
        assert torch.equal(two[name], other[name])


def test_two_ranks_on_uneven_shards_do_not_hang(run, tmp_path):
    """Shards of 350 and 200 rows: the second rank keeps the first company with batches of weight zero."""
    _train_on_ranks(job(run, tmp_path / "two", max_epochs=5, batch_events=64, timeout_seconds=60), 2)
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    manifest = Manifest.load(run.manifest)
    events = sum(toy.window(f.rows, seed=n, first_number=n).num_events.sum() for f, n in _training_files(manifest))
    assert [line["events"] for line in lines] == [events] * 5
    assert lines[-1]["validation.loss"] < lines[0]["validation.loss"]


def _training_files(manifest: Manifest) -> list[tuple]:
    first_numbers = np.cumsum([0] + [file.rows for file in manifest.of_split("training")])
    return list(zip(manifest.of_split("training"), first_numbers, strict=False))


def test_more_ranks_than_files_is_a_clear_error(run, tmp_path):
    with pytest.raises(Exception, match="num_ranks"):
        _train_on_ranks(job(run, tmp_path / "a", timeout_seconds=30), 4)


def test_calibration_brings_sampled_marginals_nearer(model):
    part = toy.window(4000, seed=9)
    marginals = Marginals(model.config)
    marginals.add(part.static_codes, part.num_events, part.event_codes)
    distances = calibrate(model, marginals.tensors(), rounds=4, seed=1)
    assert distances[-1] < 0.35 * distances[0]


def test_marginals_weigh_every_subject_alike(config):
    part = toy.window(500, seed=4)
    marginals = Marginals(config)
    marginals.add(part.static_codes, part.num_events, part.event_codes)
    tensors = marginals.tensors()
    with_events = int((part.num_events > 0).sum())
    assert [float(t.sum()) for t in tensors] == pytest.approx([500, 500, with_events, with_events])
