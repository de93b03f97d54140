"""Histories beyond one step: distinct categories per subject, subjects per category. [spark]"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX
from synth_spark.histories import Histories
from synth_spark.qa.binning import Bins, CategoryBins, fit_number_bins, order_statistics
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID, SET, SETS, Layout, MetricColumn
from synth_spark.qa.pairs import event_rows, uniform
from synth_spark.qa.values import fit_bins

MAX_EVENTS = 100  # per subject, picked by hash
EVENT_BINS, COUNT_BINS, TOP_CATEGORIES = 30, 10, 9


@dataclass(frozen=True)
class CoherenceCounts:
    """Counts of one event column, both of shape (3 sets, cells)."""

    distinct_per_subject: np.ndarray  # subjects by binned number of distinct categories
    subjects_per_category: np.ndarray  # subjects that have it, for the top categories and, last, the rest


def sampled_events(sets: tuple[Histories, Histories, Histories], layout: Layout, *, seed: int) -> DataFrame:
    """One row per event, at most MAX_EVENTS per subject: SET, KEY_TEXT, event columns by id."""
    tables = []
    for number, histories in enumerate(sets):
        rows = event_rows(histories, layout)
        order = Window.partitionBy(KEY_TEXT).orderBy(uniform(seed, "coherence", F.col(KEY_TEXT), F.col(EVENT_INDEX)))
        rows = rows.withColumn("__rank", F.row_number().over(order))
        rows = rows.where((F.col(LENGTH_ID) <= MAX_EVENTS) | (F.col("__rank") <= MAX_EVENTS))
        tables.append(rows.select(F.lit(number).cast("smallint").alias(SET), KEY_TEXT, *(c.id for c in layout.events)))
    return reduce(DataFrame.unionByName, tables)


def coherence_counts(
    sets: tuple[Histories, Histories, Histories], layout: Layout, *, seed: int
) -> dict[str, CoherenceCounts]:
    """By id of event column. Bins and top categories come from training and holdout together."""
    events = sampled_events(sets, layout, seed=seed).persist()
    columns = layout.events
    bins = fit_bins(events.where(F.col(SET) < SETS.index("synthetic")), columns, bins=EVENT_BINS)
    coded = events.mapInArrow(_coder(bins, columns), _coded_schema(columns))
    subjects = coded.groupBy(SET, KEY_TEXT).agg(*(F.collect_set(c.id).alias(c.id) for c in columns)).persist()
    sizes = _size_counts(subjects, bins, columns)
    holders = _holder_counts(subjects, bins, columns)
    result = _assemble(subjects, bins, columns, sizes, holders)
    subjects.unpersist()
    events.unpersist()
    return result


def _coded_schema(columns: Sequence[MetricColumn]) -> str:
    return ", ".join([f"{SET} smallint", f"{KEY_TEXT} string", *(f"{c.id} smallint" for c in columns)])


def _coder(
    bins: Mapping[str, Bins], columns: Sequence[MetricColumn]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def code(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            codes = [
                pa.array(bins[c.id].code(batch.column(c.id).to_numpy(zero_copy_only=False)).astype(np.int16))
                for c in columns
            ]
            yield pa.RecordBatch.from_arrays(
                [batch.column(SET), batch.column(KEY_TEXT), *codes], names=[SET, KEY_TEXT, *(c.id for c in columns)]
            )

    return code


def _long(subjects: DataFrame, columns: Sequence[MetricColumn]) -> DataFrame:
    """One row per subject and column: SET, position of the column, array of its codes."""
    cells = [F.struct(F.lit(number).alias("number"), F.col(c.id).alias("codes")) for number, c in enumerate(columns)]
    return subjects.select(SET, F.explode(F.array(*cells)).alias("cell")).select(SET, "cell.number", "cell.codes")


def _size_counts(subjects: DataFrame, bins: Mapping[str, Bins], columns: Sequence[MetricColumn]) -> list[np.ndarray]:
    """Per column: subjects by number of distinct codes, shape (3, size + 1)."""
    rows = _long(subjects, columns).groupBy(SET, "number", F.size("codes").alias("cell")).count().toPandas()
    return _dense(rows, [bins[c.id].size + 1 for c in columns])


def _holder_counts(subjects: DataFrame, bins: Mapping[str, Bins], columns: Sequence[MetricColumn]) -> list[np.ndarray]:
    """Per column: subjects that have a code, shape (3, size)."""
    cells = _long(subjects, columns).select(SET, "number", F.explode("codes").alias("cell"))
    return _dense(cells.groupBy(SET, "number", "cell").count().toPandas(), [bins[c.id].size for c in columns])


def _dense(rows, sizes: list[int]) -> list[np.ndarray]:  # type: ignore[no-untyped-def]
    result = []
    for number, size in enumerate(sizes):
        part = rows[rows["number"] == number]
        counts = np.zeros((len(SETS), size), dtype=np.int64)
        counts[part[SET].to_numpy(dtype=np.int64), part["cell"].to_numpy(dtype=np.int64)] = part["count"].to_numpy()
        result.append(counts)
    return result


def top_codes(holders: np.ndarray, bins: Bins) -> list[int]:
    """The TOP_CATEGORIES codes that most real subjects have; equal ones by code. (other) always joins the rest."""
    real = holders[0] + holders[1]
    ranked = np.argsort(-real, kind="stable")[:TOP_CATEGORIES]
    rest = bins.other if isinstance(bins, CategoryBins) else -1
    return [int(code) for code in ranked if code != rest]


def _assemble(
    subjects: DataFrame,
    bins: Mapping[str, Bins],
    columns: Sequence[MetricColumn],
    sizes: list[np.ndarray],
    holders: list[np.ndarray],
) -> dict[str, CoherenceCounts]:
    tops = [top_codes(holder, bins[c.id]) for holder, c in zip(holders, columns, strict=True)]
    rests = [
        F.sum(F.exists(c.id, _outside(top)).cast("bigint")).alias(c.id) for top, c in zip(tops, columns, strict=True)
    ]
    rows = subjects.groupBy(SET).agg(*rests).toPandas().set_index(SET)
    result = {}
    for number, column in enumerate(columns):
        rest = np.zeros((len(SETS), 1), dtype=np.int64)
        rest[rows.index.to_numpy(dtype=np.int64), 0] = rows[column.id].to_numpy()
        result[column.id] = CoherenceCounts(
            bin_sizes(sizes[number]), np.hstack([holders[number][:, tops[number]], rest])
        )
    return result


def _outside(top: list[int]):  # type: ignore[no-untyped-def]
    return lambda code: ~code.isin(top)


def bin_sizes(counts: np.ndarray) -> np.ndarray:
    """Counts by number of distinct categories (3, sizes) -> counts by bin of that number, bins fitted on the real."""
    real = counts[0] + counts[1]
    present = np.flatnonzero(real)
    fitted = fit_number_bins(order_statistics(present.astype(float), real[present]), bins=COUNT_BINS)
    code = fitted.code(np.arange(counts.shape[1]))
    return np.stack([np.bincount(code, weights=row, minlength=fitted.size) for row in counts]).astype(np.int64)
