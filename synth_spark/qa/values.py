"""Exact value counts and order statistics of many columns, however large the table. [spark]

Values are counted by group-by. Of a column with at most MAX_DISTINCT different values all counts come to the
driver; of any other only those values that stand at a position the search for edges can ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.qa.binning import (
    Bins,
    OrderStatistics,
    candidate_positions,
    fit_category_bins,
    fit_instant_bins,
    fit_number_bins,
    order_statistics,
)
from synth_spark.qa.layout import MetricColumn

MAX_DISTINCT = 100_000  # values per column that come to the driver
_RANGE_BUCKETS = 1_000
_COLUMN, _VALUE, _COUNT = "__column", "__value", "__count"


def fit_bins(
    rows: DataFrame, columns: Sequence[MetricColumn], *, bins: int, max_distinct: int = MAX_DISTINCT
) -> dict[str, Bins]:
    """Bins by column id, from all rows of a table of canonical columns."""
    fitted: dict[str, Bins] = {}
    axes = [column for column in columns if column.kind != "category"]
    for column, statistics in _axis_statistics(rows, axes, bins=bins, max_distinct=max_distinct):
        fit = fit_number_bins if column.kind == "number" else fit_instant_bins
        fitted[column.id] = fit(statistics, bins=bins)
    categories = [column for column in columns if column.kind == "category"]
    fitted.update(_category_bins(rows, categories, bins=bins))
    return fitted


def _value_counts(rows: DataFrame, columns: Sequence[MetricColumn]) -> DataFrame:
    """One row per column and value: _COLUMN (position), _VALUE, _COUNT; columns of one type only."""
    pairs = [
        F.struct(F.lit(position).alias(_COLUMN), F.col(column.id).alias(_VALUE))
        for position, column in enumerate(columns)
    ]
    cells = rows.select(F.explode(F.array(*pairs)).alias("cell")).select(f"cell.{_COLUMN}", f"cell.{_VALUE}")
    return cells.groupBy(_COLUMN, _VALUE).agg(F.count("*").alias(_COUNT))


def _axis_statistics(
    rows: DataFrame, columns: Sequence[MetricColumn], *, bins: int, max_distinct: int
) -> Iterator[tuple[MetricColumn, OrderStatistics]]:
    if not columns:
        return
    # kept: of a column with many values the counts are read four times, and counting goes over all rows
    counts = _value_counts(rows, columns).where(F.col(_VALUE).isNotNull()).persist()
    try:
        yield from _statistics_of_counts(counts, columns, bins=bins, max_distinct=max_distinct)
    finally:
        counts.unpersist()


def _statistics_of_counts(
    counts: DataFrame, columns: Sequence[MetricColumn], *, bins: int, max_distinct: int
) -> Iterator[tuple[MetricColumn, OrderStatistics]]:
    sizes = counts.groupBy(_COLUMN).agg(F.count("*").alias("distinct"), F.sum(_COUNT).alias("total")).toPandas()
    distinct = dict(zip(sizes[_COLUMN], sizes["distinct"], strict=True))
    total = dict(zip(sizes[_COLUMN], sizes["total"], strict=True))
    for group in _groups(columns, distinct, max_distinct):
        found = counts.where(F.col(_COLUMN).isin(group)).toPandas().sort_values([_COLUMN, _VALUE])
        for position in group:
            part = found[found[_COLUMN] == position]
            yield columns[position], order_statistics(part[_VALUE].to_numpy(), part[_COUNT].to_numpy())
    for position, column in enumerate(columns):
        if distinct.get(position, 0) > max_distinct:
            many = counts.where(F.col(_COLUMN) == position)
            yield column, _statistics_of_many(many, total[position], distinct[position], bins=bins)


def _groups(columns: Sequence[MetricColumn], distinct: dict[int, int], max_distinct: int) -> Iterator[list[int]]:
    """Positions of columns whose counts come to the driver together: ten times max_distinct values at most."""
    group: list[int] = []
    held = 0
    for position in range(len(columns)):
        size = distinct.get(position, 0)
        if size > max_distinct:
            continue
        if group and held + size > 10 * max_distinct:
            yield group
            group, held = [], 0
        group.append(position)
        held += size
    if group:
        yield group


def _statistics_of_many(counts: DataFrame, total: int, distinct: int, *, bins: int) -> OrderStatistics:
    """Values at the candidate positions only.

    Approximate quantiles cut the values into ranges; the exact count of each range gives the position at which it
    starts, so the running count inside a range needs no other range.
    """
    positions = np.unique(np.concatenate(candidate_positions(int(total), bins)))
    cuts = sorted(set(counts.approxQuantile(_VALUE, [i / _RANGE_BUCKETS for i in range(1, _RANGE_BUCKETS)], 1e-3)))
    bucketed = counts.mapInArrow(_bucketer(cuts), f"{_VALUE} double, {_COUNT} bigint, bucket int")
    sizes = bucketed.groupBy("bucket").agg(F.sum(_COUNT).alias("rows")).toPandas().sort_values("bucket")
    offsets = np.zeros(len(cuts) + 1, dtype=np.int64)
    offsets[sizes["bucket"].to_numpy()] = np.cumsum(sizes["rows"]) - sizes["rows"]
    window = Window.partitionBy("bucket").orderBy(_VALUE).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    running = bucketed.withColumn("running", F.sum(_COUNT).over(window))
    kept = running.mapInArrow(_position_filter(offsets, positions), f"{_VALUE} double, start bigint").toPandas()
    kept = kept.sort_values("start")
    return OrderStatistics(kept[_VALUE].to_numpy(), kept["start"].to_numpy(), int(total), int(distinct))


def _bucketer(cuts: list[float]):  # type: ignore[no-untyped-def]
    def assign(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            values = batch.column(_VALUE).to_numpy(zero_copy_only=False)
            bucket = np.searchsorted(np.asarray(cuts), values, side="right").astype(np.int32)
            yield pa.RecordBatch.from_arrays(
                [batch.column(_VALUE), batch.column(_COUNT), pa.array(bucket)], names=[_VALUE, _COUNT, "bucket"]
            )

    return assign


def _position_filter(offsets: np.ndarray, positions: np.ndarray):  # type: ignore[no-untyped-def]
    """Keeps values that stand at one of the positions, with the position at which they start."""

    def keep(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            count = batch.column(_COUNT).to_numpy()
            end = offsets[batch.column("bucket").to_numpy()] + batch.column("running").to_numpy()
            start = end - count
            wanted = np.searchsorted(positions, start) < np.searchsorted(positions, end)
            values = batch.column(_VALUE).to_numpy(zero_copy_only=False)
            yield pa.RecordBatch.from_arrays(
                [pa.array(values[wanted]), pa.array(start[wanted])], names=[_VALUE, "start"]
            )

    return keep


def _category_bins(rows: DataFrame, columns: Sequence[MetricColumn], *, bins: int) -> dict[str, Bins]:
    if not columns:
        return {}
    order = Window.partitionBy(_COLUMN).orderBy(F.col(_COUNT).desc(), F.col("__named"))
    named = F.when(F.col(_VALUE).isNull(), "(n/a)").when(F.col(_VALUE) == "", "(empty)").otherwise(F.col(_VALUE))
    counts = _value_counts(rows, columns).withColumn("__named", named)
    top = counts.withColumn("__rank", F.row_number().over(order)).where(F.col("__rank") <= bins).toPandas()
    fitted: dict[str, Bins] = {}
    for position, column in enumerate(columns):
        part = top[top[_COLUMN] == position]
        fitted[column.id] = fit_category_bins(part[_VALUE].to_list(), part[_COUNT].to_list(), bins=bins)
    return fitted
