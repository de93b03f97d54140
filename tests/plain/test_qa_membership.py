"""The membership attack on points whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.qa.membership import attack, membership_figures, wilson


def points(seed: int, count: int = 800) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).normal(scale=300, size=(count, 12)))


def test_released_training_subjects_are_found() -> None:
    found = membership_figures(points(1), points(2), points(1))
    assert found["membership.auc"] > 0.99
    assert found["membership.true_positives.low"] > 0.9
    assert found["membership.outliers.auc"] > 0.95


def test_slightly_moved_copies_are_found_too() -> None:
    moved = points(1) + np.rint(np.random.default_rng(9).normal(scale=60, size=(800, 12)))
    assert membership_figures(points(1), points(2), moved)["membership.auc.low"] > 0.8


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_fresh_subjects_give_nobody_away(seed: int) -> None:
    found = membership_figures(points(1), points(2), points(seed))
    assert found["membership.auc.low"] < 0.52
    assert found["membership.auc.high"] > 0.48
    assert found["membership.true_positives.low"] < 0.02
    assert found["membership.candidates"] == 400


def test_too_few_subjects_give_no_figures() -> None:
    assert membership_figures(points(1, 500), points(2, 30), points(3, 500)) == {}
    assert "membership.outliers.auc" not in membership_figures(points(1, 90), points(2, 90), points(3, 90))


def test_the_interval_of_the_area_covers_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(0), 0
    members = np.repeat([1, 0], 150)
    for _ in range(300):
        scores = np.concatenate([rng.normal(0.5, 1.0, 150), rng.normal(0.0, 1.0, 150)])
        found = attack(members, scores)
        covered += found.auc_low <= 0.6382 <= found.auc_high  # P(N(.5, sqrt 2) > 0)
    assert 0.9 <= covered / 300 <= 0.99


def test_wilson_by_hand() -> None:
    assert wilson(0.1, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert wilson(0.0, 50) == pytest.approx((0.0, 0.0713), abs=1e-4)
