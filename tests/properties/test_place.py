"""Places through Spark: fitted as encode fits, then there and back, for every type that holds degrees."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import number, place, units
from synth_spark.codecs.draws import Draws

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TYPES = [
    ("double", "double"),
    ("float", "float"),
    ("decimal(9,6)", "decimal(9,6)"),
    ("double", "decimal(12,4)"),
]
SHARED = [(40.639751, -73.778925), (51.4775, -0.461389), (-36.85, 179.99), (90.0, 180.0), (-90.0, -180.0), (0.0, 180.0)]
THRESHOLD = 6


@dataclass(frozen=True)
class Made:
    """A table of places: towns of some size, places that many share, and lone ones anywhere on earth."""

    seed: int
    towns: tuple[tuple[float, float], ...]
    digits: int
    subjects: int
    events: int

    def rows(self, types: tuple[str, str]) -> list[tuple[Any, ...]]:
        drawn = random.Random(self.seed)
        made = []
        for subject in range(self.subjects):
            for _ in range(self.events):
                halves = self._place(drawn, subject)
                made.append((subject, *(_as(kind, half) for kind, half in zip(types, halves, strict=True))))
        return made

    def _place(self, drawn: random.Random, subject: int) -> tuple[float | None, float | None]:
        kind = drawn.random()
        if kind < 0.04:
            return drawn.choice([(None, None), (10.0, None), (None, 10.0), (90.5, 0.0), (0.0, -180.001)])
        if kind < 0.3:
            return drawn.choice(SHARED)
        if kind < 0.35:
            return round(drawn.uniform(-90, 90), self.digits), round(drawn.uniform(-180, 180), self.digits)
        middle = self.towns[subject % len(self.towns)]
        latitude, longitude = (drawn.gauss(centre, 0.1) for centre in middle)
        return round(max(-90.0, min(90.0, latitude)), self.digits), round((longitude + 180) % 360 - 180, self.digits)


MADE = some.builds(
    Made,
    seed=some.integers(0, 2**32),
    towns=some.tuples(*[some.tuples(some.floats(-89, 89), some.floats(-179.5, 180))] * 3),
    digits=some.integers(0, 6),
    subjects=some.sampled_from([60, 600]),
    events=some.sampled_from([1, 3]),
)


@pytest.mark.parametrize("types", TYPES)
@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(made=MADE)
def test_there_and_back(small: SparkSession, types: tuple[str, str], made: Made) -> None:
    rows = small.createDataFrame(made.rows(types), f"n bigint, y {types[0]}, x {types[1]}").repartition(2, "n")
    rows = rows.sortWithinPartitions("n").persist()
    spec, points = _fit(rows, types)
    assert all(1 <= cardinality <= 256 for cardinality in spec.cardinalities)
    _check_protection(spec, points)
    _check_codes(small, spec)
    _check_values(rows, spec)
    rows.unpersist()


@pytest.mark.parametrize("subjects", [0, 1, 5])
def test_few_places_leave_no_trace(small: SparkSession, subjects: int) -> None:
    made = [(subject, 12.345678 + subject, 98.765432 - subject) for subject in range(subjects)]
    rows = small.createDataFrame(made, "n bigint, y double, x double")
    spec, _ = _fit(rows, ("double", "double"))
    cells = spec.params["cells"]["params"]
    assert spec.cardinalities == (1,) and cells["atoms"] == [] and cells["highs"] in ([], [1])
    assert (spec.params["low"], spec.params["high"]) == ([-90.0, -180.0], [90.0, 180.0])


def test_a_lone_far_place_comes_back_as_one_of_the_others(small: SparkSession) -> None:
    drawn = random.Random(1)
    made = [(n, round(drawn.gauss(52.5, 0.1), 5), round(drawn.gauss(13.4, 0.1), 5)) for n in range(400)]
    rows = small.createDataFrame([*made, (400, -54.80191, -68.30295)], "n bigint, y double, x double")
    spec, _ = _fit(rows, ("double", "double"))
    assert all(abs(low - middle) < 1 for low, middle in zip(spec.params["low"], (52.5, 13.4), strict=True))
    far = _decoded(rows.where("n = 400"), spec).collect()
    assert all(52 < row["y2"] < 53 and 12 < row["x2"] < 14.5 for row in far)
    near = _decoded(rows.where("n < 400"), spec).selectExpr("avg(abs(y2 - y)) AS dy", "avg(abs(x2 - x)) AS dx").first()
    assert near["dy"] < 0.02 and near["dx"] < 0.02  # a town is 0.5 degrees wide: places stay where they were


def _as(kind: str, value: float | None) -> Any:
    if value is None:
        return None
    return round(Decimal(repr(value)), units.decimal_shape(kind)[1]) if kind.startswith("decimal") else float(value)


def _fit(rows: DataFrame, types: tuple[str, str]) -> tuple[FieldSpec, dict[int, int]]:
    """The specification, and position -> subjects of all places."""
    from synth_spark.encode import statistics as st

    digits = [
        st.Measured("events", f"IF({c} IS NULL, NULL, {units.precision_sql(kind, c)})", 1)
        for c, kind in zip("yx", types, strict=True)
    ]
    counted = st.Tally({"events": rows}, digits, "int")
    shares = counted.weights()
    counted.release()
    chosen = [units.choose_unit(kind, shares.get(i, {}), 180.0) for i, kind in enumerate(types)]
    scale = place.choose_scale(types, chosen)
    column = st.Measured("events", place.units_sql("y", "x", scale), THRESHOLD, clustered=True)
    counted = st.Tally({"events": rows}, [column], "bigint")
    (summary,) = st.summarize_numbers(counted, counted.facts())
    held = {row["v"]: row["s"] for row in counted.values.collect()}
    counted.release()
    return place.fit("y + x", ("y", "x"), types, summary, scale=scale, threshold=THRESHOLD), held


def _check_protection(spec: FieldSpec, points: dict[int, int]) -> None:
    cells = spec.params["cells"]["params"]
    atoms = set(cells["atoms"])
    assert all(points[unit] >= THRESHOLD for unit in atoms)
    bins = list(zip(cells["lows"], cells["highs"], strict=True))
    for low, high in bins:
        inside = sum(held for unit, held in points.items() if low <= unit < high and unit not in atoms)
        assert inside >= THRESHOLD or len(bins) == 1
    for edge in {*cells["lows"], *cells["highs"]}:
        # a corner of a tile may be somebody's place by chance, as any round number may
        assert edge % 100 == 0 or points.get(edge, THRESHOLD) >= THRESHOLD


def _coded(rows: DataFrame, spec: FieldSpec) -> pa.Table:
    """y, x, u, and the codes a and b of the place y, x."""
    value = place.units_sql("y", "x", spec.params["scale"])
    held = rows.selectExpr("y", "x", "u", f"{value} AS place").toArrow()
    codes = number.encoder(place.cells(spec))(pa.concat_arrays(held["place"].chunks))
    held = held.drop(["place"])
    for name, code in zip(("a", "b"), codes, strict=False):
        held = held.append_column(name, pa.array(code))
    return held


def _shown(codes: pa.Table, spec: FieldSpec, *names: str) -> pa.Table:
    """The table with the places that the codes a and b decode to, as columns of these names."""
    held = [codes[name].to_numpy().astype(np.intp) for name in ("a", "b")[: len(spec.cardinalities)]]
    for name, half in zip(names, place.decoder(spec)(held, Draws(5, codes["u"].to_numpy()).of(0)), strict=True):
        codes = codes.append_column(name, half)
    return codes


def _decoded(rows: DataFrame, spec: FieldSpec) -> DataFrame:
    """The rows, their codes a and b, and the place y2, x2 that these decode to."""
    coded = _coded(rows.selectExpr("y", "x", "CAST(hash(y, x, n) AS BIGINT) AS u"), spec)
    return rows.sparkSession.createDataFrame(_shown(coded, spec, "y2", "x2"))


def _check_codes(spark: SparkSession, spec: FieldSpec) -> None:
    """encode(decode(c, u)) == c, for every slice that exists; and every place decoded is one on earth."""
    names = ["a", "b"][: len(spec.cardinalities)]
    cells = spec.params["cells"]["params"]
    widths = cells.get("slice_widths", [])
    slices = [1] * (spec.cardinalities[0] - len(widths))
    slices += [
        -(-(high - low) // width) for low, high, width in zip(cells["lows"], cells["highs"], widths, strict=False)
    ]
    every = sorted({(a, b * 37 % n, u) for a, n in enumerate(slices) for b in range(7) for u in range(5)})
    table = pa.table(dict(zip("abu", map(list, zip(*every, strict=True)), strict=True)))
    shown = _shown(table, spec, "y", "x")
    again = _coded(spark.createDataFrame(shown), spec)
    columns = [*(shown[name].to_pylist() for name in "abyx"), *(again[name].to_pylist() for name in names)]
    for a, b, y, x, *back in zip(*columns, strict=True):
        # a slice of atoms only is never a code of data; decoding moves it
        assert back == [a, b][: len(back)] or _atoms_only(spec, a, b)
        assert (y is None) == (x is None) == bool(cells["missing"] and a == 0)
        assert y is None or (-90 <= y <= 90 and -180 <= x <= 180)


def _atoms_only(spec: FieldSpec, code: int, slice_: int) -> bool:
    cells = spec.params["cells"]["params"]
    first = spec.cardinalities[0] - len(cells["lows"])
    if code < first or "slice_widths" not in cells:
        return False
    low, high = cells["lows"][code - first], cells["highs"][code - first]
    width = cells["slice_widths"][code - first]
    start = low + slice_ * width
    return all(unit in cells["atoms"] for unit in range(start, min(start + min(width, 200), high)))


def _check_values(rows: DataFrame, spec: FieldSpec) -> None:
    """Atoms and missing places come back exactly; all others lie in their cell, and mean positions stay."""
    scale, cells = spec.params["scale"], spec.params["cells"]["params"]
    both = _decoded(rows, spec).selectExpr(
        "y2", "x2", f"{place.units_sql('y', 'x', scale)} AS v", f"{place.units_sql('y2', 'x2', scale)} AS w"
    )
    assert both.schema["y2"].dataType == rows.schema["y"].dataType
    assert both.schema["x2"].dataType == rows.schema["x"].dataType
    for row in both.collect():
        if row["v"] is None:
            assert (row["y2"] is None) == (row["x2"] is None) == cells["missing"], "a few get a place that others have"
        elif row["v"] in cells["atoms"]:
            assert row["w"] == row["v"]
        else:
            for low, high in zip(cells["lows"], cells["highs"], strict=True):
                assert (low <= row["v"] < high) <= (low <= row["w"] < high)
