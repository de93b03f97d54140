"""The membership attack on points whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.qa.likelihood import marginal_nats
from synth_spark.qa.membership import loss_attack, membership_figures


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


def test_members_whom_the_model_knows_are_found_however_long_their_histories_are() -> None:
    rng = np.random.default_rng(0)
    marginal = rng.gamma(2.0, 20.0, 2000)
    is_member = np.repeat([1, 0], 1000)
    learned = marginal * rng.normal(0.8, 0.05, 2000) - 0.1 * marginal * is_member
    assert loss_attack(learned, marginal, is_member).auc.low > 0.85
    assert abs(loss_attack(marginal * rng.normal(0.8, 0.05, 2000), marginal, is_member).auc.value - 0.5) < 0.05


def test_what_codes_cost_those_who_know_marginals_only() -> None:
    static = np.array([[0], [0], [0], [1]])
    events = np.array([[[1], [1]], [[1], [0]], [[0], [0]], [[0], [0]]])
    reference = static, np.array([2, 1, 0, 0]), events  # the event codes that count: 1, 1, 1
    one = np.array([[1]]), np.array([1]), np.array([[[0], [1]]])  # the padding behind its one event counts nothing
    found = marginal_nats(one, reference, ([2], [2]))
    assert found == pytest.approx([-np.log(1.5 / 5) - np.log(0.5 / 4)])
