"""The Spark aggregations behind a codebook: exact, counted by subject, bounded in size, free of partitioning. [spark]

Columns of one type go through the same few jobs: Arrow batches of whole subjects are counted in arrays
(synth_spark.encode.tally), Spark adds up what they tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from synth_spark.codecs.category import MAX_VALUES
from synth_spark.codecs.edges import (
    LINEAR_CELLS,
    MAX_CODE_ATOMS,
    SIGNIFICANT_DIGITS,
    choose_atoms,
    linear_width,
)
from synth_spark.codecs.number import NumberSummary
from synth_spark.codecs.units import LONG_LIMIT, arrow_type
from synth_spark.encode import tally


@dataclass(frozen=True)
class Measured:
    """A column whose values are counted.

    frame: subjects, events or clock; value_sql: its value in that frame; threshold: subjects needed; clustered: numbers
    that lie in clusters far apart, such as places, need finer cells than the range alone would give them.
    """

    frame: str
    value_sql: str
    threshold: int
    clustered: bool = False


@dataclass(frozen=True)
class Facts:
    """Of a column, what is small.

    missing: rows without a value; lacking: subjects with such a row; holders: subjects with a value; weight: of all
    values; smallest, largest: values of the most extreme subjects, most extreme first; different: pairs (different
    values of a subject, subjects), ascending; constant: subjects of several rows that all have one value, or none.
    """

    missing: int
    lacking: int
    holders: int
    weight: int
    smallest: tuple[float, ...]
    largest: tuple[float, ...]
    different: tuple[tuple[int, int], ...]
    constant: int

    def is_missing(self, threshold: int) -> bool:
        """Whether missing is a value of its own: enough subjects lack a value, or nobody has one."""
        return self.lacking >= threshold or not self.holders

    def kept(self, threshold: int) -> tuple[float | None, float | None]:
        """Values of the k-th most extreme subjects."""
        if self.holders < threshold:
            return None, None
        return self.smallest[threshold - 1], self.largest[threshold - 1]


class Tally:
    """The values of columns, counted by subject.

    Args:
        frames: by name; a subject's rows lie together, in one partition.
        value_type: that all the columns' values are cast to.
    """

    def __init__(self, frames: Mapping[str, DataFrame], columns: Sequence[Measured], value_type: str) -> None:
        self.columns = columns
        self._frames, self._type = frames, value_type
        schema = f"what STRING, f INT, v {value_type}, d BIGINT, c BIGINT, w BIGINT, s BIGINT"
        sums = [F.sum(name).alias(name) for name in ("c", "w", "s")]
        parts = self._mapped(partial(tally.counted, value_type=arrow_type(value_type)), schema)
        self._rows = parts.groupBy("what", "f", "v", "d").agg(*sums).persist()
        self.values = self._rows.where(F.col("what") == tally.VALUE).select("f", "v", "c", "w", "s")

    def release(self) -> None:
        """Give the cache back."""
        self._rows.unpersist()

    def facts(self) -> list[Facts]:
        """Of each column."""
        order = f"IF(what = '{tally.LOW}', v, NULL), IF(what = '{tally.HIGH}', v, NULL) DESC"
        small = self._rows.where(F.col("what") != tally.VALUE)
        small = small.withColumn("r", F.expr(f"row_number() OVER (PARTITION BY what, f ORDER BY {order})"))
        bounded = (F.col("r") <= tally.MOST_EXTREME) | ~F.col("what").isin(tally.LOW, tally.HIGH)
        found: dict[int, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in small.where(bounded).orderBy("f", "what", "r", "d").collect():
            found[row["f"]][row["what"]].append(row)
        return [_facts(found[f]) for f in range(len(self.columns))]

    def weights(self) -> dict[int, dict[int, int]]:
        """Column -> value -> weight, for values of a small fixed range."""
        found: dict[int, dict[int, int]] = defaultdict(dict)
        for row in self.values.collect():
            found[row["f"]][row["v"]] = row["w"]
        return found

    def strays(self, is_kept: Mapping[int, tally.IsKept]) -> list[tuple[int, int]]:
        """Rows and subjects, (rows, subjects), with a value that is not kept, of each column; 0 where none is asked."""
        found = [(0, 0)] * len(self.columns)
        if not is_kept:
            return found
        parts = self._mapped(
            lambda batches, fields: tally.strays(batches, fields, [is_kept[f] for f in fields]),
            "f INT, c BIGINT, s BIGINT",
            of=is_kept,
        )
        for row in parts.groupBy("f").agg(F.sum("c").alias("c"), F.sum("s").alias("s")).collect():
            found[row["f"]] = (row["c"], row["s"])
        return found

    def _mapped(
        self,
        function: Callable[..., Iterator[pa.RecordBatch]],
        schema: str,
        *,
        of: Container[int] | None = None,
    ) -> DataFrame:
        parts = []
        for name, frame in self._frames.items():
            chosen = [f for f, c in enumerate(self.columns) if c.frame == name and (of is None or f in of)]
            if chosen:
                values = (F.expr(self.columns[f].value_sql).cast(self._type).alias(f"v{f}") for f in chosen)
                parts.append(frame.select("n", *values).mapInArrow(partial(function, fields=chosen), schema))
        return reduce(DataFrame.unionByName, parts)


def _facts(told: Mapping[str, list[Row]]) -> Facts:
    holders = told[tally.HOLDERS]
    return Facts(
        missing=sum(row["c"] for row in told[tally.MISSING]),
        lacking=sum(row["s"] for row in told[tally.MISSING]),
        holders=sum(row["s"] for row in holders),
        weight=sum(row["w"] for row in holders),
        smallest=_of_subjects(told[tally.LOW]),
        largest=_of_subjects(told[tally.HIGH]),
        different=tuple((row["d"], row["s"]) for row in told[tally.DIFFERENT]),
        constant=sum(row["s"] for row in told[tally.CONSTANT]),
    )


def _of_subjects(rows: list[Row]) -> tuple[float, ...]:
    """A value for each of the most extreme subjects."""
    return tuple(row["v"] for row in rows for _ in range(row["s"]))[: tally.MOST_EXTREME]


def summarize_numbers(counted: Tally, facts: Sequence[Facts]) -> list[NumberSummary]:
    """One summary per column of units (BIGINT). A column that nobody has a value of is missing."""
    columns = counted.columns
    kept: list[tuple[int | None, int | None]] = []
    for column, of_column in zip(columns, facts, strict=True):
        low, high = of_column.kept(column.threshold)
        bounded = (low is None or high is None) or low <= high
        kept.append((_bounded(low), _bounded(high)) if bounded else (None, None))
    atoms = _atoms(counted, facts)
    cells, support = _cells(counted.values, kept, [f for f, column in enumerate(columns) if column.clustered])
    return [
        NumberSummary(
            found.is_missing(columns[f].threshold), *kept[f], tuple(atoms[f]), tuple(cells[f]), dict(support[f])
        )
        for f, found in enumerate(facts)
    ]


def _bounded(value: float | None) -> int | None:
    return None if value is None else max(-LONG_LIMIT, min(LONG_LIMIT, int(value)))


def _atoms(counted: Tally, facts: Sequence[Facts]) -> dict[int, list[tuple[int, int]]]:
    """Field -> (unit, weight) of the frequent values, heaviest first; at most MAX_CODE_ATOMS + 1 per field travel."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in _heaviest(counted, MAX_CODE_ATOMS + 1).orderBy("f", "r").collect():
        found[row["f"]].append((row["v"], row["w"]))
    return defaultdict(list, {f: choose_atoms(values, facts[f].weight) for f, values in found.items()})


