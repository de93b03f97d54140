"""Every codec, run through Spark on made-up columns of every type: fitted as encode fits, then there and back."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import category, number, units
from synth_spark.codecs.draws import Draws
from synth_spark.codecs.rounding import DECIMAL_STEPS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from synth_spark.codecs.number import NumberSummary

UTC = dt.UTC
DAYS = some.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
MOMENTS = some.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
SECONDS = some.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2021, 1, 1)).map(
    lambda t: t.replace(microsecond=0, tzinfo=UTC)
)
TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=6)


def _mixed(*strategies: Any) -> Any:
    return some.lists(some.one_of(some.none(), *strategies), min_size=1, max_size=12)


POOLS = {
    # large and small values together are refused: see is_too_coarse in codecs/units.py
    "double": some.one_of(
        _mixed(some.sampled_from([9.99, 0.0, -0.0]), some.decimals(-1000, 1000, places=2).map(float)),
        _mixed(some.floats(1.0, 1000.0), some.floats(-1000.0, -1.0)),
        _mixed(some.floats(1e299, 1.7976931348623157e308), some.sampled_from([1e300, -1e300])),
    ),
    "float": some.one_of(
        _mixed(some.sampled_from([9.99, 0.1, 250.5])), _mixed(some.floats(2.0**99, 2.0**127, width=32))
    ),
    "decimal(10,2)": _mixed(some.decimals(-99999999, 99999999, places=2)),
    "decimal(38,18)": _mixed(some.decimals(-(10**19), 10**19, places=18), some.just(Decimal("0.5"))),
    "bigint": _mixed(some.integers(-(2**63), 2**63 - 1), some.integers(-3, 3)),
    "int": _mixed(some.integers(-(2**31), 2**31 - 1), some.integers(0, 9)),
    "smallint": _mixed(some.integers(-(2**15), 2**15 - 1)),
    "tinyint": _mixed(some.integers(-128, 127)),
    "date": _mixed(DAYS),
    "timestamp": _mixed(MOMENTS, SECONDS),
    "string": _mixed(TEXTS, some.sampled_from(["", "a'b", 'q"', "`", "\\", "\x00", "é", "e\u0301", "null"])),
    "boolean": _mixed(some.booleans()),
}
TYPES = list(POOLS)


@dataclass(frozen=True)
class Made:
    """Value `at(row, column)` of a table with `subjects` subjects of `events` events each."""

    pools: tuple[list[Any], ...]
    subjects: int
    events: int
    stride: int

    @property
    def tells_much(self) -> bool:
        """Most columns hold values of several kinds, some of them missing ones, too."""
        several = [pool for pool in self.pools if len(set(pool)) > 2]
        return len(several) > len(self.pools) // 2 and any(None in pool for pool in several)

    def rows(self) -> list[tuple[Any, ...]]:
        return [
            (s, *(self._number_like(kind, s, pool) for kind, pool in zip(TYPES, self.pools, strict=True)))
            for s in range(self.subjects)
            for _ in range(self.events)
        ]

    def _number_like(self, kind: str, subject: int, pool: list[Any]) -> Any:
        value = pool[subject * self.stride % len(pool)]
        if value is not None and kind in ("int", "double", "smallint") and abs(value) < 1e6 and subject % 3 == 0:
            return type(value)(subject) + type(value)(subject) * 37 % 100  # some spread beside the pool's few values
        return value


MADE = some.builds(
    Made,
    pools=some.tuples(*POOLS.values()),
    subjects=some.just(400),
    events=some.sampled_from([1, 3]),
    stride=some.sampled_from([1, 5]),
)


@pytest.mark.parametrize(
    ("subjects", "slices", "slice_subjects"),
    [(0, 1, 0), (1, 256, 0), (60, 16, 24), (400, 1, 0), (400, 256, 0), (400, 16, 24)],
)
@settings(
    max_examples=1,  # of each shape; twelve columns of hundreds of rows are many examples
    deadline=None,
    phases=[Phase.generate],  # shrinking would take minutes, and the message names column and type
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(made=MADE)
def test_there_and_back(small: SparkSession, subjects: int, slices: int, slice_subjects: int, made: Made) -> None:
    assume(made.tells_much)  # what Hypothesis tries first, and here at all, are columns of nothing but missing values
    made = replace(made, subjects=subjects)
    columns = ", ".join(f"e{i} {kind}" for i, kind in enumerate(TYPES))
    table = small.createDataFrame(made.rows(), f"n bigint, {columns}").repartition(2, "n")
    table = table.sortWithinPartitions("n").persist()
    specs = _fit(table, slices=slices, slice_subjects=slice_subjects)
    for spec in specs:
        assert all(1 <= cardinality <= 256 for cardinality in spec.cardinalities), spec.name
    _check_codes(small, specs)
    _check_values(table, specs)
    table.unpersist()


def _fit(table: DataFrame, **slicing: int) -> list[FieldSpec]:
    from synth_spark.codecs import category, number
    from synth_spark.encode import statistics as st
    from synth_spark.encode.fields import FieldPlan
    from synth_spark.encode.fit import Plan, Thresholds, fit_units

    names = [f"e{i}" for i in range(len(TYPES))]
    plans = [
        FieldPlan("number" if units.is_number(t) else "category", (n,), (t,), (n,))
        for n, t in zip(names, TYPES, strict=True)
    ]
    numbers = [plan for plan in plans if plan.family == "number"]
    categories = [plan for plan in plans if plan.family == "category"]
    chosen = fit_units(table, table, Plan([], plans, None, Thresholds(b"salt" * 8, 1)))
    measured = [
        st.Measured("events", units.to_units(p.types[0], chosen[p.key], p.key), 5 + i % 4)
        for i, p in enumerate(numbers)
    ]
    counted = st.Tally({"events": table}, measured, "bigint")
    summaries = st.summarize_numbers(counted, counted.facts())
    counted.release()
    for plan, summary in zip(numbers, summaries, strict=True):
        _check_support(table, units.to_units(plan.types[0], chosen[plan.key], plan.key), summary)
    specs = [
        number.fit(p.name, p.types[0], chosen[p.key], s, threshold=m.threshold, steps=DECIMAL_STEPS, **slicing)
        for p, s, m in zip(numbers, summaries, measured, strict=True)
    ]
    texts = [st.Measured("events", p.key, 5) for p in categories]
    counted = st.Tally({"events": table}, texts, "string")
    found, nulls = st.summarize_categories(counted), [facts.is_missing(5) for facts in counted.facts()]
    counted.release()
    return specs + [
        category.fit(p.name, p.types[0], list(s.kept), missing=null, rare="sample", rare_marker="_RARE_")
        for p, s, null in zip(categories, found, nulls, strict=True)
    ]


def _check_support(table: DataFrame, unit_sql: str, summary: NumberSummary) -> None:
    """A cell's support is that of its most common value, counted again from the rows."""
    pairs = {(row.n, row.x) for row in table.selectExpr("n", f"{unit_sql} AS x").collect() if row.x is not None}
    starts = [start for start, _ in summary.cells]
    subjects = Counter(unit for _, unit in pairs)
    most: Counter[int] = Counter()
    for unit, count in subjects.items():
        if summary.low is not None and summary.high is not None and summary.low <= unit <= summary.high:
            cell = starts[bisect_right(starts, unit) - 1]
            most[cell] = max(most[cell], count)
    assert summary.support == most


