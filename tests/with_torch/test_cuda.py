"""Training on a GPU is training on the CPU, but for rounding: skipped where there is none.

    python -m pytest tests/with_torch/test_cuda.py -rs

`-rs` says so where it was skipped. The tests of two ranks ask for two GPUs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from synth_spark.config import TrainSettings
from synth_spark.model.checkpoint import load_checkpoint
from synth_spark.model.generate import Generator
from synth_spark.model.network import SequenceModel
from synth_spark.train.launch import launch_training
from synth_spark.train.plan import Step
from synth_spark.train.rank import TrainJob
from synth_spark.train.tensors import make_batch
from tests import toy
from tests.with_torch.test_elsewhere import batches_of, clocked, moved, some_window, with_random_weights

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
    pytest.mark.timeout(600),
]
two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
SMALL = {"width": 32, "hidden": 16, "batch_events": 256, "window_events": 16, "max_epochs": 4, "patience": 9}
LOSS = 0.01  # relative, of a loss after training: rounding differs in every step, and steps build on one another


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> toy.ToyRun:
    return toy.write_run(
        tmp_path_factory.mktemp("run"), training_files=[600, 500], validation_files=[200, 200], make=toy.window
    )


def train(run: toy.ToyRun, folder: Path, *, device: str, launcher: str = "inprocess", num_ranks: int = 1, **changed):
    settings = TrainSettings(**{**SMALL, "number_format": "float32", "dropout": 0.0, "launcher": launcher, **changed})
    job = TrainJob(str(run.manifest), str(run.codebook), str(folder), 1, 1, settings.model_dump(), device)
    figures = launch_training(None, job, launcher=launcher, num_ranks=num_ranks)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return figures, lines


@pytest.mark.parametrize("of_a_clock", [False, True])
def test_forward_and_backward_agree(config, of_a_clock):
    here = clocked(config) if of_a_clock else type(config)(**{**vars(config), "dropout": 0.0})
    models: list[SequenceModel] = [with_random_weights(here).train()]
    models.append(moved(models[0], torch.device("cuda")))
    pasts = [None, None]
    for batch in batches_of(some_window(here)):
        found = []
        for place, model in enumerate(models):
            before = pasts[place].kept(len(batch.num_events)) if pasts[place] else None
            static, event, pasts[place] = model(*batch.inputs(model.device), before)
            (static.sum() + event.sum()).backward()
            found.append((static.detach().cpu(), event.detach().cpu()))
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(theirs, ours, rtol=1e-2, atol=1e-2)
    for (name, ours), theirs in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(theirs.grad.cpu(), ours.grad, rtol=3e-2, atol=3e-2, msg=name)


def test_sampling_draws_nearly_the_same_codes(model):
    """Calibration samples there; a draw differs only where it falls on the edge between two codes."""
    chunks = [Generator(one).sample_chunk(0, 500, 3) for one in (model, moved(model, torch.device("cuda")))]
    assert np.mean(chunks[0].static_codes == chunks[1].static_codes) > 0.999
    assert chunks[0].num_events.sum() == pytest.approx(chunks[1].num_events.sum(), rel=0.01)


@pytest.mark.parametrize("dropout", [0.0, 0.05])
@pytest.mark.parametrize("number_format", ["float32", "bfloat16"])
def test_losses_agree(run, tmp_path, number_format, dropout):
    """With dropout, whose masks each device draws for itself, and with bfloat16 losses are only of one size."""
    settings = {"number_format": number_format, "dropout": dropout, "calibration_rounds": 1}
    (here, ours), (there, theirs) = (
        train(run, tmp_path / device, device=device, **settings) for device in ("cpu", "cuda")
    )
    assert (here["device"], there["device"]) == ("cpu", "cuda")
    assert there["number_format"] == number_format and len(ours) == len(theirs)
    tolerance = LOSS if dropout == 0.0 and number_format == "float32" else 3 * LOSS
    for name in ("train.loss", "validation.loss"):
        assert [line[name] for line in theirs] == pytest.approx([line[name] for line in ours], rel=tolerance)
    assert there["calibrate.distance.0"] == pytest.approx(here["calibrate.distance.0"], abs=0.02)


def test_its_model_is_of_the_same_format_and_samples_on_the_cpu(run, tmp_path):
    folders = [tmp_path / device for device in ("cpu", "cuda")]
    for folder in folders:
        train(run, folder, device=folder.name, calibration_rounds=1, max_epochs=2)
    ours, theirs = (load_file(folder / "model" / "weights.safetensors") for folder in folders)
    assert {name: (part.shape, part.dtype) for name, part in ours.items()} == {
        name: (part.shape, part.dtype) for name, part in theirs.items()
    }
    documents = [json.loads((folder / "model" / "model.json").read_text()) for folder in folders]
    assert documents[0]["config"] == documents[1]["config"] and documents[0]["format"] == documents[1]["format"]
    assert documents[0]["facts"].keys() == documents[1]["facts"].keys()
    chunk = Generator(load_checkpoint(folders[1] / "model").model).sample_chunk(0, 2000, 3)
    seen = toy.window(2000, seed=5)
    shares = [np.bincount(codes, minlength=5) / 2000 for codes in (chunk.static_codes[:, 0], seen.static_codes[:, 0])]
    np.testing.assert_allclose(*shares, atol=0.06)


@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_a_training_that_was_broken_off_goes_on_on_any_device(run, tmp_path, first, second):
    train(run, tmp_path / "straight", device="cpu", calibration_rounds=0)
    train(run, tmp_path / "resumed", device=first, calibration_rounds=0, max_epochs=2)
    figures, lines = train(run, tmp_path / "resumed", device=second, calibration_rounds=0)
    expected = [json.loads(line) for line in (tmp_path / "straight" / "metrics.jsonl").read_text().splitlines()]
    assert figures["epochs"] == 4
    assert lines[-1]["validation.loss"] == pytest.approx(expected[-1]["validation.loss"], rel=LOSS)


def test_flat_data(tmp_path):
    run = toy.write_run(
        tmp_path / "run",
        training_files=[600],
        validation_files=[200],
        make=toy.flat_window,
        book=toy.flat_codebook(),
    )
    losses = [train(run, tmp_path / device, device=device)[0]["validation.loss"] for device in ("cpu", "cuda")]
    assert losses[1] == pytest.approx(losses[0], rel=LOSS)


@two_gpus
def test_two_ranks_on_two_gpus_learn_as_two_on_the_cpu_do(run, tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
    losses = [
        train(run, tmp_path / device, device=device, launcher="torchrun", num_ranks=2)[0]["validation.loss"]
        for device in ("cpu", "cuda")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=LOSS)


def test_a_batch_is_copied_from_pinned_memory():
    batch = make_batch(toy.window(50), Step(np.arange(3), 0, 2, np.arange(3, 9)))
    for ours, theirs in zip(batch.inputs(), batch.inputs(torch.device("cuda")), strict=True):
        assert theirs.is_cuda and torch.equal(ours, theirs.cpu())
