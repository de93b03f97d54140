"""How few facts single out a real subject: why masking does not protect histories. [spark]

A figure of the source alone, beside which the synthetic data's privacy figures stand.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.histories import Histories
from synth_spark.qa.layout import KEY_TEXT, Layout, MetricColumn
from synth_spark.qa.pairs import event_rows, subject_rows, uniform

MAX_KNOWN = 10  # events that somebody may know of a subject
MAX_SUBJECTS = 1_000  # that are looked for among all
_DAY = 86_400_000_000.0
_TOKEN, _PLACE, _KNOWN, _PREFIX = "__token", "__place", "__known", "__prefix"


def uniqueness_figures(real: tuple[Histories, ...], layout: Layout, *, seed: int) -> dict[str, float]:
    """source_risk.*: shares of real subjects that no other real subject is like.

    source_risk.events.k<k>: by k of their events, in every value (by all of them, where they have fewer); of
    source_risk.subjects subjects, at most MAX_SUBJECTS, looked for among all. source_risk.coarse.k<k>: by day instead
    of moment and one digit of each number. source_risk.attributes: by all attributes together, of all subjects.
    """
    figures: dict[str, float] = {}
    if layout.events:
        events = reduce(DataFrame.unionByName, (event_rows(histories, layout) for histories in real))
        for name, column_of in (("events", _exact), ("coarse", _coarse)):
            found = _known_and_shared(events, [column_of(column) for column in layout.events], seed=seed)
            figures["source_risk.subjects"] = float(len(found))
            shares = unique_shares(found)
            figures |= {f"source_risk.{name}.k{known + 1}": float(share) for known, share in enumerate(shares)}
    if layout.subjects:
        subjects = reduce(DataFrame.unionByName, (subject_rows(histories, layout) for histories in real))
        token = token_of([F.col(column.id) for column in layout.subjects])
        counts = subjects.groupBy(token.alias(_TOKEN)).count()
        row = counts.agg(F.sum((F.col("count") == 1).cast("bigint")), F.sum("count")).first()
        assert row is not None, "an aggregate without groups has one row"
        figures["source_risk.attributes"] = float(row[0] or 0) / max(float(row[1] or 0), 1.0)
    return figures


def token_of(columns: list[Column]) -> Column:
    """One number for all values together; missing is a value."""
    return F.xxhash64(*(part for column in columns for part in (column.isNull(), column)))


def _exact(column: MetricColumn) -> Column:
    return F.col(column.id)


def _coarse(column: MetricColumn) -> Column:
    values = F.col(column.id)
    if column.kind == "instant":
        return F.floor(values / _DAY)
    if column.kind == "number":
        scale = F.pow(F.lit(10.0), F.floor(F.log10(F.abs(values))))
        return F.when(values == 0, 0.0).otherwise(F.round(values / scale) * scale)
    return values


def _known_and_shared(events: DataFrame, columns: list[Column], *, seed: int) -> pd.DataFrame:
    """One row per subject that is looked for: how many events are known of it, and how many first ones are shared."""
    tokens = events.select(KEY_TEXT, token_of(columns).alias(_TOKEN)).distinct().persist()
    subjects = tokens.select(KEY_TEXT).distinct()
    looked_for = subjects.orderBy(uniform(seed, "unique", F.col(KEY_TEXT)), KEY_TEXT).limit(MAX_SUBJECTS)
    order = Window.partitionBy(KEY_TEXT).orderBy(uniform(seed, "known", F.col(KEY_TEXT), F.col(_TOKEN)), _TOKEN)
    picked = tokens.join(F.broadcast(looked_for), KEY_TEXT, "left_semi").withColumn(_PLACE, F.row_number().over(order))
    picked = picked.where(F.col(_PLACE) <= MAX_KNOWN).persist()
    others = tokens.select(F.col(KEY_TEXT).alias("__other"), _TOKEN)
    known = picked.join(others, _TOKEN).where(F.col(KEY_TEXT) != F.col("__other"))
    shared = known.groupBy(KEY_TEXT, "__other").agg(
        F.sum(F.pow(F.lit(2.0), F.col(_PLACE) - 1).cast("bigint")).alias(_KNOWN)
    )
    longest = shared.groupBy(KEY_TEXT).agg(F.max(prefix_length(F.col(_KNOWN))).alias(_PREFIX))
    counts = picked.groupBy(KEY_TEXT).agg(F.max(_PLACE).alias(_PLACE))
    found = (
        counts.join(longest, KEY_TEXT, "left").select(_PLACE, F.coalesce(_PREFIX, F.lit(0)).alias(_PREFIX)).toPandas()
    )
    tokens.unpersist()
    picked.unpersist()
    return found


def prefix_length(mask: Column) -> Column:
    """How many of the first facts are all known to be shared: ones at the low end of a mask of bits."""
    lowest_zero = (mask + 1).bitwiseAND(F.bitwise_not(mask))
    return F.log2(lowest_zero.cast("double")).cast("int")


def unique_shares(found: pd.DataFrame) -> np.ndarray:
    """From how many facts there are of each subject, and how many of the first ones somebody else shares at most."""
    facts, shared = found[_PLACE].to_numpy(), found[_PREFIX].to_numpy()
    known = np.arange(1, MAX_KNOWN + 1)[:, None]
    return (shared[None] < np.minimum(known, facts[None])).mean(axis=1) if len(found) else np.zeros(0)
