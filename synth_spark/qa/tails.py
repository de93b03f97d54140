"""The largest values: does the top hundredth of the real ones come back, in number and in shape? [spark]

Protection clips extremes, so this is where it costs most; the figures stand beside what it removed. Quantiles are
exact: an approximate cut only says which rows are worth sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.qa.accuracy import Score, mean_score, score
from synth_spark.qa.binning import AxisBins
from synth_spark.qa.cells import CodedColumn, count_cells
from synth_spark.qa.layout import SET, SETS, MetricColumn

TAIL = 0.01  # of the real values, at most: equal ones are not torn apart
TAIL_BINS = 5
LEAST_TAIL = 20  # real subjects above the quantile: of fewer, five bins would only show noise
_COLUMN, _VALUE, _COUNT, _POSITION = "__column", "__value", "__count", "__position"


@dataclass(frozen=True)
class Tail:
    """One column's largest values: shares above the real 99 % quantile, and the accuracy of what lies there."""

    real: float
    synthetic: float
    score: Score


def tail_figures(tails: Sequence[Tail]) -> dict[str, float]:
    """Means over columns: tails.share of synthetic values above the real 99 % quantile and tails.share.real;
    tails.accuracy inside and its .ceiling."""
    inside = mean_score([tail.score for tail in tails])
    if inside is None:
        return {}
    return {
        "tails.share": float(np.mean([tail.synthetic for tail in tails])),
        "tails.share.real": float(np.mean([tail.real for tail in tails])),
        "tails.accuracy": inside.accuracy,
        "tails.accuracy.ceiling": inside.ceiling,
    }


def tails_of(rows: DataFrame, columns: Sequence[MetricColumn]) -> list[Tail]:
    """Of those columns that are numbers and have a tail; missing values do not count.

    Args:
        rows: one per subject, with SET and the columns by id: pairs_of_sets or traits_of_sets.
    """
    numbers = [column.id for column in columns if column.kind == "number"]
    bins = _tail_bins(rows.where(F.col(SET) < SETS.index("synthetic")), numbers)
    coded = {name: CodedColumn(name, found) for name, found in bins.items()}
    tails = [_tail(counts) for _, counts in count_cells(rows, coded, [(name,) for name in coded])]
    return [tail for tail in tails if tail is not None]


def _tail(counts: np.ndarray) -> Tail | None:
    """Of counts by set and code: below the quantile, bins above it, missing."""
    real, synthetic = counts[0, :-1] + counts[1, :-1], counts[2, :-1]
    if real[1:].sum() < LEAST_TAIL or not synthetic.sum():
        return None
    above = real[1:].sum() / real.sum(), synthetic[1:].sum() / synthetic.sum()
    return Tail(float(above[0]), float(above[1]), part_score(real[1:], synthetic[1:]))


def part_score(real: np.ndarray, synthetic: np.ndarray) -> Score:
    """Score of a part of the data that may have no synthetic subject: then nothing of it is right."""
    return score(real, synthetic) if synthetic.sum() else Score(0.0, score(real, real).ceiling)


def _tail_bins(real: DataFrame, names: Sequence[str]) -> dict[str, AxisBins]:
    """By column: one bin up to the 99 % quantile, then TAIL_BINS with as many real values each, ties aside."""
    if not names:
        return {}
    totals = real.agg(*(F.count(name).alias(name) for name in names)).first()
    assert totals is not None, "an aggregate without groups has one row"
    names = [name for name in names if int(totals[name] * TAIL) >= LEAST_TAIL]
    if not names:
        return {}
    cuts = real.approxQuantile(list(names), [1 - 2 * TAIL], TAIL / 2)
    positions = [(number, _positions(int(totals[name]))) for number, name in enumerate(names)]
    asked = [(number, position) for number, found in positions for position in found]
    top = real.select(*names).mapInArrow(_above(dict(zip(names, cuts, strict=True))), f"{_COLUMN} int, {_VALUE} double")
    order = Window.partitionBy(_COLUMN).orderBy(F.col(_VALUE).desc())
    counts = top.groupBy(_COLUMN, _VALUE).agg(F.count("*").alias(_COUNT))
    running = counts.withColumn("__until", F.sum(_COUNT).over(order.rowsBetween(Window.unboundedPreceding, 0)))
    wanted = real.sparkSession.createDataFrame(asked, f"{_COLUMN} int, {_POSITION} bigint")
    here = (F.col(_POSITION) < F.col("__until")) & (F.col(_POSITION) >= F.col("__until") - F.col(_COUNT))
    found = running.join(F.broadcast(wanted), _COLUMN).where(here).toPandas()
    return {
        name: _bins(found[found[_COLUMN] == number].sort_values(_POSITION, ascending=False)[_VALUE].to_numpy())
        for number, name in enumerate(names)
    }


def _positions(total: int) -> list[int]:
    """0-based positions from the largest value down: of the inner edges and, last, of the 99 % quantile."""
    size = int(total * TAIL)
    return [*(size * number // TAIL_BINS for number in range(1, TAIL_BINS)), size]


def _bins(edges: np.ndarray) -> AxisBins:
    """edges: the 99 % quantile, which the tail begins above, then the inner ones, ascending."""
    start = np.nextafter(edges[0], np.inf)
    inner = [float(edge) for edge in np.unique(edges[1:]) if edge > start]
    return AxisBins((-np.inf, float(start), *inner, np.inf))


def _above(cuts: Mapping[str, Sequence[float]]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Cells at or above their column's cut; cuts are raw values, so they travel inside the function."""

    def pick(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            for number, (name, (cut,)) in enumerate(cuts.items()):
                values = batch.column(name)
                kept = values.filter(pc.greater_equal(values, cut))
                column = pa.array(np.full(len(kept), number, dtype=np.int32))
                yield pa.RecordBatch.from_arrays([column, kept], names=[_COLUMN, _VALUE])

    return pick
