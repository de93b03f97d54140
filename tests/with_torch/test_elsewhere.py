"""All that is trained, calibrated and sampled is made where the model is: shown on a device that is not there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synth_spark.config import TrainSettings
from synth_spark.model.checkpoint import load_checkpoint
from synth_spark.model.generate import Generator
from synth_spark.model.network import ModelConfig, SequenceModel
from synth_spark.model.plans import PlannedVariety
from synth_spark.model.recall import TimeCodes
from synth_spark.train import loop, rank
from synth_spark.train.calibrate import calibrate, set_groups
from synth_spark.train.launch import launch_training
from synth_spark.train.marginals import Marginals
from synth_spark.train.pair_counts import PairTables
from synth_spark.train.plan import Step, Window
from synth_spark.train.rank import TrainJob
from synth_spark.train.ranks import RankInfo, process_group
from synth_spark.train.tensors import Batch, make_batch
from tests import toy
from tests.with_torch.conftest import with_random_weights
from tests.with_torch.elsewhere import Elsewhere, WrongDeviceError, elsewhere

SMALL = {"width": 16, "hidden": 8, "batch_events": 256, "number_format": "float32", "window_events": 16}
# a calendar's clock (period, its slice, weekday, time), a planned variety, and codes in an order
CLOCK = {
    "static_cardinalities": (5, 3, 4, 7, 4),  # an attribute, a variety, another attribute, the end, the length
    "event_cardinalities": (6, 3, 8, 5, 12),
    "time": TimeCodes(ordered=2, day=True, times=3, end=3),
    "varieties": (PlannedVariety(4, 1, (0, 1, 3), (1, 2, 6)),),
    "event_ranks": tuple(tuple(range(codes)) for codes in (6, 3, 8, 5, 12)),
}


@pytest.fixture
def there(monkeypatch) -> Iterator[torch.device]:
    with elsewhere(monkeypatch) as device:
        yield device


def moved(model: SequenceModel, device: torch.device) -> SequenceModel:
    return copy.deepcopy(model).to(device)


def clocked(config: ModelConfig) -> ModelConfig:
    return ModelConfig(**{**vars(config), **CLOCK, "dropout": 0.0})


def some_window(config: ModelConfig, num_subjects: int = 60, longest: int = 40) -> Window:
    rng = np.random.default_rng(0)
    num_events = rng.integers(0, longest + 1, num_subjects)
    codes = [
        np.stack([rng.integers(0, codes, rows) for codes in cardinalities], axis=1).astype(np.int16)
        for cardinalities, rows in (
            (config.static_cardinalities, num_subjects),
            (config.event_cardinalities, num_events.sum()),
        )
    ]
    return Window(np.arange(num_subjects), codes[0], num_events, codes[1])


def batches_of(window: Window) -> list[Batch]:
    """One batch in two windows of events."""
    rows = np.argsort(-window.num_events, kind="stable")[:20]
    steps = [Step(rows, 0, 20, np.arange(20, 60)), Step(rows[window.num_events[rows] > 20], 20, 20, np.arange(4))]
    return [make_batch(window, step) for step in steps]


def test_tensors_of_two_devices_do_not_go_together(there):
    """The test of the test."""
    one = torch.ones(3, device=there)
    assert isinstance(one.to(there), Elsewhere) and (one * 2 + torch.tensor(1.0)).cpu().tolist() == [3.0, 3.0, 3.0]
    wrong: list[Callable[[], Any]] = [
        lambda: one + torch.ones(3),
        lambda: torch.cat([one, torch.zeros(2)]),
        lambda: one[torch.tensor([0, 1])],
        lambda: torch.ones(3).scatter_add_(0, torch.zeros(3, dtype=torch.int64, device=there), one),
    ]
    for mix in wrong:
        with pytest.raises(WrongDeviceError):
            mix()
    with pytest.raises(RuntimeError):
        one.numpy()


@pytest.mark.parametrize("of_a_clock", [False, True])
def test_forward_and_backward(config, there, of_a_clock):
    here = with_random_weights(
        clocked(config) if of_a_clock else ModelConfig(**{**vars(config), "dropout": 0.0})
    ).train()
    away = moved(here, there)
    past: dict[SequenceModel, Any] = {here: None, away: None}
    for batch in batches_of(some_window(here.config)):
        found = {}
        for model in (here, away):
            before = past[model].kept(len(batch.num_events)) if past[model] else None
            static, event, past[model] = model(*batch.inputs(model.device), before)
            (static.sum() + event.sum()).backward()
            found[model] = static, event
        for ours, theirs in zip(found[here], found[away], strict=True):
            torch.testing.assert_close(theirs.cpu(), ours, rtol=1e-4, atol=1e-4)
    gradients = {name: parameter.grad for name, parameter in here.named_parameters()}
    for name, parameter in away.named_parameters():
        assert isinstance(parameter.grad, Elsewhere), name
        torch.testing.assert_close(parameter.grad.cpu(), gradients[name], rtol=1e-3, atol=1e-3)


def test_dropout(config, there):
    """Which columns are left out is drawn on the CPU; masks of what moves are drawn on the device."""
    model = moved(with_random_weights(ModelConfig(**{**vars(config), "dropout": 0.1})), there).train()
    static, event, _ = model(*batches_of(some_window(config))[0].inputs(there))
    assert torch.isfinite(static.cpu()).all() and torch.isfinite(event.cpu()).all()


@pytest.mark.parametrize("shape", ["events", "clock", "flat", "not calibrated"])
def test_sampling_draws_the_same_codes(config, flat_model, there, shape):
    here = flat_model if shape == "flat" else with_random_weights(clocked(config) if shape == "clock" else config)
    if shape == "not calibrated":
        here.static_pairs.calibrated.fill_(False)
        here.events.pairs.calibrated.fill_(False)
    here = with_long_histories(here)
    chunks = [Generator(model).sample_chunk(5, 64, 3) for model in (here, moved(here, there))]
    for name in ("static_codes", "num_events", "event_codes"):
        np.testing.assert_array_equal(*(getattr(chunk, name) for chunk in chunks))


def with_long_histories(model: SequenceModel) -> SequenceModel:
    """Some beyond the first event's own part, which comes in late."""
    if model.events is not None:
        model.config = ModelConfig(**{**vars(model.config), "length_highs": (0, 1, 4, 30)})
    return model


