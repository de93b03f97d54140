"""The Spark aggregations behind a codebook: exact, counted by subject, bounded in size, free of partitioning. [spark]

All fields go through the same few jobs: their values stand in one long frame (field f, subject n, value v) with the
subject's weight w: SUBJECT_WEIGHT spread evenly over its values of that field.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codecs.category import MAX_VALUES
from synth_spark.codecs.edges import (
    LINEAR_CELLS,
    MAX_CODE_ATOMS,
    SIGNIFICANT_DIGITS,
    SUBJECT_WEIGHT,
    choose_atoms,
    linear_width,
)
from synth_spark.codecs.number import NumberSummary
from synth_spark.codecs.units import LONG_LIMIT

MAX_THRESHOLD = 8  # the highest that keyed_threshold gives


@dataclass(frozen=True)
class Measured:
    """A column whose values are counted.

    frame: "subjects" or "events"; value_sql: its value in that frame; threshold: subjects needed; clustered: numbers
    that lie in clusters far apart, such as places, need finer cells than the range alone would give them.
    """

    frame: str
    value_sql: str
    threshold: int
    clustered: bool = False


def weighted_values(subjects: DataFrame, events: DataFrame, columns: Sequence[Measured], value_type: str) -> DataFrame:
    """One row per field, subject and distinct value: f, n, v, c (rows), w (weight). Nulls have none.

    A subject's values are counted (t) before they are made long: events lie by subject, so that needs no sorting.
    """
    parts = []
    for name, frame in (("subjects", subjects), ("events", events)):
        chosen = {f: column for f, column in enumerate(columns) if column.frame == name}
        if not chosen:
            continue
        wide = frame.select("n", *(F.expr(f"CAST({c.value_sql} AS {value_type}) AS v{f}") for f, c in chosen.items()))
        wide = wide.select("*", *(F.expr(f"count(v{f}) OVER (PARTITION BY n) AS t{f}") for f in chosen))
        cells = ", ".join(f"struct({f} AS f, v{f} AS v, t{f} AS t)" for f in chosen)
        parts.append(wide.select("n", F.expr(f"inline(array({cells}))")).where("v IS NOT NULL"))
    long = parts[0] if len(parts) == 1 else parts[0].unionByName(parts[1])
    counted = long.groupBy("n", "f", "v").agg(F.count(F.lit(1)).alias("c"), F.first("t").alias("t"))
    return counted.select("f", "n", "v", "c", F.expr(f"({SUBJECT_WEIGHT}L div t) * c AS w"))


def histograms(values: DataFrame) -> dict[int, dict[int, int]]:
    """Field -> value -> weight, for values of a small fixed range."""
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for row in values.groupBy("f", "v").agg(F.sum("w").alias("w")).collect():
        found[row["f"]][row["v"]] = row["w"]
    return found


@dataclass(frozen=True)
class Spread:
    """How many subjects have a value, and the most extreme subjects' values, most extreme first."""

    subjects: int
    smallest: tuple[float, ...]
    largest: tuple[float, ...]

    def kept(self, threshold: int) -> tuple[float | None, float | None]:
        """Values of the k-th most extreme subjects."""
        if self.subjects < threshold:
            return None, None
        return self.smallest[threshold - 1], self.largest[threshold - 1]


