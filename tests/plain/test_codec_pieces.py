"""Rounding, bin edges, lengths, units and key text: the parts of the codecs that need no Spark."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import category, edges, length, number, units
from synth_spark.codecs.rounding import DECIMAL_STEPS, clock_steps, roundest
from synth_spark.codecs.units import Units
from synth_spark.decode.keys import check_room, key_bits, key_numbers
from synth_spark.errors import ContractError
from synth_spark.seeds import drawing_seed

W = edges.SUBJECT_WEIGHT


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1177, 1223, 1200),
        (9871, 10493, 10000),
        (-37, 5, 0),
        (-999, -501, -800),
        (41, 44, 42),
        (43, 43, 43),
        (51, 74, 60),
    ],
)
def test_the_roundest_number_of_a_window(low: int, high: int, expected: int) -> None:
    assert roundest(low, high) == expected


def test_time_is_round_at_hours_and_days() -> None:
    seconds = clock_steps(1_000_000)
    assert roundest(3500, 7300, seconds) == 7200
    assert roundest(80_000, 100_000, seconds) == 86_400
    assert seconds[-1] == 1 and list(seconds) == sorted(seconds, reverse=True)


@given(some.integers(-(2**62), 2**62), some.integers(0, 2**40))
def test_the_roundest_number_is_inside(low: int, width: int) -> None:
    assert low <= roundest(low, low + width) <= low + width


STEPS = {"decimal": DECIMAL_STEPS, "clock": clock_steps(1_000_000)}
VALUES = some.lists(some.integers(-5000, 5000), min_size=30, max_size=400)


def _summary(values: list[int], threshold: int) -> number.NumberSummary:
    """What statistics tell of a column in which each value is another subject's."""
    ordered = sorted(values)
    low, high = ordered[threshold - 1], ordered[-threshold]
    held = Counter(values)
    atoms = [(unit, n * W) for unit, n in sorted(held.items(), key=lambda item: -item[1]) if n >= threshold]
    cells: Counter[int] = Counter()
    for unit, n in held.items():
        if low <= unit <= high:
            digits = max(0, len(str(abs(unit))) - edges.SIGNIFICANT_DIGITS)
            cells[unit - unit % min(10**digits, edges.linear_width(low, high))] += n * W
    return number.NumberSummary(False, low, high, tuple(atoms), tuple(sorted(cells.items())))


