"""Ranges of how many different codes a history holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import variety


def page(codes: int) -> FieldSpec:
    return FieldSpec("page", "category", "string", (codes,), {})


@given(
    st.integers(1, 300).flatmap(
        lambda codes: st.tuples(st.just(codes), st.dictionaries(st.integers(1, codes), st.integers(1, 40), min_size=1))
    ),
    st.integers(5, 8),
)
def test_ranges_tile_all_numbers_and_each_has_enough_subjects(drawn, threshold):
    codes, subjects = drawn
    params = variety.fit(page(codes), sorted(subjects.items()), threshold=threshold).params
    lows, highs = params["lows"], params["highs"]
    assert (lows[0], highs[-1]) == (1, codes)
    assert all(high + 1 == low for high, low in zip(highs[:-1], lows[1:], strict=True))
    held = [sum(subjects.get(n, 0) for n in range(low, high + 1)) for low, high in zip(lows, highs, strict=True)]
    assert len(held) == 1 or min(held) >= threshold


def test_edges_are_the_same_whatever_the_data():
    """A range says nothing of the numbers that occur but that enough subjects have some of them."""
    few = variety.fit(page(200), [(3, 50), (90, 50)], threshold=5).params
    many = variety.fit(page(200), [(number, 50) for number in range(1, 201)], threshold=5).params
    assert set(few["lows"]) <= set(many["lows"])
    assert many["lows"][:9] == [1, 2, 3, 4, 5, 6, 7, 8, 10]
    assert all(high < 1.25 * low for low, high in zip(many["lows"][7:], many["highs"][7:-1], strict=False))


def test_independent_events_hold_as_many_codes_as_expected():
    """Two coins, two throws: one code or two, with equal chances; and one throw holds one."""
    assert variety.expected({0: 1, 1: 1}, [(2, 10), (1, 4)]) == pytest.approx(10 * 1.5 + 4)
    assert variety.expected({0: 5}, [(7, 3)]) == pytest.approx(3)
    assert variety.expected({}, [(0, 3)]) == 0
