"""What an event makes of its past is kept as far as it helps with subjects who did not train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synth_spark.model.network import ModelConfig, SequenceModel
from synth_spark.train.plan import Window
from synth_spark.train.ranks import RankInfo, process_group
from synth_spark.train.shrink import SHARES, best_shares, shrink_past
from tests import toy
from tests.with_torch.training import trainer_on


def test_each_column_gets_the_share_that_costs_it_least() -> None:
    maps = [torch.ones(4, 2, 3), torch.full((4, 1), 2.0)]
    wanted = np.array([1.0, 0.6, 0.0, 0.3])

    def costs() -> np.ndarray:
        assert torch.equal(maps[1][:, 0], 2 * maps[0][:, 0, 0]), "all maps of a column share its share"
        return (maps[0][:, 0, 0].numpy() - wanted) ** 2

    assert best_shares(maps, costs).tolist() == [1.0, 0.5, 0.0, 0.25]
    assert maps[0][:, 1, 2].tolist() == [1.0, 0.5, 0.0, 0.25]


def test_where_nothing_is_to_be_gained_all_is_kept() -> None:
    maps = [torch.ones(2, 3)]
    assert best_shares(maps, lambda: np.zeros(2)).tolist() == [SHARES[0]] * 2 == [1.0, 1.0]


@pytest.fixture
def network() -> SequenceModel:
    torch.manual_seed(0)
    config = ModelConfig((3, 2), (5, 4), (1, 20), (19, 40), width=8, hidden=8)
    model = SequenceModel(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    recall = model.events.recall  # repeats, whatever heads are given
    for weight in (recall.weight, recall.bias, recall.of_variety):
        torch.nn.init.zeros_(weight)
    return model


def _nats(model: SequenceModel, events: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.event_nats(torch.tensor([[1, 1]]), events, torch.tensor([30]))[0]


def test_a_head_without_its_past_says_the_same_after_any(network: SequenceModel) -> None:
    torch.manual_seed(1)
    one, other = torch.randint(0, 4, (2, 1, 30, 2))
    other[0, -1] = one[0, -1]
    before = _nats(network, one)
    assert (before[0, -1] != _nats(network, other)[0, -1]).all()
    with torch.no_grad():
        for part in network.events.past_maps():
            part[1] = 0.0
    after = _nats(network, one)
    assert torch.equal(after[..., 0], before[..., 0]), "no other column is touched"
    assert after[0, -1, 1] == _nats(network, other)[0, -1, 1] != before[0, -1, 1]


def keeping_one_of_two(num_subjects: int, *, seed: int, first_number: int = 0) -> Window:
    """Of 30 events: the first code is the subject's own in all of them, the second one is anything."""
    rng = np.random.default_rng(seed)
    own = np.repeat(rng.integers(0, toy.EVENT_CARDINALITIES[0], num_subjects), 30)
    anything = rng.integers(0, toy.EVENT_CARDINALITIES[1], len(own))
    static = np.stack([np.zeros(num_subjects), np.full(num_subjects, 3)], axis=1)
    return Window(
        subject_numbers=np.arange(first_number, first_number + num_subjects, dtype=np.int64),
        static_codes=static.astype(np.int16),
        num_events=np.full(num_subjects, 30),
        event_codes=np.stack([own, anything], axis=1).astype(np.int16),
    )


def test_what_is_learned_by_heart_of_the_past_is_taken_back(tmp_path: Path) -> None:
    run = toy.write_run(tmp_path / "run", training_files=[60], validation_files=[200], make=keeping_one_of_two)
    with process_group(RankInfo(0, 1), timeout_seconds=30):
        trainer = trainer_on(run, tmp_path, RankInfo(0, 1), max_epochs=12, patience=12, learning_rate=2e-2)
        trainer.fit()
        model = trainer.model
        assert trainer.event_costs(model) == pytest.approx(trainer.validation_costs(model).by_column[2:])
        before = _costs_of_strangers(model)
        shares = shrink_past(model.events, lambda: trainer.event_costs(model))
    after = _costs_of_strangers(model)
    assert shares[1] <= 0.25 < shares[0]
    assert after[1] < before[1] - 0.1 and after[0] < before[0] + 0.01


def _costs_of_strangers(model: SequenceModel) -> np.ndarray:
    """Nats per subject of each event sub-column, of subjects who neither trained nor chose anything."""
    window = keeping_one_of_two(300, seed=99)
    events = torch.from_numpy(window.event_codes.astype(np.int64)).view(300, 30, 2)
    static, lengths = (torch.from_numpy(codes.astype(np.int64)) for codes in (window.static_codes, window.num_events))
    with torch.no_grad():
        return model.event_nats(static, events, lengths)[0].sum(1).mean(0).numpy()