CODECS: dict[str, ModuleType] = {"category": category, "number": number}


def _measured(spec: FieldSpec, name: str) -> str:
    """What is coded of a column."""
    return number.units_sql(spec, name) if spec.family == "number" else category.text_sql(name)


def _decoded(spec: FieldSpec, codes: list[NDArray[Any]]) -> pa.Array:
    """A value for each row of codes, each with draws of its own."""
    return CODECS[spec.family].decoder(spec)(codes, Draws(5, np.arange(len(codes[0]))).of(0))


def _check_codes(spark: SparkSession, specs: list[FieldSpec]) -> None:
    """encode(decode(c, u)) == c for all codes but rare ones."""
    for spec in specs:
        a, u = (part.ravel() for part in np.indices((spec.cardinalities[0], 7)))
        codes = [a, u * 41 % 256 % spec.cardinalities[-1]][: len(spec.cardinalities)]
        rows = spark.createDataFrame(pa.table({"value": _decoded(spec, codes)}))
        assert rows.schema["value"].dataType.simpleString() == spec.source_type
        measured = rows.selectExpr(f"{_measured(spec, 'value')} AS x").toArrow()["x"].combine_chunks()
        again = CODECS[spec.family].encoder(spec)(measured)[0]
        known = a != int(spec.params["missing"]) if spec.family == "category" and spec.params["rare"] else a >= 0
        wrong = known & (again != a)
        assert not wrong.any(), f"{spec.name} {spec.source_type}: {a[wrong]} became {again[wrong]}"


def _check_values(table: DataFrame, specs: list[FieldSpec]) -> None:
    """decode(encode(x)) is x for what is kept exactly, else lies in x's bin or in the kept range."""
    measured = [f"{_measured(spec, spec.name)} AS {spec.name}_x" for spec in specs]
    held = table.selectExpr(*(spec.name for spec in specs), *measured).toArrow().combine_chunks()
    for spec in specs:
        codes = CODECS[spec.family].encoder(spec)(pa.concat_arrays(held[f"{spec.name}_x"].chunks))
        held = held.append_column(f"{spec.name}_back", _decoded(spec, codes))
    rows, asked = table.sparkSession.createDataFrame(held), []
    for spec in specs:
        name, back = spec.name, f"{spec.name}_back"
        if spec.family == "category":
            kept = pc.is_in(held[f"{name}_x"], value_set=pa.array(spec.params["values"], pa.string()))
            exact = pc.or_(kept, pc.is_null(held[name]))
            assert held.filter(exact)[name].equals(held.filter(exact)[back]), name
            continue
        unit, again = (units.to_units(spec.source_type, spec.params["unit"], text) for text in (name, back))
        atoms = "array(" + ", ".join(f"CAST('{a}' AS BIGINT)" for a in [-7, *spec.params["atoms"]]) + ")"
        inside = " OR ".join(
            f"({unit} >= CAST('{lo}' AS BIGINT) AND {unit} < CAST('{hi}' AS BIGINT) AND "
            f"({again} >= CAST('{hi}' AS BIGINT) OR {again} < CAST('{lo}' AS BIGINT)))"
            for lo, hi in zip(spec.params["lows"], spec.params["highs"], strict=True)
        )
        is_atom = f"array_contains({atoms}, {unit}) AND {unit} <> -7"
        asked.append(
            f"count_if(({is_atom}) AND NOT {unit} <=> {again}) + count_if({name} IS NULL AND {back} IS NOT NULL)"
            + (f" + count_if(NOT ({is_atom}) AND ({inside}))" if inside else "")
        )
    row = rows.selectExpr(*(f"{text} AS c{i}" for i, text in enumerate(asked))).first()
    numbers = [spec for spec in specs if spec.family == "number"]
    assert {f"{s.name} {s.source_type}": n for s, n in zip(numbers, row, strict=True) if n} == {}