def spreads(values: DataFrame) -> dict[int, Spread]:
    """Field -> Spread."""
    each = values.groupBy("f", "n").agg(F.min("v").alias("low"), F.max("v").alias("high")).persist()
    counted = (
        each.groupBy("f")
        .agg(F.count(F.lit(1)).alias("r"))
        .select("f", F.lit("count").alias("what"), "r", F.lit(None).alias("v"))
    )

    def extreme(what: str, order: str) -> DataFrame:
        ranked = each.selectExpr(
            "f",
            f"'{what}' AS what",
            f"row_number() OVER (PARTITION BY f ORDER BY {order}, n) AS r",
            f"{order.split()[0]} AS v",
        )
        return ranked.where(F.col("r") <= MAX_THRESHOLD)

    found: dict[int, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in counted.unionByName(extreme("low", "low")).unionByName(extreme("high", "high DESC")).collect():
        found[row["f"]][row["what"]][row["r"]] = row["v"]
    each.unpersist()
    return {
        f: Spread(
            subjects=next(iter(parts["count"])),
            smallest=tuple(parts["low"][r] for r in sorted(parts["low"])),
            largest=tuple(parts["high"][r] for r in sorted(parts["high"])),
        )
        for f, parts in found.items()
    }


def summarize_numbers(values: DataFrame, columns: Sequence[Measured], missing: Sequence[bool]) -> list[NumberSummary]:
    """One summary per column; `values` hold units (BIGINT). A column that nobody has a value of is missing."""
    spread = spreads(values)
    kept: list[tuple[int | None, int | None]] = []
    for f, column in enumerate(columns):
        low, high = spread[f].kept(column.threshold) if f in spread else (None, None)
        bounded = (low is None or high is None) or low <= high
        kept.append((_bounded(low), _bounded(high)) if bounded else (None, None))
    totals = values.groupBy("f", "v").agg(F.sum("w").alias("w"), F.count(F.lit(1)).alias("subjects")).persist()
    atoms = _atoms(totals, columns)
    cells, support = _cells(totals, kept, [f for f, column in enumerate(columns) if column.clustered])
    totals.unpersist()
    return [
        NumberSummary(missing[f] or f not in spread, *kept[f], tuple(atoms[f]), tuple(cells[f]), support[f])
        for f in range(len(columns))
    ]


def _bounded(value: float | None) -> int | None:
    return None if value is None else max(-LONG_LIMIT, min(LONG_LIMIT, int(value)))


def _atoms(totals: DataFrame, columns: Sequence[Measured]) -> dict[int, list[tuple[int, int]]]:
    """Field -> (unit, weight) of the frequent values, heaviest first; at most MAX_CODE_ATOMS + 1 per field travel."""
    thresholds = _by_field({f: column.threshold for f, column in enumerate(columns)})
    ranked = totals.where(F.expr(f"subjects >= {thresholds}")).withColumn(
        "r", F.expr("row_number() OVER (PARTITION BY f ORDER BY w DESC, v)")
    )
    weights = {row["f"]: row["w"] for row in totals.groupBy("f").agg(F.sum("w").alias("w")).collect()}
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in ranked.where(F.col("r") <= MAX_CODE_ATOMS + 1).orderBy("f", "r").collect():
        found[row["f"]].append((row["v"], row["w"]))
    return defaultdict(list, {f: choose_atoms(values, weights[f]) for f, values in found.items()})


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
    lows, highs = (
        _by_field({f: low for f, (low, _) in known.items()}),
        _by_field({f: high for f, (_, high) in known.items()}),
    )
    inside = totals.where(F.col("f").isin(*known)).where(F.expr(f"v BETWEEN {lows} AND {highs}"))
    inside = inside.withColumnRenamed("v", "x")
    widths = {f: linear_width(low, high) for f, (low, high) in known.items()}
    finest = _finest_widths(inside, [f for f in clustered if widths.get(f, 1) > 1])
    linear = _by_field({f: min(width, finest.get(f, width)) for f, width in widths.items()})
    cell = F.expr(f"x - pmod(x, least({_significant_width('x')}, {linear}))")
    sums = F.sum("w").alias("w"), F.max("subjects").alias("s")
    for row in inside.groupBy("f", cell.alias("x")).agg(*sums).orderBy("f", "x").collect():
        found[row["f"]].append((row["x"], row["w"]))
        support[row["f"]][row["x"]] = row["s"]
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


def _by_field(values: dict[int, int]) -> str:
    """BIGINT expression: a constant that depends on the field."""
    branches = " ".join(f"WHEN {f} THEN CAST('{value}' AS BIGINT)" for f, value in values.items())
    return f"CASE f {branches} END" if values else "CAST(NULL AS BIGINT)"


@dataclass(frozen=True)
class CategorySummary:
    """Values with enough subjects (value, weight), heaviest first; and how much is rare."""

    kept: tuple[tuple[str, int], ...]
    rare_values: int
    rare_rows: int
    rare_subjects: int


def summarize_categories(values: DataFrame, columns: Sequence[Measured]) -> list[CategorySummary]:
    """One summary per column; `values` hold strings. Beyond MAX_VALUES the lighter values are rare, too."""
    thresholds = _by_field({f: column.threshold for f, column in enumerate(columns)})
    totals = values.groupBy("f", "v").agg(F.sum("w").alias("w"), F.count(F.lit(1)).alias("subjects"))
    enough = totals.where(F.expr(f"subjects >= {thresholds}"))
    ranked = enough.withColumn("r", F.expr("row_number() OVER (PARTITION BY f ORDER BY w DESC, v)"))
    kept = ranked.where(F.col("r") <= MAX_VALUES).persist()
    held = kept.select("f", "r", "v", "w").toPandas().sort_values(["f", "r"])  # by Arrow: there may be 100,000 a column
    rare = values.join(kept.select("f", "v"), ["f", "v"], "left_anti").persist()
    each = rare.groupBy("f", "n").agg(F.sum("c").alias("c"))
    counted = {
        row["f"]: row for row in each.groupBy("f").agg(F.sum("c").alias("c"), F.count(F.lit(1)).alias("s")).collect()
    }
    distinct = {row["f"]: row["d"] for row in rare.groupBy("f").agg(F.countDistinct("v").alias("d")).collect()}
    rare.unpersist()
    kept.unpersist()
    found = {f: tuple(zip(part["v"], part["w"].tolist(), strict=True)) for f, part in held.groupby("f")}
    return [
        CategorySummary(
            kept=found.get(f, ()),
            rare_values=distinct.get(f, 0),
            rare_rows=counted[f]["c"] if f in counted else 0,
            rare_subjects=counted[f]["s"] if f in counted else 0,
        )
        for f in range(len(columns))
    ]


def missing_counts(subjects: DataFrame, events: DataFrame, columns: Sequence[Measured]) -> list[int]:
    """Rows in which each column is null."""
    found = [0] * len(columns)
    for name, frame in (("subjects", subjects), ("events", events)):
        chosen = [f for f, column in enumerate(columns) if column.frame == name]
        if chosen:
            row = frame.agg(
                *(F.expr(f"count_if({columns[f].value_sql} IS NULL)").alias(f"c{f}") for f in chosen)
            ).first()
            for f in chosen:
                found[f] = int(row[f"c{f}"]) if row else 0
    return found


def clipped_counts(values: DataFrame, ranges: Sequence[tuple[int, int] | None]) -> list[tuple[int, int]]:
    """Rows and subjects, (rows, subjects), whose value lies outside each column's kept range [low, high)."""
    known = {f: bounds for f, bounds in enumerate(ranges) if bounds is not None}
    found = [(0, 0)] * len(ranges)
    if not known:
        return found
    lows = _by_field({f: low for f, (low, _) in known.items()})
    highs = _by_field({f: high for f, (_, high) in known.items()})
    outside = values.where(F.expr(f"v < {lows} OR v >= {highs}"))
    each = outside.groupBy("f", "n").agg(F.sum("c").alias("c"))
    for row in each.groupBy("f").agg(F.sum("c").alias("c"), F.count(F.lit(1)).alias("s")).collect():
        found[row["f"]] = (row["c"], row["s"])
    return found


def length_counts(subjects: DataFrame) -> list[tuple[int, int]]:
    """Pairs (events, subjects), ascending; the distinct lengths of n events in all number at most sqrt(2 n)."""
    rows = subjects.groupBy("events").agg(F.count(F.lit(1)).alias("s")).collect()
    return sorted((row["events"], row["s"]) for row in rows)
