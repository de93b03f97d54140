"""What the network learns of toy histories: their beginnings, their repetitions, and what lies between numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from synth_spark.config import TrainSettings
from synth_spark.model.generate import Generator
from synth_spark.model.network import ModelConfig, SequenceModel
from synth_spark.train.loop import Trainer
from synth_spark.train.plan import Window
from synth_spark.train.ranks import RankInfo, process_group


def test_the_end_of_a_long_history_still_knows_its_beginning(tmp_path):
    """The last of 64 random events repeats the first; training sees eight at a time."""
    events = sampled_after(repeating, tmp_path, num_subjects=4096, num_codes=4, learning_rate=1e-2)
    assert np.mean(events[:, 0] == events[:, -1]) > 0.6
    assert 0.2 < np.mean(events[:, 0] == events[:, -2]) < 0.3


def test_subjects_keep_to_their_own_code(tmp_path):
    """One of 200 codes in all of a history's 64 events: five training subjects have each code."""
    events = sampled_after(keeping, tmp_path, num_codes=200, learning_rate=5e-3)
    distinct = [len(set(history)) for history in events.tolist()]
    assert np.mean(np.array(distinct) == 1) > 0.9
    assert len(set(events[:, 0].tolist())) > 150


def test_subjects_repeat_as_much_as_they_do(tmp_path):
    """Half of the subjects choose among two of 40 codes, the other half among 20."""
    events = sampled_after(varied, tmp_path, num_subjects=2048, num_codes=40, learning_rate=5e-3, dropout=0.3)
    distinct = np.array([len(set(history)) for history in events.tolist()])
    assert np.mean(distinct <= 4) > 0.25
    assert np.mean(distinct >= 14) > 0.4
    assert np.mean((distinct > 4) & (distinct < 14)) < 0.15


def sampled_after(histories, folder, *, num_codes, learning_rate, num_subjects=1024, dropout=0.0):
    """Events (500, 64) sampled after training on so many subjects, eight events at a time."""
    config = ModelConfig((1,), (num_codes,), (64,), (64,), width=16, hidden=64, dropout=dropout)
    readers = {"training": HeldReader(histories(num_subjects, seed=1)), "validation": HeldReader(histories(64, seed=2))}
    settings = {"batch_events": 512, "window_events": 8, "max_epochs": 8, "learning_rate": learning_rate}
    model = trained(config, readers, folder, **settings)
    return Generator(model).sample_chunk(0, 500, seed=3).event_codes.reshape(500, 64)


def trained(config, readers, folder, **settings) -> SequenceModel:
    """A model trained on subjects held in memory."""
    torch.manual_seed(0)
    model = SequenceModel(config)
    resolved = TrainSettings(**settings, number_format="float32")
    with process_group(RankInfo(0, 1), timeout_seconds=30):
        trainer = Trainer(model, readers, resolved, RankInfo(0, 1), seed=1, folder=folder, manifest_digest="toy")
        model.load_state_dict(trainer.fit().best)
    return model


def keeping(num_subjects: int, *, seed: int) -> Window:
    codes = np.random.default_rng(seed).integers(0, 200, num_subjects)
    return _of_64(np.repeat(codes[:, None], 64, axis=1))


def varied(num_subjects: int, *, seed: int) -> Window:
    rng = np.random.default_rng(seed)
    pools = rng.permuted(np.tile(np.arange(40), (num_subjects, 1)), axis=1)
    sizes = rng.choice([2, 20], (num_subjects, 1))
    return _of_64(np.take_along_axis(pools, rng.integers(0, sizes, (num_subjects, 64)), axis=1))


def repeating(num_subjects: int, *, seed: int) -> Window:
    events = np.random.default_rng(seed).integers(0, 4, (num_subjects, 64))
    events[:, -1] = events[:, 0]
    return _of_64(events)


def _of_64(events) -> Window:
    return Window(
        subject_numbers=np.arange(len(events)),
        static_codes=np.zeros((len(events), 1), np.int16),
        num_events=np.full(len(events), 64),
        event_codes=events.reshape(-1, 1).astype(np.int16),
    )


@dataclasses.dataclass
class HeldReader:
    """One window, every epoch."""

    window: Window

    @property
    def num_events(self) -> int:
        return len(self.window.event_codes)

    @property
    def num_subjects(self) -> int:
        return len(self.window.num_events)

    def windows(self, *, seed: int, shuffle: bool = True) -> Iterator[Window]:
        yield self.window


@pytest.mark.parametrize(("in_order", "least", "most"), [(True, 0.8, 1.0), (False, 0.0, 0.3)])
def test_what_holds_at_some_numbers_holds_between_them(tmp_path, in_order, least, most):
    """The second number is the first one, give or take two; every fourth of the first ones was never trained on."""
    ranks = (tuple(range(200)),) * 2 if in_order else ()
    config = ModelConfig((200, 200), (), (0,), (0,), static_ranks=ranks, dropout=0.0)
    readers = {"training": HeldReader(near(4000, seed=1)), "validation": HeldReader(near(400, seed=2))}
    model = trained(config, readers, tmp_path, max_epochs=20)
    first = torch.arange(4, 196, 4).repeat_interleave(200)
    second = torch.arange(200).repeat(48)
    with torch.no_grad():
        nats = model.static_nats(torch.stack([first, second], dim=1))[:, 1]
    chances = torch.exp(-nats)[(first - second).abs() <= 4].sum() / 48
    assert least < chances < most


def near(num_subjects: int, *, seed: int) -> Window:
    rng = np.random.default_rng(seed)
    first = rng.choice([number for number in range(2, 198) if number % 4], num_subjects)
    codes = np.stack([first, first + rng.integers(-2, 3, num_subjects)], axis=1)
    nothing = np.zeros(num_subjects, np.int64)
    return Window(np.arange(num_subjects), codes.astype(np.int16), nothing, np.empty((0, 0), np.int16))
