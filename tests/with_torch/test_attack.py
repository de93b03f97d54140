"""Attacks with networks: likelihoods under a model, and profiles of parts of histories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from synth_spark.attack import likelihood
from synth_spark.attack.profiles import fit_profiles
from synth_spark.columns import EVENT_INDEX
from synth_spark.model.checkpoint import save_checkpoint
from synth_spark.model.network import SequenceModel
from synth_spark.qa.halves import halves, partial_figures, swap_cells
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID, plan_layout
from synth_spark.qa.subject_points import SubjectFrame, fit_space
from tests import toy

LAYOUT = plan_layout(events={"amount": "double", "at": "date", "shop": "string"}, subjects={}, sequential=True)


def shoppers(seed: int, count: int = 400, people: int = 0) -> SubjectFrame:
    """Every shopper has a level of spending and a favourite shop; `people` seeds who they are."""
    who, rng = np.random.default_rng(people or seed), np.random.default_rng(seed)
    level, shop = who.normal(0, 300, count), who.integers(0, 40, count)
    lengths = who.integers(6, 14, count)
    owner = np.repeat(np.arange(count), lengths)
    first = np.r_[0, np.cumsum(lengths)[:-1]]
    events = pd.DataFrame(
        {
            KEY_TEXT: [f"{seed}-{number:04d}" for number in owner],
            EVENT_INDEX: np.arange(len(owner)) - np.repeat(first, lengths),
            "t0": level[owner] + rng.normal(0, 20, len(owner)),
            "t1": np.sort(rng.integers(0, 400, len(owner))) * 86_400_000_000.0,
            "t2": [f"shop{s}" for s in np.where(rng.random(len(owner)) < 0.8, shop[owner], rng.integers(0, 40))],
        }
    )
    events = events.sort_values([KEY_TEXT, "t1"], kind="stable").reset_index(drop=True)
    events[EVENT_INDEX] = events.groupby(KEY_TEXT).cumcount()
    keys = [f"{seed}-{number:04d}" for number in range(count)]
    return SubjectFrame(pd.DataFrame({KEY_TEXT: keys, LENGTH_ID: lengths.astype(float)}), events)


def figures(synthetic: SubjectFrame) -> dict[str, float]:
    frames = shoppers(1), shoppers(2), synthetic
    space = fit_space(LAYOUT, "at", frames[:2])
    return partial_figures(frames, space, fit_profiles, seed=0)


def test_profiles_find_people_by_how_they_behave_though_no_event_is_shared() -> None:
    found = figures(shoppers(3))
    assert found["profiling.pool"] == 400
    assert found["profiling.real.rank1.low"] > 0.2  # guessing: 1 of 400
    assert found["profiling.real.rank1"] < found["profiling.real.rank10"] < found["profiling.real.rank100"] <= 1
    # a third of the cells is swapped, and people are found all the same
    assert found["profiling.perturbed.rank10.low"] > 10 * 10 / 400
    assert found["profiling.perturbed.rank10"] < found["profiling.real.rank10"]


def test_strangers_give_nobody_away_and_released_people_do() -> None:
    fresh, released = figures(shoppers(3)), figures(shoppers(1))
    assert fresh["profiling.synthetic.auc.low"] < 0.52
    assert fresh["risk.partial_history.low"] < 0.05
    assert released["profiling.synthetic.auc.low"] > 0.9
    assert released["risk.partial_history.low"] > 0.3


def test_the_same_seed_gives_the_same_profiles() -> None:
    before = torch.random.get_rng_state()
    assert figures(shoppers(3, 150)) == figures(shoppers(3, 150))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_few_long_histories_give_no_figures() -> None:
    frames = shoppers(1), shoppers(2), shoppers(3, 60)
    assert partial_figures(frames, fit_space(LAYOUT, "at", frames[:2]), fit_profiles, seed=0) == {}


def test_parts_share_no_event_and_swapped_cells_stay_in_their_column() -> None:
    frame = shoppers(1, 120)
    space = fit_space(LAYOUT, "at", [frame])
    first, second = halves(frame, space)
    assert first.shape == second.shape == (120, first.shape[1])
    assert (first != second).any(axis=1).all()
    swapped = swap_cells(frame, space, share=1 / 3, seed=1).events
    for column in ("t0", "t1", "t2"):
        assert sorted(swapped[column]) == sorted(frame.events[column])
    assert (swapped.groupby(KEY_TEXT)["t1"].diff().dropna() >= 0).all()
    assert (swapped[EVENT_INDEX] == swapped.groupby(KEY_TEXT).cumcount()).all()


@pytest.mark.parametrize("batch_events", [8192, 8])
def test_a_history_costs_what_the_model_says(
    batch_events: int, model: SequenceModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "_BATCH_EVENTS", batch_events)
    num_subjects, steps = 6, 4
    rng = np.random.default_rng(0)
    static = rng.integers(0, toy.STATIC_CARDINALITIES, (num_subjects, len(toy.STATIC_CARDINALITIES)))
    events = rng.integers(0, toy.EVENT_CARDINALITIES, (num_subjects, steps, len(toy.EVENT_CARDINALITIES)))
    lengths = np.array([4, 0, 1, 3, 2, 4])
    found = likelihood.subject_nats(folder, static, lengths, events)
    for row in range(num_subjects):
        one = torch.from_numpy(static[row : row + 1])
        own = torch.from_numpy(events[row : row + 1, : max(1, lengths[row])])
        expected = model.static_nats(one).sum() + model.event_nats(one, own, torch.tensor([lengths[row]]))[0].sum()
        assert found[row] == pytest.approx(float(expected.detach()), rel=1e-5)


def test_flat_data_cost_what_their_attributes_do(flat_model: SequenceModel, tmp_path: Path) -> None:
    toy.flat_codebook().save(tmp_path / "codebook.json")
    save_checkpoint(tmp_path / "model", flat_model, tmp_path / "codebook.json", {})
    static = np.zeros((3, len(toy.FLAT_CARDINALITIES)), dtype=np.int64)
    found = likelihood.subject_nats(tmp_path / "model", static, np.zeros(3, dtype=np.int64), np.zeros((3, 0, 0)))
    assert found == pytest.approx(flat_model.static_nats(torch.from_numpy(static)).sum(1).detach().numpy(), rel=1e-5)
