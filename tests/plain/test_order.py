"""The rank of a code says where what it stands for lies among the others."""

from __future__ import annotations

import pytest

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import order
from synth_spark.codecs.order import UNORDERED

NUMBER = {"missing": True, "atoms": [7, 0, 300], "lows": [1, 10], "highs": [10, 250], "unit": {}}


def number_spec(*cardinalities: int, **params: object) -> FieldSpec:
    return FieldSpec("n", "number", "int", cardinalities, {**NUMBER, **params})


def test_numbers_are_ranked_by_their_values_and_missing_is_not() -> None:
    """Codes are: missing, the atoms 7, 0 and 300, the bins 1-9 and 10-249."""
    assert order.ranks(number_spec(6)) == [(UNORDERED, 2, 0, 4, 1, 3)]
    assert order.ranks(number_spec(5, missing=False)) == [(2, 0, 4, 1, 3)]


def test_slices_are_ranked_within_their_bin() -> None:
    ranks = order.ranks(number_spec(6, 4, slice_widths=[3, 60]))
    assert ranks[1] == (0, 1, 2, 3)


def test_lengths_are_ranked_and_names_are_not() -> None:
    length = FieldSpec("length", "length", "int", (3,), {"lows": [0, 1, 2], "highs": [0, 1, 9]})
    assert order.ranks(length) == [(0, 1, 2)]
    for family in ("category", "boolean"):
        large = FieldSpec("c", family, "string", (4, 3), {})
        assert order.ranks(large) == [(UNORDERED,) * 4, (UNORDERED,) * 3]


def test_times_of_day_come_before_gaps_and_weekdays_are_names() -> None:
    times = {"cardinalities": [2, 2], "params": {**NUMBER, "missing": False, "atoms": [9], "lows": [0], "highs": [9]}}
    gaps = {"cardinalities": [3], "params": {**NUMBER, "atoms": [0], "lows": [1], "highs": [60]}}
    clock = FieldSpec("elapsed", "calendar", "timestamp", (8, 5, 2), {"per_day": 86_400, "times": times, "gaps": gaps})
    assert order.ranks(clock) == [(UNORDERED,) * 8, (1, 0, UNORDERED, 2, 3), (0, 1)]
    dates = FieldSpec("elapsed", "calendar", "date", (8,), {"per_day": 1})
    assert order.ranks(dates) == [(UNORDERED,) * 8]


@pytest.mark.parametrize("family", ["number", "place"])
def test_every_code_has_a_rank_of_its_own(family: str) -> None:
    params = NUMBER if family == "number" else {"cells": {"cardinalities": [6], "params": NUMBER}}
    (ranks,) = order.ranks(FieldSpec("x", family, "int", (6,), params))
    assert sorted(ranks) == [UNORDERED, 0, 1, 2, 3, 4]