def _heaviest(counted: Tally, most: int) -> DataFrame:
    """The values that enough subjects share, and the rank r of each by weight; at most so many of a column."""
    thresholds = {f: (column.threshold,) for f, column in enumerate(counted.columns)}
    shared = _with_constants(counted.values, ["threshold"], thresholds).where("s >= threshold").drop("threshold")
    ranked = shared.withColumn("r", F.expr("row_number() OVER (PARTITION BY f ORDER BY w DESC, v)"))
    return ranked.where(F.col("r") <= most)


def _cells(
    totals: DataFrame, kept: Sequence[tuple[int | None, int | None]], clustered: Sequence[int]
) -> tuple[dict[int, list[tuple[int, int]]], dict[int, dict[int, int]]]:
    """Field -> (first unit, weight) of order-preserving cells of what lies inside the kept range; and -> their support.

    A cell's support is the most subjects that share one value in it.
    """
    known = {f: (low, high) for f, (low, high) in enumerate(kept) if low is not None and high is not None}
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    support: dict[int, dict[int, int]] = defaultdict(dict)
    if not known:
        return found, support
    inside = _with_constants(totals, ["low", "high"], known).where("v BETWEEN low AND high").withColumnRenamed("v", "x")
    widths = {f: linear_width(low, high) for f, (low, high) in known.items()}
    finest = _finest_widths(inside, [f for f in clustered if widths.get(f, 1) > 1])
    linear = {f: (min(width, finest.get(f, width)),) for f, width in widths.items()}
    cell = F.expr(f"x - pmod(x, least({_significant_width('x')}, linear))")
    sums = F.sum("w").alias("w"), F.max("s").alias("s")
    cells = _with_constants(inside, ["linear"], linear).groupBy("f", cell.alias("x"))
    # by Arrow: there may be 100,000 a column
    told = cells.agg(*sums).toPandas().sort_values(["f", "x"])
    for f in told["f"].unique().tolist():
        of_field = told[told["f"] == f]
        starts, weights, shared = (of_field[name].tolist() for name in ("x", "w", "s"))
        found[f], support[f] = list(zip(starts, weights, strict=True)), dict(zip(starts, shared, strict=True))
    return found, support


