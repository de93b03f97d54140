"""Nothing is shown but protected labels and cells with enough people."""

from __future__ import annotations

import numpy as np

from synth_spark.codebook import FieldSpec
from synth_spark.qa.display import (
    NameAxis,
    calendar_edges,
    clock_axis,
    field_axis,
    gap_axis,
    length_axis,
    round_edges,
    show,
)
from synth_spark.qa.layout import Kind, MetricColumn

DAY = 86_400_000_000


def column(kind: Kind, name: str = "x") -> MetricColumn:
    return MetricColumn("t0", "tgt", name, kind)


def test_small_cells_are_hidden_on_both_sides() -> None:
    axis = NameAxis(("a", "b"))
    counts = np.array([[6, 2, 0, 0], [6, 2, 0, 0], [5, 5, 5, 5]])
    shown = show(counts, ["tgt::x"], [axis])
    assert shown.axes == (("a",),)
    assert (shown.real, shown.synthetic, shown.hidden) == ([1.0], [1.0], 3)


def test_a_hidden_cell_of_a_pair_is_empty_and_shares_do_not_reveal_it() -> None:
    axis = NameAxis(("a",))
    counts = np.zeros((3, 3, 3), dtype=int)
    counts[0, :2, :2] = [[10, 4], [5, 5]]
    counts[2] = 1
    shown = show(counts, ["tgt::x", "tgt::y"], [axis, axis])
    assert shown.real == [[0.5, None], [0.25, 0.25]]
    assert shown.synthetic[0][1] is None


def test_number_ranges_come_from_the_codebook() -> None:
    params = {"unit": {"scale": 2}, "missing": True, "atoms": [999], "lows": [0, 500], "highs": [500, 2000]}
    axis = field_axis(FieldSpec("sum", "number", "double", (5,), params), column("number"))
    assert axis.labels[0] == "below 0"
    assert axis.labels[-2:] == ("from 20", "missing")
    assert axis.code([-1.0, 0.0, 4.99, 5.0, 9.99, 25.0, np.nan]).tolist() == [0, 1, 1, 2, 3, 4, 5]


def test_categories_beyond_the_kept_are_other() -> None:
    spec = FieldSpec("c", "category", "string", (4,), {"missing": True, "rare": True, "values": ["red", "blue"]})
    axis = field_axis(spec, column("category"))
    assert axis.labels == ("red", "blue", "other", "missing")
    assert axis.code(np.array(["blue", "secret", None], dtype=object)).tolist() == [1, 2, 3]


def test_no_two_classes_have_one_label() -> None:
    assert NameAxis(("shop", "other", "missing", "(other)")).labels[-2:] == ("((other))", "(missing)")
    params = {"unit": {"scale": 0}, "missing": True, "atoms": [], "lows": [1_700_000_000], "highs": [1_700_000_900]}
    axis = field_axis(FieldSpec("t", "number", "double", (5,), params), column("number"))
    assert len(set(axis.labels)) == axis.size
    assert axis.labels[0] == "below 1,700,000,000"


def test_numbers_and_dates_learned_as_categories_are_shown_as_what_they_are() -> None:
    kept = {"missing": False, "rare": True, "values": ["20", "3", "7"]}
    axis = field_axis(FieldSpec("c", "category", "int", (4,), kept), column("number"))
    assert axis.labels == ("below 3", "3 \u2013 6", "7 \u2013 19", "from 20", "missing")
    days = {**kept, "values": ["2024-02-01", "2024-01-01"]}
    axis = field_axis(FieldSpec("c", "category", "date", (4,), days), column("instant"))
    assert axis.labels == ("below 2024-01", "2024-01", "from 2024-02", "missing")
    assert axis.code([19753.0 * DAY, np.nan]).tolist() == [1, 3]


def test_a_place_is_shown_on_round_degrees_inside_its_box() -> None:
    box = {"low": [20.0, -160.0], "high": [50.0, -60.0]}
    spec = FieldSpec("p", "place", "double", (9,), box, ("lat", "a lon"))
    latitude, longitude = (field_axis(spec, column("number", name)) for name in ("lat", "a lon"))
    assert latitude.labels == ("below 20", *(f"{n} \u2013 {n + 5}" for n in range(20, 50, 5)), "from 50", "missing")
    assert longitude.labels[1] == "-160 \u2013 -150"
    assert latitude.code([33.9, np.nan]).tolist() == [3, 8]


def test_the_clock_is_shown_over_its_protected_range() -> None:
    days = clock_axis({"type": "date", "unit": {}, "low": 0, "end": 400})
    assert days.labels[:2] == ("below 1970-01", "1970-01") and days.labels[-2] == "from 1971-02"
    hours = clock_axis({"type": "timestamp", "unit": {"micros": 3_600_000_000}, "low": 0, "end": 12})
    assert hours.edges[1] - hours.edges[0] == 3.6e9
    assert clock_axis({"type": "bigint", "unit": {}, "low": 3, "end": 98}).labels[1] == "10 \u2013 19"
    assert clock_axis({"type": "date", "unit": {}, "low": 0, "end": 100_000}).size > 8  # up to the year 2243
    assert clock_axis({"type": "date", "unit": {}, "low": 0, "end": 2_900_000}).size > 2  # up to the year 9909


def test_grids_do_not_depend_on_values() -> None:
    edges = calendar_edges(0, 400 * DAY)
    assert len(edges) == 14
    assert edges[1] == 31 * DAY
    assert round_edges(3, 98) == [float(edge) for edge in range(10, 91, 10)]
    assert gap_axis("date").labels[1:3] == ("same day", "next day")
    assert gap_axis("bigint").size == len(gap_axis("bigint").labels)


def test_short_lengths_are_shown_one_by_one() -> None:
    spec = FieldSpec("length", "length", "int", (4,), {"lows": [1, 2, 3, 10], "highs": [1, 2, 9, 40]})
    axis = length_axis(spec)
    assert axis.labels == ("below 1", "1", "2", "3 \u2013 9", "10 \u2013 40", "from 41", "missing")


def test_a_column_that_too_few_have_has_an_axis_nevertheless() -> None:
    params = {"unit": {}, "missing": True, "atoms": [], "lows": [], "highs": []}
    axis = field_axis(FieldSpec("speed", "number", "bigint", (1,), params), column("number"))
    assert axis.code([np.nan, 7.0]).tolist() == [2, 1] and axis.labels[2] == "missing"
