"""Histograms on protected axes, for people. [spark]"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook
from synth_spark.qa.cells import CodedColumn, count_cells
from synth_spark.qa.display import GAP, axes_of, clock_column, show
from synth_spark.qa.layout import Layout
from synth_spark.qa_result import Shown

MAX_SHOWN_PAIRS = 600  # keeps the report below 10 MB; the least accurate pairs come first


def shown_histograms(
    pairs: DataFrame, layout: Layout, codebook: Codebook, ranked_pairs: Sequence[tuple[str, str]]
) -> tuple[Shown, ...]:
    """Columns, the time between events, and pairs of columns.

    Args:
        pairs: synth_spark.qa.pairs.pairs_of_sets.
        ranked_pairs: ids of the pairs to show, most interesting first.
    """
    axes = axes_of(layout, codebook)
    labels = {column.id: column.label for column in layout.all} | {GAP: "gap"}
    rows = _with_gap(pairs, layout, codebook)
    wanted: list[tuple[str, ...]] = [(axis,) for axis in axes if not axis.startswith("n")]
    wanted += [pair for pair in ranked_pairs if all(axis in axes for axis in pair)][:MAX_SHOWN_PAIRS]
    coded = {axis: CodedColumn(axis, coder) for axis, coder in axes.items()}
    return tuple(
        show(counts, [labels[axis] for axis in used], [axes[axis] for axis in used])
        for used, counts in count_cells(rows, coded, wanted)
    )


def _with_gap(pairs: DataFrame, layout: Layout, codebook: Codebook) -> DataFrame:
    clock = clock_column(layout, codebook)
    if clock is None or not layout.sequential:
        return pairs
    return pairs.withColumn(GAP, F.col("n" + clock.id[1:]) - F.col(clock.id))
