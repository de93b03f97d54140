"""Every binning and tie rule of the metrics, pinned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_spark.qa.binning import (
    DAY_MICROSECONDS,
    AxisBins,
    CategoryBins,
    KnownValues,
    OrderStatistics,
    candidate_positions,
    fit_category_bins,
    fit_instant_bins,
    fit_number_bins,
    order_statistics,
)


def statistics(values: list[float]) -> OrderStatistics:
    counts = pd.Series(values, dtype=float).value_counts().sort_index()
    return order_statistics(counts.index.to_numpy(), counts.to_numpy())


def test_a_constant_too_large_for_another_one_is_not_taken_for_missing() -> None:
    bins = fit_number_bins(statistics([2.0**60] * 9), bins=10)
    assert bins.code(np.array([2.0**60])) != bins.code(np.array([np.nan]))


def naive_edges(values: list[float], bins: int) -> list[float]:
    """The rule, spelled out on the sorted list of all values."""
    ordered = sorted(values)
    if len(set(ordered)) <= bins:
        edges = [*sorted(set(ordered)), max(ordered) + 1]
    else:
        edges = []
        for number in range(bins, max(bins + 1, min(1000, len(ordered) + 1))):
            positions = np.linspace(0, len(ordered) - 1, number).astype(int)
            edges = sorted({ordered[position] for position in positions})
            if len(edges) >= bins + 1:
                break
    for digits in range(20):
        floored = [np.floor(edge * 10**digits) / 10**digits for edge in edges]
        if len(set(floored)) == len(edges):
            return [*floored[:-1], edges[-1]]
    return edges


def test_ten_distinct_numbers_get_a_bin_each() -> None:
    bins = fit_number_bins(statistics([1, 2, 2, 5]), bins=10)
    assert bins.edges == (1, 2, 5, 6)
    assert bins.code([1, 2, 5, np.nan]).tolist() == [0, 1, 2, 3]


def test_edges_are_floored_to_the_least_precision_that_keeps_them_apart() -> None:
    assert fit_number_bins(statistics([1.25, 2.75, 3.5]), bins=10).edges == (1, 2, 3, 4.5)
    assert fit_number_bins(statistics([1.25, 1.75]), bins=10).edges == (1.2, 1.7, 2.75)


def test_bins_are_closed_on_the_left_and_clip_what_lies_outside() -> None:
    bins = AxisBins((0.0, 10.0, 20.0))
    assert bins.code([-5, 0, 9.99, 10, 20, 99, np.nan]).tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_heavy_values_need_more_positions() -> None:
    values = [0.0] * 900 + list(range(1, 101))
    edges = fit_number_bins(statistics(values), bins=10).edges
    assert len(edges) >= 11
    assert list(edges) == naive_edges(values, 10)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("bins", [10, 30])
def test_equals_the_rule_on_all_values(seed: int, bins: int) -> None:
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 3000))
    values = np.round(random.gamma(1.0, 10.0 ** random.integers(0, 4), size), int(random.integers(0, 4))).tolist()
    assert list(fit_number_bins(statistics(values), bins=bins).edges) == naive_edges(values, bins)


def test_positions_are_searched_below_one_thousand() -> None:
    assert [len(positions) for positions in candidate_positions(5000, 10)] == list(range(10, 1000))
    assert [len(positions) for positions in candidate_positions(12, 10)] == [10, 11, 12]
    assert [len(positions) for positions in candidate_positions(3, 10)] == [10]


def test_without_values_there_is_one_bin_and_missing() -> None:
    assert fit_number_bins(statistics([]), bins=10).code([1.0, np.nan]).tolist() == [0, 1]
    assert fit_instant_bins(statistics([]), bins=10).code([np.nan]).tolist() == [1]


def test_a_single_instant_gets_a_day_and_instants_are_not_floored() -> None:
    assert fit_instant_bins(statistics([5.5]), bins=10).edges == (5.5, 5.5 + DAY_MICROSECONDS)
    assert fit_instant_bins(statistics([1.25, 2.5]), bins=10).edges == (1.25, 2.5)


def test_ten_most_frequent_categories_of_at_least_five() -> None:
    names = [f"v{number:02}" for number in range(12)]
    bins = fit_category_bins(names, [100 - number for number in range(11)] + [4], bins=10)
    assert bins.classes == (*names[:10], "(empty)", "(other)", "_RARE_", "(n/a)")
    assert fit_category_bins(["a", "b"], [5, 4], bins=10).classes[0:2] == ("a", "(empty)")


def test_equal_counts_are_ordered_by_text() -> None:
    bins = fit_category_bins(["c", "a", "b"], [7, 7, 7], bins=2)
    assert bins.classes[:2] == ("a", "b")


def test_missing_and_empty_compete_for_places_but_always_are_classes() -> None:
    bins = fit_category_bins([None, "", "a", "b"], [50, 40, 30, 20], bins=3)
    assert bins.classes == ("a", "(empty)", "(other)", "_RARE_", "(n/a)")
    assert bins.code(["a", "b", "", None, "_RARE_"]).tolist() == [0, 2, 1, 4, 3]


def test_unknown_text_is_other() -> None:
    bins = CategoryBins(("x", "(empty)", "(other)", "_RARE_", "(n/a)"))
    assert bins.code(np.array(["x", "never seen", None], dtype=object)).tolist() == [0, bins.other, 4]


def test_known_values_are_told_from_others_and_missing_ones() -> None:
    texts = KnownValues(("", "a", "b"))
    assert texts.size == 5
    assert texts.code(np.array(["b", "", "c", None, "a"], dtype=object)).tolist() == [2, 0, 3, 4, 1]
    assert texts.code(np.array([None, None], dtype=object)).tolist() == [4, 4]
    assert KnownValues((0.0, 2.5)).code(np.array([2.5, np.nan, -0.0, 1.0])).tolist() == [1, 3, 0, 2]
    assert KnownValues((2**62 + 1,)).code(np.array([2**62 + 1, 2**62])).tolist() == [0, 1]
    assert KnownValues(()).code(np.array(["a", None], dtype=object)).tolist() == [0, 1]
