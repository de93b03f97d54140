"""Correlation and Cramér's V against values worked out by hand, and which pairs are kept."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from synth_spark.qa.associations import (
    Association,
    associate,
    association_figures,
    correlation,
    cramers_v,
    strongest,
)

NAN = float("nan")
BOTH = (True, True)


def pair(
    first: str, second: str, real: float, synthetic: float, *, control: tuple[float, float] = (0, 0)
) -> Association:
    return Association((first, second), BOTH, real, synthetic, *control)


def test_correlation_is_that_of_the_rows_behind_the_counts() -> None:
    rng = np.random.default_rng(1)
    first = rng.integers(0, 4, 500)
    second = np.clip(first + rng.integers(-1, 2, 500), 0, 4)
    counts = np.zeros((4, 5), dtype=np.int64)
    np.add.at(counts, (first, second), 1)
    assert correlation(counts) == pytest.approx(np.corrcoef(first, second)[0, 1])
    # by hand: codes 0, 0, 1, 1 with 0, 1, 1, 1: covariance 1/8, variances 1/4 and 3/16
    assert correlation(np.array([[1, 1], [0, 2]])) == pytest.approx((1 / 8) / math.sqrt(1 / 4 * 3 / 16))
    assert correlation(np.array([[0, 5], [5, 0]])) == pytest.approx(-1.0)


@pytest.mark.parametrize("counts", [np.zeros((3, 3)), np.array([[0, 4], [0, 5]]), np.array([[7]]), np.zeros((0, 2))])
def test_what_does_not_vary_has_no_correlation(counts: np.ndarray) -> None:
    assert math.isnan(correlation(counts))


def test_cramers_v_by_hand() -> None:
    assert cramers_v(np.array([[5, 0, 0], [0, 9, 0]])) == pytest.approx(1.0)  # k = 2 although there are three columns
    assert cramers_v(np.array([[2, 4], [3, 6]])) == pytest.approx(0.0, abs=1e-7)
    # chi2 = 20 (ad - bc)^2 / (margins): 20 * (7*6 - 3*4)^2 / (10 * 10 * 11 * 9)
    assert cramers_v(np.array([[7, 3], [4, 6]])) == pytest.approx(math.sqrt((42 - 12) ** 2 / (10 * 10 * 11 * 9)))


@pytest.mark.parametrize("counts", [np.zeros((3, 2)), np.array([[3, 4], [0, 0]]), np.array([[3, 0], [4, 0]])])
def test_one_class_has_no_association(counts: np.ndarray) -> None:
    assert math.isnan(cramers_v(counts))


def test_missing_is_left_out_of_a_correlation_and_a_class_of_its_own_elsewhere() -> None:
    known, missing_together = np.array([[4, 1, 0], [1, 4, 0], [0, 0, 0]]), np.array([[4, 1, 0], [1, 4, 0], [0, 0, 90]])
    counts = np.stack([known, np.zeros((3, 3), dtype=int), missing_together])
    found = associate(counts, ("tgt::a", "tgt::b"), BOTH)
    assert found.real == found.training == found.synthetic == pytest.approx(0.6)
    assert math.isnan(found.holdout)
    found = associate(counts, ("tgt::a", "tgt::b"), (True, False))
    assert found.real == pytest.approx(0.6) and found.synthetic > 0.7


def test_figures_are_means_over_the_pairs_that_have_a_value() -> None:
    found = [pair("a", "b", 0.5, 0.4, control=(0.3, 0.1)), pair("a", "c", 0.1, 0.4, control=(0.3, NAN))]
    figures = association_figures([*found, pair("b", "c", NAN, 0.2, control=(NAN, NAN))])
    assert figures == pytest.approx({"association.difference": 0.2, "association.difference.control": 0.2})
    assert association_figures([pair("a", "b", NAN, NAN, control=(NAN, NAN))]) == {}


def test_the_strongest_columns_are_kept_in_their_order() -> None:
    strong = {("b", "d"): (0.9, 0.0), ("a", "d"): (-0.2, -0.8), ("b", "c"): (NAN, NAN)}
    found = [pair(*names, *strong.get(names, (0.1, 0.12345))) for names in combinations("abcd", 2)]
    kept = strongest(found, most=3)
    assert kept.columns == ("a", "b", "d") and kept.left_out == 1
    assert kept.real == (0.1, -0.2, 0.9) and kept.synthetic == (0.1235, -0.8, 0.0)
    everything = strongest(found)
    assert everything.columns == tuple("abcd") and everything.left_out == 0
    assert everything.real == (0.1, 0.1, -0.2, None, 0.9, 0.1)


def test_pairs_that_were_not_counted_are_empty() -> None:
    # attributes of subjects are paired with event columns, not with one another
    found = strongest([pair("tgt::a", "ctx::x", 0.5, 0.4), pair("tgt::a", "ctx::y", 0.3, 0.2)])
    assert found.columns == ("tgt::a", "ctx::x", "ctx::y")
    assert found.real == (0.5, 0.3, None)
    assert strongest([]).columns == ()
