"""Accuracy, ceiling and means on cases worked out by hand."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest

from synth_spark.qa.accuracy import Score, mean_score, pick_triples, score


def test_accuracy_is_one_minus_half_the_sum_of_differences() -> None:
    # p = (.5, .3, .2), q = (.4, .3, .3): half of (.1 + 0 + .1)
    assert score(np.array([5, 3, 2]), np.array([40, 30, 30])).accuracy == pytest.approx(0.9)


def test_cells_that_only_one_side_has_count() -> None:
    assert score(np.array([10, 0]), np.array([0, 7])).accuracy == 0.0


def test_ceiling_is_the_expected_distance_of_two_samples() -> None:
    # one cell of p = .5 contributes sqrt(2/pi * .25 * (1/10 + 1/100)); there are two
    expected = 1 - sqrt(2 / pi * 0.25 * (1 / 10 + 1 / 100))
    assert score(np.array([5, 5]), np.array([50, 50])).ceiling == pytest.approx(expected)


def test_ceiling_ignores_cells_that_real_data_do_not_have() -> None:
    assert score(np.array([10, 0]), np.array([5, 5])).ceiling == 1.0


def test_tables_of_any_shape_are_compared_cell_by_cell() -> None:
    real, synthetic = np.array([[1, 1], [1, 1]]), np.array([[2, 0], [0, 2]])
    assert score(real, synthetic).accuracy == pytest.approx(0.5)


def test_an_empty_histogram_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        score(np.array([0, 0]), np.array([1, 1]))


def test_means_leave_out_what_does_not_exist() -> None:
    assert mean_score([Score(0.8, 0.9), None, Score(0.6, 1.0)]) == Score(pytest.approx(0.7), pytest.approx(0.95))
    assert mean_score([None]) is None


def test_triples_are_all_when_few_and_a_fixed_pick_when_many() -> None:
    assert pick_triples(["b", "a", "d", "c"], seed=0) == [
        ("a", "b", "c"),
        ("a", "b", "d"),
        ("a", "c", "d"),
        ("b", "c", "d"),
    ]
    names = [f"column {number}" for number in range(12)]
    picked = pick_triples(names, seed=3, limit=50)
    assert len(set(picked)) == 50
    assert picked == pick_triples(names[::-1], seed=3, limit=50)
    assert picked != pick_triples(names, seed=4, limit=50)
