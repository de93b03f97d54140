"""Nothing is shown but protected labels and cells with enough people."""

from __future__ import annotations

import numpy as np

from synth_spark.codebook import FieldSpec
from synth_spark.qa.display import NameAxis, calendar_edges, field_axis, gap_axis, length_axis, round_edges, show

DAY = 86_400_000_000


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
    axis = field_axis(FieldSpec("sum", "number", "double", (5,), params))
    assert axis.labels[0] == "below 0"
    assert axis.labels[-2:] == ("from 20", "missing")
    assert axis.code([-1.0, 0.0, 4.99, 5.0, 9.99, 25.0, np.nan]).tolist() == [0, 1, 1, 2, 3, 4, 5]


def test_categories_beyond_the_kept_are_other() -> None:
    spec = FieldSpec("c", "category", "string", (4,), {"missing": True, "rare": True, "values": ["red", "blue"]})
    axis = field_axis(spec)
    assert axis.labels == ("red", "blue", "other", "missing")
    assert axis.code(np.array(["blue", "secret", None], dtype=object)).tolist() == [1, 2, 3]


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