def _finest_widths(inside: DataFrame, fields: Sequence[int]) -> dict[int, int]:
    """Field -> smallest power of ten for cells of which about LINEAR_CELLS / 2 at most hold a value."""
    if not fields:
        return {}
    widths = [10**e for e in range(18)]
    # the sketch behind the count keeps maxima of hashes: it does not depend on partitioning
    counts = [F.expr(f"approx_count_distinct(x - pmod(x, {width}L))") for width in widths]
    rows = inside.where(F.col("f").isin(*fields)).groupBy("f").agg(F.array(*counts).alias("cells")).collect()
    most = LINEAR_CELLS // 2
    return {row["f"]: next(w for w, n in zip(widths, row["cells"], strict=True) if n <= most) for row in rows}


def _significant_width(name: str) -> str:
    """Power of ten that leaves SIGNIFICANT_DIGITS digits of a BIGINT."""
    branches = [f"WHEN abs({name}) < {10 ** (SIGNIFICANT_DIGITS + e)}L THEN {10**e}L" for e in range(15)]
    return f"CASE {' '.join(branches)} ELSE {10**15}L END"


def _with_constants(rows: DataFrame, names: Sequence[str], of_fields: Mapping[int, Sequence[int]]) -> DataFrame:
    """Rows of these fields f, with what is known of each as BIGINT columns.

    It travels as broadcast rows: literals would stand in query plans, which Spark writes into logs.
    """
    schema = ", ".join(["f INT", *(f"{name} BIGINT" for name in names)])
    known = rows.sparkSession.createDataFrame([(f, *values) for f, values in of_fields.items()], schema)
    return rows.join(F.broadcast(known), "f")


@dataclass(frozen=True)
class CategorySummary:
    """Values with enough subjects (value, weight), heaviest first; and how much is rare."""

    kept: tuple[tuple[str, int], ...]
    rare_values: int
    rare_rows: int
    rare_subjects: int


def summarize_categories(counted: Tally) -> list[CategorySummary]:
    """One summary per column of strings. Beyond MAX_VALUES the lighter values are rare, too."""
    # by Arrow: there may be 100,000 a column
    held = _heaviest(counted, MAX_VALUES).select("f", "r", "v", "w").toPandas().sort_values(["f", "r"])
    found = dict(iter(held.groupby("f")))
    all_values = {row["f"]: row["count"] for row in counted.values.groupBy("f").count().collect()}
    rare = {f: number - len(found.get(f, ())) for f, number in all_values.items()}
    kept = {f: pa.array(found[f]["v"] if f in found else [], pa.string()) for f, number in rare.items() if number}
    strays = counted.strays({f: partial(pc.is_in, value_set=values) for f, values in kept.items()})
    return [
        CategorySummary(
            kept=tuple(zip(found[f]["v"], found[f]["w"].tolist(), strict=True)) if f in found else (),
            rare_values=rare.get(f, 0),
            rare_rows=rows,
            rare_subjects=subjects,
        )
        for f, (rows, subjects) in enumerate(strays)
    ]


def clipped_counts(counted: Tally, ranges: Sequence[tuple[int, int] | None]) -> list[tuple[int, int]]:
    """Rows and subjects, (rows, subjects), with a value outside each range [low, high); at least one pair a column."""
    strays = counted.strays({f: partial(_within, *bounds) for f, bounds in enumerate(ranges) if bounds is not None})
    return strays + [(0, 0)] * (len(ranges) - len(strays))


def _within(low: int, high: int, values: pa.Array) -> pa.Array:
    return pc.and_(pc.greater_equal(values, low), pc.less(values, high))


def length_counts(subjects: DataFrame) -> list[tuple[int, int]]:
    """Pairs (events, subjects), ascending; the distinct lengths of n events in all number at most sqrt(2 n)."""
    rows = subjects.groupBy("events").agg(F.count(F.lit(1)).alias("s")).collect()
    return sorted((row["events"], row["s"]) for row in rows)
