"""Intervals and risks by hand, and how often they hold."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.rates import attack, difference, excess_risk, wilson


def test_wilson_by_hand() -> None:
    found = wilson(0.1, 100)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.0552, 0.1744), abs=1e-4)
    nothing = wilson(0.0, 50)
    assert (nothing.low, nothing.high) == pytest.approx((0.0, 0.0713), abs=1e-4)


def test_the_interval_of_the_area_covers_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(0), 0
    members = np.repeat([1, 0], 150)
    for _ in range(300):
        scores = np.concatenate([rng.normal(0.5, 1.0, 150), rng.normal(0.0, 1.0, 150)])
        found = attack(members, scores).auc
        covered += found.low <= 0.6382 <= found.high  # P(N(.5, sqrt 2) > 0)
    assert 0.9 <= covered / 300 <= 0.99


@pytest.mark.parametrize("count", [20, 50, 200, 1000])
def test_few_others_make_nobody_found_by_chance(count: int) -> None:
    """Of scores that tell nothing, one in a hundred members is beyond the threshold, wherever few others put that."""
    rng = np.random.default_rng(count)
    is_member = np.repeat([1, 0], count)
    found = [attack(is_member, rng.normal(size=2 * count)).true_positives for _ in range(400)]
    assert np.mean([one.low > 0.02 for one in found]) <= 0.005
    assert np.mean([one.low <= 0.01 <= one.high for one in found]) >= 0.95


def test_members_that_stand_out_are_found_where_others_are_enough() -> None:
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.normal(size=500) + np.where(np.arange(500) < 100, 10.0, 0.0), rng.normal(size=500)])
    found = attack(np.repeat([1, 0], 500), scores).true_positives
    assert 0.16 < found.low < 0.2 <= found.value < 0.22 and found.high < 0.3


def test_excess_risk_is_what_chance_leaves_open() -> None:
    found = excess_risk(0.6, 0.2, 1_000_000)
    assert found.value == pytest.approx((0.6 - 0.2) / 0.8, abs=1e-4)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.01


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.95])
def test_without_a_difference_there_is_no_risk_of_which_one_could_be_sure(rate: float) -> None:
    assert excess_risk(rate, rate, 500).low == 0.0
    assert excess_risk(rate / 2, rate, 500).value == 0.0


def test_difference_by_hand() -> None:
    found = difference(0.5, 0.4, 100)
    assert found.value == pytest.approx(0.1)
    assert found.high - found.value == pytest.approx(1.96 * np.sqrt((0.25 + 0.24) / 100), abs=1e-3)