@pytest.mark.parametrize("shape", ["events", "flat"])
def test_calibration(config, flat_model, there, shape):
    here = flat_model if shape == "flat" else with_random_weights(config)
    part = toy.flat_window(800, seed=9) if shape == "flat" else toy.window(800, seed=9)
    told, weights = {}, {}
    for model in (here, moved(here, there)):
        marginals = Marginals(model.config, by_subject=True)
        marginals.add(part.static_codes, part.num_events, part.event_codes)
        set_groups(model, marginals.tensors())
        wanted = PairTables(model)
        wanted.count(part.static_codes, part.num_events, part.event_codes)
        assert all(isinstance(table, Elsewhere) == (model is not here) for table in wanted.tensors())
        told[model.device] = calibrate(model, marginals.tensors(), wanted, rounds=2, seed=1, trained_in="float32")
        weights[model.device] = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    assert told[there] == pytest.approx(told[torch.device("cpu")], rel=1e-6)
    for name, tensor in weights[there].items():
        torch.testing.assert_close(tensor, weights[torch.device("cpu")][name], rtol=1e-4, atol=1e-4)


def on_cpu(ranks: RankInfo, *, timeout_seconds: int, device: torch.device) -> Any:
    return process_group(ranks, timeout_seconds=timeout_seconds)


@pytest.fixture
def trained(tmp_path, monkeypatch) -> dict[str, Path]:
    """Two folders of checkpoints: trained here and there. DDP itself knows real devices only, so both do without."""
    run = toy.write_run(tmp_path / "run", training_files=[200, 100], validation_files=[80])
    monkeypatch.setattr(loop, "DistributedDataParallel", lambda model, **_: model)
    monkeypatch.setattr(rank, "process_group", on_cpu)
    with elsewhere(monkeypatch) as there:
        for name, device in (("here", torch.device("cpu")), ("there", there)):
            monkeypatch.setattr(rank, "own_device", lambda asked, ranks, device=device: device)
            for epochs in (1, 2):  # the second one goes on after the first
                settings = TrainSettings(**SMALL, dropout=0.0, calibration_rounds=1, max_epochs=epochs).model_dump()
                job = TrainJob(str(run.manifest), str(run.codebook), str(tmp_path / name), 1, 1, settings)
                launch_training(None, job, launcher="inprocess", num_ranks=1)
    return {name: tmp_path / name for name in ("here", "there")}


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta")  # torch takes it for the real meta device
def test_a_whole_fit_that_was_broken_off(trained):
    """Training, validation, resumed moments, calibration, and a model on disk that knows nothing of its device."""
    here, there = (load_checkpoint(folder / "model") for folder in trained.values())
    assert (here.facts["device"], there.facts["device"]) == ("cpu", "meta")
    assert here.facts["epochs"] == there.facts["epochs"] == 2
    assert there.facts["validation.loss"] == pytest.approx(here.facts["validation.loss"], rel=1e-5)
    for name, tensor in there.model.state_dict().items():
        assert tensor.device.type == "cpu" and tensor.dtype == here.model.state_dict()[name].dtype
        torch.testing.assert_close(tensor, here.model.state_dict()[name], rtol=1e-2, atol=2e-3)
    files = [sorted(file.name for file in (folder / "model").iterdir()) for folder in trained.values()]
    assert files[0] == files[1]
