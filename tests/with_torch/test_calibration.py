"""Calibration: biases and pairs move sampled counts towards those of training, and no further than noise allows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from synth_spark.codecs.order import UNORDERED
from synth_spark.model.generate import Generator, SampledChunk
from synth_spark.model.network import SequenceModel
from synth_spark.model.pairs import group_codes
from synth_spark.train.calibrate import calibrate, correction, set_groups
from synth_spark.train.marginals import Marginals
from synth_spark.train.pair_counts import PairTables, pair_step
from tests import toy


def test_calibration_brings_sampled_marginals_nearer(model):
    part = toy.window(4000, seed=9)
    marginals = Marginals(model.config, by_subject=True)
    marginals.add(part.static_codes, part.num_events, part.event_codes)
    targets = marginals.tensors()
    set_groups(model, targets)
    wanted = PairTables(model)
    wanted.count(part.static_codes, part.num_events, part.event_codes)
    before = _pair_distance(model, wanted)
    distances = calibrate(model, targets, wanted, rounds=4, seed=1, trained_in="float32")
    assert distances[-1] < 0.35 * distances[0]
    assert _pair_distance(model, wanted) < 0.5 * before


def _pair_distance(model: SequenceModel, wanted: PairTables) -> float:
    """Largest total variation distance over pairs of sub-columns, the event before included."""
    chunk = Generator(model).sample_chunk(0, 4000, seed=5)
    found = PairTables(model)
    found.count(chunk.static_codes, chunk.num_events, chunk.event_codes)
    pairs = [pair for blocks in zip(wanted.blocks(), found.blocks(), strict=True) for pair in zip(*blocks, strict=True)]
    return max(float((a / a.sum() - b / b.sum()).abs().sum()) / 2 for a, b in pairs)


def test_pairs_are_counted_like_by_hand(model):
    """Three subjects with 2, 0 and 1 events; groups are the codes themselves, shifted by one."""
    for groups in (model.static_pairs.own, model.events.pairs.of_given, model.events.pairs.own):
        groups.set([1 + torch.arange(codes) for codes in groups.cardinalities])
    static = np.array([[0, 1], [1, 0], [1, 2]], dtype=np.int16)
    events = np.array([[2, 0], [2, 1], [0, 1]], dtype=np.int16)
    tables = PairTables(model)
    tables.count(static, np.array([2, 0, 1]), events)
    groups = tables.of_event.num_groups
    assert tables.static[1 + 1, groups + 1 + 0] == 1 and tables.static[1 + 1, groups + 1 + 2] == 1
    assert tables.given[1 + 0, 1 + 2] == 1.0, "both events of the first subject, half a subject each"
    assert tables.given[groups + 1 + 2, groups + 1 + 1] == 1.0
    assert tables.within[1 + 2, groups + 1 + 0] == 0.5 and tables.within[1 + 0, groups + 1 + 1] == 1.0
    assert tables.previous[0, 1 + 2, 1 + 2] == 0.5 and tables.previous[0, groups, 1 + 2] == 0.5
    assert tables.previous[1, groups].sum() == 1.5 and tables.previous[1].sum() == 2.0


def test_a_pair_moves_towards_its_chances_and_not_for_noise_or_marginals():
    independent = torch.tensor([[400.0, 100.0], [400.0, 100.0]]).double()
    bound = torch.tensor([[480.0, 20.0], [320.0, 180.0]]).double()
    step, gain = pair_step(bound, independent, 1000, 1000, whole=True)
    assert gain > 0.02
    assert step[0, 0] == pytest.approx(np.log(0.96 / 0.8), abs=0.02)
    assert step[1, 1] == pytest.approx(np.log(0.36 / 0.2), abs=0.04)
    shifted = torch.tensor([[300.0, 200.0], [300.0, 200.0]]).double()
    assert pair_step(shifted, independent, 1000, 1000, whole=True)[1] == 0.0, "the marginal's own matter"
    noisy = torch.tensor([[405.0, 95.0], [395.0, 105.0]]).double()
    step, gain = pair_step(noisy, independent, 1000, 1000, whole=True)
    assert gain == 0.0 and not step.any()
    fewer = pair_step(bound, independent, 100, 100, whole=True)[0]
    assert 0.5 < fewer[1, 1] / pair_step(bound, independent, 1000, 1000, whole=True)[0][1, 1] < 1.0, (
        "few subjects prove less"
    )
    spread = pair_step(bound, independent, 100, 100, whole=False)[0]
    assert torch.allclose(spread, pair_step(bound, independent, 10**9, 10**9, whole=True)[0])


def test_a_stretch_of_codes_is_moved_as_a_whole():
    """A fifth of 200 codes came a third too often. Each is some ten subjects, so alone it is hardly believed."""
    target = torch.full((200,), 10.0).double()
    counts = torch.where(torch.arange(200) // 40 == 2, 13.3, 10.0).double()
    in_order = correction(target, counts, group_codes(target, tuple(range(200)), 21))
    names = correction(target, counts, group_codes(target, (UNORDERED,) * 200, 21))
    needed = torch.log(target / counts)[100]
    assert 0.6 < in_order[100] / needed < 0.75
    assert names[100] / needed < 0.4
    assert in_order[:70].abs().max() < 0.01


def test_neighbours_are_next_to_one_another_and_missing_is_alone():
    ranks = [UNORDERED, *np.random.default_rng(0).permutation(99).tolist()]
    target = torch.rand(100, generator=torch.Generator().manual_seed(0)).double()
    groups = group_codes(target, tuple(ranks), 21)
    assert groups[0] == 0 and (groups[1:] > 0).all()
    by_rank = groups[1:][np.argsort(ranks[1:])]
    assert (by_rank.diff() >= 0).all() and len(by_rank.unique()) == 20


def test_names_that_most_subjects_have_are_groups_of_their_own():
    groups = group_codes(torch.tensor([3.0, 9.0, 1.0, 9.0]), (UNORDERED,) * 4, 3)
    assert groups.tolist() == [0, 1, 0, 2]


def test_long_histories_are_calibrated_on_as_many_subjects_as_were_trained_on(config, monkeypatch):
    """A round samples no more than the training holds where histories are long, in chunks that memory holds."""
    chunks: list[tuple[int, int]] = []
    monkeypatch.setattr("synth_spark.train.calibrate.MAX_EVENTS", 100)
    monkeypatch.setattr("synth_spark.model.chunks.MAX_CODES", 12_000)
    monkeypatch.setattr(
        Generator, "sample_chunk", lambda self, first, count, seed: chunks.append((first, count)) or empty_chunk(count)
    )
    long = SequenceModel(dataclasses.replace(config, length_lows=(100,) * 4, length_highs=(100,) * 4))
    targets = [torch.full((c,), 150.0 / c) for c in (*config.static_cardinalities, *config.event_cardinalities)]
    calibrate(long, targets, PairTables(long), rounds=1, seed=1, trained_in="float32")
    assert chunks == [(0, 59), (59, 59), (118, 32)]  # 202 codes per subject


def empty_chunk(num_subjects: int) -> SampledChunk:
    return SampledChunk(
        0, np.zeros((num_subjects, 2), np.int16), np.zeros(num_subjects, np.int64), np.empty((0, 2), np.int16)
    )


def test_marginals_weigh_every_subject_alike(config):
    part = toy.window(500, seed=4)
    marginals = Marginals(config, by_subject=True)
    marginals.add(part.static_codes, part.num_events, part.event_codes)
    tensors = marginals.tensors()
    with_events = int((part.num_events > 0).sum())
    assert [float(t.sum()) for t in tensors] == pytest.approx([500, 500, with_events, with_events])