@settings(max_examples=200)
@given(
    values=VALUES,
    threshold=some.integers(5, 8),
    stride=some.sampled_from([1, 7, 100, 10**6, 86_400]),
    steps=some.sampled_from(["decimal", "clock"]),
)
@example(values=[0] * 10 + [-1] * 6 + [3] * 6 + [-4] + [6] * 6 + [9], threshold=7, stride=7, steps="decimal")
@example(values=[0] * 30 + [9] * 4 + [12] * 6 + [90] * 2 + [9999] * 6, threshold=6, stride=7, steps="decimal")
def test_bins_tile_hold_enough_subjects_and_never_hold_an_atom(
    values: list[int], threshold: int, stride: int, steps: str
) -> None:
    units = [value // 3 * stride for value in values]
    summary = _summary(units, threshold)
    spec = number.fit("x", "bigint", {}, summary, threshold=threshold, steps=STEPS[steps], slices=number.FINE)
    starts, codes = number.segments(spec)
    assert starts == sorted(set(starts)) and set(codes) == set(range(spec.cardinalities[0]))
    atoms = dict(summary.atoms)
    bins = list(zip(spec.params["lows"], spec.params["highs"], strict=True))
    for i, (low, high) in enumerate(bins):
        inside = sum(low <= unit < high and unit not in atoms for unit in units)
        assert inside >= threshold or len(bins) == 1
        assert low < high
        assert (low >= summary.low and high <= summary.high + 1) or bins == [(0, 1)]
        free = [u for u in (low, high - 1, (low + high) // 2) if u not in atoms]
        assert all(codes[bisect_right(starts, u)] == len(spec.params["atoms"]) + i for u in free)
    for i, unit in enumerate(spec.params["atoms"]):
        assert codes[bisect_right(starts, unit)] == i
    widths = [high - low for low, high in bins]
    assert len(spec.cardinalities) == (2 if max(widths, default=1) > 1 else 1)
    assert all(k <= number.FINE for k in spec.cardinalities)


@settings(max_examples=200)
@given(
    values=some.lists(some.integers(0, 3000), min_size=200, max_size=800),
    threshold=some.integers(5, 8),
    stride=some.sampled_from([1, 7, 100, 10**6]),
    subjects=some.integers(1, 20),
)
def test_every_slice_that_holds_values_has_enough_subjects(
    values: list[int], threshold: int, stride: int, subjects: int
) -> None:
    units = [value * stride for value in values]
    spec = number.fit(
        "x", "bigint", {}, _summary(units, threshold), threshold=threshold, steps=DECIMAL_STEPS, slices=number.COARSE,
        slice_subjects=subjects,
    )  # fmt: skip
    params = spec.params
    bins = list(zip(params["lows"], params["highs"], strict=True))
    widths = params.get("slice_widths", [high - low for low, high in bins])
    held = Counter(unit for unit in units if unit not in params["atoms"])
    for (low, high), width in zip(bins, widths, strict=True):
        inside = Counter[int]()
        for unit, n in held.items():
            if low <= unit < high:
                inside[(unit - low) // width] += n
        assert width >= high - low or min(inside.values()) >= subjects
        assert -(-(high - low) // width) <= number.COARSE


@settings(max_examples=100, deadline=None)
@given(
    values=some.lists(some.integers(0, 600), min_size=40, max_size=300),
    stride=some.sampled_from([1, 7, 100]),
    slices=some.sampled_from([1, number.FINE]),
)
def test_a_code_says_which_codes_of_another_field_its_units_have(values: list[int], stride: int, slices: int) -> None:
    units_of = [value * stride for value in values]
    own = number.fit(
        "x", "bigint", {}, _summary(units_of, 6), threshold=6, steps=DECIMAL_STEPS, slices=slices
    )  # fmt: skip
    other = FieldSpec(
        "y", "number", "bigint", (9,), {"missing": False, "atoms": [], "unit": {},
        "lows": [50 * stride * i + 3 for i in range(9)], "highs": [50 * stride * (i + 1) + 3 for i in range(9)]},
    )  # fmt: skip
    count, lows, highs = number.codes_beside(own, other)
    every = Units(np.arange(-10 * stride, 610 * stride))
    codes, beside = number.UnitsEncoder(own)(every), number.UnitsEncoder(other)(every)[0]
    place = codes[0] * count + (codes[1] if count > 1 else 0)
    assert count == (own.cardinalities[1] if len(own.cardinalities) > 1 else 1)
    assert len(lows) == len(highs) == own.cardinalities[0] * count
    for code in set(place.tolist()):
        found = beside[place == code]
        assert (lows[code], highs[code]) == (found.min(), found.max())


def test_units_are_bins_of_their_own_where_enough_subjects_are_in_them() -> None:
    cells = tuple((week, (40 if week % 10 else 2) * W) for week in range(2800, 2840))
    summary = number.NumberSummary(False, 2800, 2839, (), cells, {week: weight // W for week, weight in cells})
    single = number.fit("x", "int", {}, summary, threshold=6, steps=DECIMAL_STEPS, slices=256, most_units=100)
    widths = [high - low for low, high in zip(single.params["lows"], single.params["highs"], strict=True)]
    assert sorted(widths) == [1] * 32 + [2] * 4 and single.cardinalities == (36, 2)
    longer = number.fit(
        "x", "int", {}, summary, threshold=6, steps=DECIMAL_STEPS, slices=256, most_units=39, most_bins=8
    )
    assert longer.cardinalities[0] < 20


def test_an_end_that_enough_subjects_share_is_kept() -> None:
    cells = tuple((unit, 3 * W) for unit in range(1001, 1099))
    for shared, ends in ((6, (1001, 1099)), (5, (1002, 1098))):
        summary = number.NumberSummary(False, 1001, 1098, (), cells, dict.fromkeys(range(1001, 1099), shared))
        params = number.fit("x", "int", {}, summary, threshold=6, steps=DECIMAL_STEPS).params
        assert (params["lows"][0], params["highs"][-1]) == ends


def test_many_subjects_that_share_values_make_slices_though_each_weighs_little() -> None:
    """60 subjects, each with the same 500 values: every value is everybody's, and weighs an eighth of a subject."""
    cells = tuple((value, 60 * W // 500) for value in range(500))
    shared = number.NumberSummary(False, 0, 499, (), cells, dict.fromkeys(range(500), 60))
    unshared = number.NumberSummary(False, 0, 499, (), cells, dict.fromkeys(range(500), 1))
    fitted = [
        number.fit("x", "int", {}, summary, threshold=6, steps=DECIMAL_STEPS, slices=16, slice_subjects=24)
        for summary in (shared, unshared)
    ]
    assert len(fitted[0].cardinalities) == 2 and len(fitted[1].cardinalities) == 1


def test_what_many_share_as_an_atom_does_not_count_for_the_slice_around_it() -> None:
    cells = tuple((value, W + 50 * W * (value % 100_000 == 0)) for value in range(0, 1_000_000, 1000))
    atoms = tuple((value, 50 * W) for value in range(0, 1_000_000, 100_000))
    support = {value: 50 if value % 100_000 == 0 else 1 for value, _ in cells}
    spec = number.fit(
        "x", "int", {}, number.NumberSummary(False, 0, 999_000, atoms, cells, support), threshold=6,
        steps=DECIMAL_STEPS, slices=16, slice_subjects=24,
    )  # fmt: skip
    assert len(spec.cardinalities) == 1


def test_a_column_of_codes_keeps_all_its_values_and_others_the_frequent_ones() -> None:
    few = [(unit, 30 * W - unit) for unit in range(200)]
    assert edges.choose_atoms(few, sum(weight for _, weight in few)) == few
    assert len(edges.choose_atoms(few, 20_000 * W)) == edges.MAX_ATOMS, "they hold a third only"
    many = [(unit, 10 * W) for unit in range(edges.MAX_CODE_ATOMS + 1)]
    assert len(edges.choose_atoms(many, 10_000 * W)) == edges.MAX_ATOMS
    assert edges.choose_atoms(many, 11_000 * W) == [], "each is less than a thousandth"


def test_bins_end_at_long_empty_stretches() -> None:
    values = [*range(1000, 1400), *range(90_000, 90_400)]
    summary = number.NumberSummary(False, 1005, 90_394, (), tuple((value, W) for value in values))
    spec = number.fit("x", "bigint", {}, summary, threshold=6, steps=DECIMAL_STEPS)
    assert not any(low < 80_000 and high > 3_000 for low, high in zip(*_bins(spec), strict=True))
    starts, codes = number.segments(spec)
    assert codes[bisect_right(starts, 2_000)] == codes[bisect_right(starts, 1_390)], "all else goes to the nearer side"


@pytest.mark.parametrize("count", range(60, 90))
def test_signs_do_not_mix_where_nothing_lies_near_zero(count: int) -> None:
    values = [*range(-1000 - 7 * count, -1000, 7), *range(1000, 1900, 7)]
    summary = number.NumberSummary(False, values[5], values[-6], (), tuple((value, W) for value in values))
    lows, highs = _bins(number.fit("x", "bigint", {}, summary, threshold=8, steps=DECIMAL_STEPS))
    assert not any(low < -900 and high > 900 for low, high in zip(lows, highs, strict=True))


@pytest.mark.parametrize("first", [3000, 3001, 3002])
@pytest.mark.parametrize("apart", [2, 3, 4, 7, 10])
@pytest.mark.parametrize("lone_after", [True, False])
def test_no_edge_is_what_one_subject_has_beside_a_value_of_many(apart: int, lone_after: bool, first: int) -> None:
    """Many values of 45 subjects each, none of them frequent enough for an atom, and one subject's beside each."""
    many = list(range(first, first + 2000, 80))
    lone = [value + (apart if lone_after else -apart) for value in many]
    cells = sorted([(value, 45 * W) for value in many] + [(value, W) for value in lone])
    atoms = tuple((10_000 + i, 427 * W) for i in range(100))
    kept = cells[8:-8]
    summary = number.NumberSummary(False, kept[0][0], kept[-1][0], atoms, tuple(kept))
    lows, highs = _bins(number.fit("x", "bigint", {}, summary, threshold=6, steps=DECIMAL_STEPS))
    assert len(lows) > 8
    # the ends of the kept range are round numbers, which may be somebody's, too
    assert not {*lows[1:], *highs[:-1]} & set(lone)


def test_few_subjects_beyond_a_stretch_get_no_bin_of_their_own() -> None:
    values = [*range(1000, 1400), 90_000, 90_001]
    summary = number.NumberSummary(False, 1001, 90_000, (), tuple((value, W) for value in values))
    lows, highs = _bins(number.fit("x", "bigint", {}, summary, threshold=6, steps=DECIMAL_STEPS))
    assert not any(low > 1_400 for low in lows) and len(lows) == len(highs)


def _bins(spec: FieldSpec) -> tuple[list[int], list[int]]:
    return spec.params["lows"], spec.params["highs"]


def test_a_lone_extreme_does_not_move_the_kept_range() -> None:
    def kept(largest: int) -> list[int]:
        values = [*range(1000, 3000), largest]
        cells = tuple((value, W) for value in values)
        summary = number.NumberSummary(False, 1005, 2994, (), cells)
        return number.fit("x", "bigint", {}, summary, threshold=6, steps=DECIMAL_STEPS).params["highs"]

    assert kept(4000)[-1] == kept(10**9)[-1] <= 2994


def test_no_edge_is_the_smallest_value_where_all_values_are_dense() -> None:
    """10,000,051 is two subjects' value; the cell that holds it has the weight of hundreds."""
    cells = tuple((start, 300 * W) for start in range(10_000_000, 99_000_000, 1000))
    summary = number.NumberSummary(False, 10_000_051, 98_999_987, (), cells)
    lows, highs = _bins(number.fit("x", "bigint", {}, summary, threshold=6, steps=DECIMAL_STEPS))
    assert lows[0] == 10_001_000 and highs[-1] <= 98_999_000


def test_few_subjects_leave_nothing_but_a_constant_or_missing() -> None:
    cells = tuple((value, W) for value in (3, 50, 812))
    alone = number.fit("x", "int", {}, number.NumberSummary(False, None, None, (), cells), threshold=6, steps=(1,))
    assert (alone.params["lows"], alone.params["highs"], alone.params["atoms"]) == ([0], [1], [])
    missing = number.fit("x", "int", {}, number.NumberSummary(True, None, None, (), cells), threshold=6, steps=(1,))
    assert missing.cardinalities == (1,)


def test_the_shortest_history_is_not_told() -> None:
    found = [
        length.fit([(shortest, 1), (160, 2), (170, 3), (300, 40)], 300, threshold=6).params["lows"][0]
        for shortest in (137, 150)
    ]
    assert found[0] == found[1] <= 75


@settings(max_examples=200)
@given(
    counts=some.dictionaries(some.integers(0, 400), some.integers(1, 40), min_size=1, max_size=80),
    threshold=some.integers(5, 8),
)
@example(counts={0: 1, 1: 5, 2: 6}, threshold=6)  # the empty history must not make up for the sixth subject
def test_every_length_code_has_enough_subjects(counts: dict[int, int], threshold: int) -> None:
    longest, seen = None, 0
    for events in sorted(counts, reverse=True):
        seen += counts[events]
        if seen >= threshold:
            longest = events
            break
    spec = length.fit(sorted(counts.items()), longest, threshold=threshold)
    lows, highs = spec.params["lows"], spec.params["highs"]
    assert len(lows) == spec.cardinalities[0] <= 256
    borders = [border for pair in zip(lows, highs, strict=True) for border in pair]
    assert borders == sorted(borders) and len(set(lows)) == len(lows)
    if sum(counts.values()) < threshold or lows == [1]:
        return
    for low, high in zip(lows, highs, strict=True):
        assert sum(n for events, n in counts.items() if low <= events <= high) >= threshold
    assert highs[-1] <= (longest or 0)


def test_weights_of_kept_values_add_up() -> None:
    spec = category.fit(
        "x", "string", [("a", 700), ("b", 200), ("c", 100)], missing=True, rare="sample", rare_marker="R"
    )
    assert sum(spec.params["weights"]) == category.DRAWS
    assert spec.cardinalities == (5,)
    many = category.fit("x", "string", [(str(i), 9) for i in range(700)], missing=False, rare="marker", rare_marker="R")
    assert many.cardinalities == (3, 256)
    assert category.fit(
        "x", "boolean", [("true", 1), ("false", 1)], missing=False, rare="sample", rare_marker=""
    ).cardinalities == (2,)


@pytest.mark.parametrize(
    ("kind", "shares", "largest", "expected"),
    [
        ("double", {0: 10, 2: 990}, 500.0, {"scale": 2}),
        ("double", {2: 996, 10: 4}, 500.0, {"scale": 2}),
        ("double", {10: 1000}, 1.0, {"scale": 15}),
        ("double", {0: 1000}, 1e300, {"scale": -285}),
        ("double", {}, 0.0, {"scale": 0}),
        ("decimal(10,2)", {0: 1000}, 5.0, {"scale": 0}),
        ("decimal(38,18)", {10: 1000}, 5.0, {"scale": 16}),
        ("timestamp", {3: 1000}, 0.0, {"micros": 1_000_000}),
        ("timestamp", {3: 900, 5: 100}, 0.0, {"micros": 1}),
        ("int", {}, 5.0, {}),
    ],
)
def test_the_unit_is_the_coarsest_that_holds_the_values(
    kind: str, shares: dict[int, int], largest: float, expected: dict[str, int]
) -> None:
    assert units.choose_unit(kind, shares, largest) == expected


@pytest.mark.parametrize(
    ("shares", "orders", "largest", "coarse"),
    [
        ({2: 1000}, {0: 900, 4: 100}, 84_000.0, False),
        ({10: 1000}, {-12: 300, 12: 700}, 1e12, False),  # what remains of a subtraction is no value
        ({0: 1000}, {299: 1000}, 1e300, False),
        ({0: 1000}, {1: 980, 36: 20}, 1e36, True),  # ages beside a stand-in for missing ones
        ({2: 1000}, {1: 980, 15: 20}, 1e15, True),
        ({2: 1000}, {1: 4, 14: 996}, 1e15, False),
        ({10: 1000}, {0: 980, 38: 20}, 3.4e38, True),
        ({}, {}, 0.0, False),
    ],
)
def test_a_unit_that_makes_nothing_of_many_values_is_known(
    shares: dict[int, int], orders: dict[int, int], largest: float, coarse: bool
) -> None:
    for kind in ("float", "double"):
        assert units.is_too_coarse(units.choose_unit(kind, shares, largest), shares, orders) == coarse


def test_cents_of_a_float_stay_cents_beside_large_ones() -> None:
    assert units.choose_unit("float", {2: 1000}, 84_000.0) == {"scale": 2}
    found = units.from_units("float", {"scale": 2}, Units(np.array([8_400_012, 3, -7])))
    assert found.to_pylist() == [float(np.float32(value)) for value in (84000.12, 0.03, -0.07)]


def test_two_models_share_no_keys() -> None:
    seeds = [drawing_seed(1, "a" * 64), drawing_seed(1, "b" * 64), drawing_seed(2, "a" * 64)]
    keys = [set(key_numbers(np.arange(1000), "bigint", seed).tolist()) for seed in seeds]
    assert len(set.union(*keys)) == 3000


def test_keys_that_do_not_fit_are_refused() -> None:
    check_room("smallint", 2**14)
    with pytest.raises(ContractError, match="smallint"):
        check_room("smallint", 2**14 + 1)
    assert (key_bits("decimal(5,0)"), key_bits("decimal(38,0)"), key_bits("string")) == (16, 62, 62)
