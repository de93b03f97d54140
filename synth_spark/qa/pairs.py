"""One pair of consecutive events per subject: the table that the accuracy metrics look at. [spark]

Every subject weighs the same, however long its history. Numbers and instants become doubles (instants in
microseconds, exact until the year 2255), everything else text.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories, quoted
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID, SET, Kind, Layout, plan_layout
from synth_spark.seeds import derive

_FIRST = "__first"


def learned_columns(histories: Histories) -> tuple[dict[str, str], dict[str, str]]:
    """Name -> Spark type of event columns and of attributes."""
    events = {name: kind for name, kind in histories.events.dtypes if name not in (SUBJECT_KEY, EVENT_INDEX)}
    subjects = {name: kind for name, kind in histories.subjects.dtypes if name != SUBJECT_KEY}
    return events, subjects


def layout_of(training: Histories) -> Layout:
    """Layout for these data; sequential unless every subject of `training` has exactly one event."""
    events, subjects = learned_columns(training)
    if not events:
        return plan_layout(events={}, subjects=subjects, sequential=False)
    lengths = training.events.groupBy(SUBJECT_KEY).agg(F.count("*").alias("length"))
    numbers = lengths.agg(F.count("*").alias("subjects"), F.max("length").alias("longest")).first()
    assert numbers is not None
    sequential = numbers["longest"] != 1 or numbers["subjects"] != training.subjects.count()
    return plan_layout(events=events, subjects=subjects, sequential=sequential)


def canonical(name: str, kind: Kind, spark_type: str) -> Column:
    """The column as a double (microseconds for instants; NaN is missing) or as text."""
    column = F.col(quoted(name))
    if kind == "category":
        return column.cast("string")
    if kind == "instant":
        if spark_type == "date":
            return F.unix_date(column).cast("double") * F.lit(86_400_000_000.0)
        return F.unix_micros(column.cast("timestamp")).cast("double")
    number = column.cast("double")
    return F.when(~F.isnan(number), number)


def spark_seed(seed: int, purpose: str) -> int:
    """A seed for hashes inside Spark."""
    return derive(seed, "qa", purpose) % 2**31


def uniform(seed: int, purpose: str, *parts: Column) -> Column:
    """A double in [0, 1) from a hash of seed, purpose and the parts."""
    return F.pmod(F.xxhash64(F.lit(seed), F.lit(purpose), *parts), F.lit(2**53)).cast("double") / F.lit(float(2**53))


def event_rows(histories: Histories, layout: Layout) -> DataFrame:
    """One row per event: KEY_TEXT, EVENT_INDEX, LENGTH_ID (events of its subject), canonical event columns by id."""
    types = dict(histories.events.dtypes)
    rows = histories.events.select(
        F.col(SUBJECT_KEY).cast("string").alias(KEY_TEXT),
        F.col(EVENT_INDEX),
        *(canonical(c.name, c.kind, types[c.name]).alias(c.id) for c in layout.events),
    )
    return rows.withColumn(LENGTH_ID, F.count("*").over(Window.partitionBy(KEY_TEXT)).cast("double"))


def subject_rows(histories: Histories, layout: Layout) -> DataFrame:
    """One row per subject: KEY_TEXT and canonical attributes by id."""
    types = dict(histories.subjects.dtypes)
    return histories.subjects.select(
        F.col(SUBJECT_KEY).cast("string").alias(KEY_TEXT),
        *(canonical(c.name, c.kind, types[c.name]).alias(c.id) for c in layout.subjects),
    )


def pair_rows(histories: Histories, layout: Layout, *, set_number: int, seed: int) -> DataFrame:
    """One row per subject that has events (per subject, if data are flat): SET, KEY_TEXT and layout.all by id.

    The first event of a history of n stands at int((n - 1) * u), u a hash of the subject's key in [0, 1); its
    successor is missing if n is 1.
    """
    attributes = subject_rows(histories, layout)
    if not layout.events:
        return attributes.select(F.lit(set_number).cast("smallint").alias(SET), "*")
    position = F.floor((F.col(LENGTH_ID) - 1) * uniform(seed, "pair", F.col(KEY_TEXT))).cast("int")
    chosen = event_rows(histories, layout).withColumn(_FIRST, F.col(EVENT_INDEX) == position)
    chosen = chosen.where(F.col(_FIRST) | (F.col(EVENT_INDEX) == position + 1))
    columns = [F.max(F.when(F.col(_FIRST), F.col(c.id))).alias(c.id) for c in layout.events]
    columns += [
        F.max(F.when(~F.col(_FIRST), F.col(event.id))).alias(successor.id)
        for event, successor in zip(layout.events, layout.successors, strict=False)
    ]
    pairs = chosen.groupBy(KEY_TEXT, LENGTH_ID).agg(*columns)
    if layout.contexts:
        pairs = pairs.join(attributes, KEY_TEXT, "left")
    return pairs.select(F.lit(set_number).cast("smallint").alias(SET), KEY_TEXT, *(c.id for c in layout.all))


def pairs_of_sets(sets: tuple[Histories, Histories, Histories], layout: Layout, *, seed: int) -> DataFrame:
    """pair_rows of training, holdout and synthetic, in one table."""
    tables = [pair_rows(histories, layout, set_number=number, seed=seed) for number, histories in enumerate(sets)]
    return reduce(DataFrame.unionByName, tables)
