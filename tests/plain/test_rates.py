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
