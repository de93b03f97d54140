"""Small groups: is what 50 to 500 real subjects have in common still there, and are they still like themselves? [spark]

A group is a value of an attribute, of the first event, or of two attributes together. Groups are told apart by hashes
of their values; neither leaves this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.qa.accuracy import Score, mean_score
from synth_spark.qa.binning import Bins, KnownValues
from synth_spark.qa.cells import CodedColumn, count_cells
from synth_spark.qa.layout import SET, SETS
from synth_spark.qa.tails import part_score
from synth_spark.seeds import derive

LEAST, MOST = 50, 500  # real subjects of a group
MAX_SINGLE = 20  # columns, and as many pairs of attributes, that make groups; picked by hash of their names
MAX_GROUPS = 100  # per column or pair, picked by hash: bounds the cells that are counted
MAX_INSIDE = 50  # columns that are looked at inside a group, picked by hash of their names
_GROUPING, _TOKEN, _PLACE = "__grouping", "__token", "__place"


def group_figures(
    rows: DataFrame,
    attributes: Sequence[str],
    others: Sequence[str],
    inside: Sequence[str],
    bins: Mapping[str, Bins],
    *,
    seed: int,
) -> dict[str, float]:
    """small_groups.*: accuracy of single columns inside small groups, mean over groups and columns, and its .ceiling;
    share: of synthetic subjects in these groups over that of real ones; count: of groups. Nothing without groups.

    Args:
        rows: one per subject, with SET and all named columns.
        attributes: columns that make groups, one by one and in pairs.
        others: columns that make groups one by one only.
        inside: columns that are looked at inside a group.
        bins: at least of `inside`.
    """
    groupings = _groupings(attributes, others, seed=seed)
    looked_at = _picked(inside, MAX_INSIDE, seed=seed)
    if not groupings:
        return {}
    tokens = {name: _token([F.col(column) for column in columns]) for name, columns in groupings.items()}
    rows = rows.select(SET, *looked_at, *(token.alias(name) for name, token in tokens.items()))
    groups = _small_groups(rows.where(F.col(SET) < SETS.index("synthetic")), list(groupings), seed=seed)
    asked = [
        axes
        for name in groups
        for axes in ((name,), *((name, column) for column in looked_at if column not in groupings[name]))
    ]
    coded = {name: CodedColumn(name, known) for name, known in groups.items()}
    coded |= {name: CodedColumn(name, bins[name]) for name in looked_at}
    sizes, subjects, scores = np.zeros(2), np.zeros(2), list[Score]()
    for (name, *column), counts in count_cells(rows, coded, asked):
        real, synthetic = counts[0] + counts[1], counts[2]
        known = len(groups[name].values)
        if column:
            scores += [part_score(real[group], synthetic[group]) for group in range(known)]
        else:
            sizes += (real[:known].sum(), synthetic[:known].sum())
            subjects[:] = real.sum(), synthetic.sum()
    mean = mean_score(scores)
    if mean is None or not subjects[1]:
        return {}
    return {
        "small_groups.accuracy": mean.accuracy,
        "small_groups.accuracy.ceiling": mean.ceiling,
        "small_groups.count": float(sum(len(known.values) for known in groups.values())),
        "small_groups.share": float((sizes[1] / subjects[1]) / (sizes[0] / subjects[0])),
    }


def _picked(names: Sequence[str], limit: int, *, seed: int) -> list[str]:
    """All in their order, or `limit` of them by hash."""
    chosen = sorted(names, key=lambda name: derive(seed, "picked", name))[:limit]
    return [name for name in names if name in chosen]


def _groupings(attributes: Sequence[str], others: Sequence[str], *, seed: int) -> dict[str, tuple[str, ...]]:
    """Name of a column of tokens -> the columns whose values make its groups."""
    single = _picked([*attributes, *others], MAX_SINGLE, seed=seed)
    pairs = combinations(_picked(attributes, MAX_SINGLE, seed=seed), 2)
    paired = sorted(pairs, key=lambda pair: derive(seed, "picked", *pair))[:MAX_SINGLE]
    return {f"group{number}": axes for number, axes in enumerate([*((name,) for name in single), *paired])}


def _token(columns: Sequence[Column]) -> Column:
    """One number for all values together; 0 where one is missing, since a missing number would become a double."""
    token = F.xxhash64(*columns)
    for column in columns:
        token = F.when(column.isNotNull(), token).otherwise(F.lit(0).cast("bigint"))
    return token


def _small_groups(real: DataFrame, names: Sequence[str], *, seed: int) -> dict[str, KnownValues]:
    """Tokens of the small groups by column of tokens; columns without any are left out."""
    cells = [F.struct(F.lit(n).alias(_GROUPING), F.col(name).alias(_TOKEN)) for n, name in enumerate(names)]
    cell = real.select(F.explode(F.array(*cells)).alias("cell")).select(f"cell.{_GROUPING}", f"cell.{_TOKEN}")
    counts = cell.where(F.col(_TOKEN) != 0).groupBy(_GROUPING, _TOKEN).count()
    order = Window.partitionBy(_GROUPING).orderBy(F.xxhash64(F.lit(seed), F.col(_TOKEN)), _TOKEN)
    few = counts.where(F.col("count").between(LEAST, MOST)).withColumn(_PLACE, F.row_number().over(order))
    found = few.where(F.col(_PLACE) <= MAX_GROUPS).select(_GROUPING, _TOKEN).toPandas().sort_values(_TOKEN)
    groups = {
        name: KnownValues(tuple(int(token) for token in found.loc[found[_GROUPING] == number, _TOKEN]))
        for number, name in enumerate(names)
    }
    return {name: known for name, known in groups.items() if known.values}
