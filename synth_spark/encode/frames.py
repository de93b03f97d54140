"""Histories in the form that fitting and encoding work on: numbered subjects, plain column names. [spark]

events: n (subject number), split, i (event index), o (order column, source type), e0, e1, ... (attributes)
timed:  events and u (order in units), d (units since the previous event, null for the first)
subjects: n, split, s0, s1, ...; and events (int), first, last (units of the first and last event, null without events)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codecs.units import to_units
from synth_spark.columns import EVENT_INDEX, SPLIT, SUBJECT_KEY, SUBJECT_NUMBER
from synth_spark.encode.fields import FieldPlan
from synth_spark.histories import Histories, quoted


@dataclass(frozen=True)
class Frames:
    """The two frames, cached."""

    subjects: DataFrame
    events: DataFrame

    def release(self) -> None:
        """Give the cache back."""
        self.subjects.unpersist()
        self.events.unpersist()


def number_events(
    histories: Histories, assignment: DataFrame, *, order_by: str, fields: list[FieldPlan], partitions: int
) -> DataFrame:
    """`events`, each subject's rows together and in order."""
    numbered = histories.events.join(assignment, SUBJECT_KEY)
    columns = [F.col(quoted(field.name)).alias(field.column) for field in fields]
    return (
        numbered.select(
            F.col(SUBJECT_NUMBER).alias("n"),
            F.col(SPLIT).alias("split"),
            F.col(EVENT_INDEX).alias("i"),
            F.col(quoted(order_by)).alias("o"),
            *columns,
        )
        .repartition(partitions, "n")
        .sortWithinPartitions("n", "i")
    )


def time_events(events: DataFrame, *, order_type: str, unit: dict[str, Any]) -> DataFrame:
    """`timed`."""
    return events.withColumn("u", F.expr(to_units(order_type, unit, "o"))).withColumn(
        "d", F.expr("u - lag(u) OVER (PARTITION BY n ORDER BY i)")
    )


def number_subjects(histories: Histories, assignment: DataFrame, *, fields: list[FieldPlan]) -> DataFrame:
    """n, split and the attributes: `subjects` before its histories are known."""
    columns = [F.col(quoted(field.name)).alias(field.column) for field in fields]
    return histories.subjects.join(assignment, SUBJECT_KEY).select(
        F.col(SUBJECT_NUMBER).alias("n"), F.col(SPLIT).alias("split"), *columns
    )


def with_spans(subjects: DataFrame, timed: DataFrame, *, partitions: int) -> DataFrame:
    """`subjects`."""
    spans = timed.groupBy("n").agg(
        F.count(F.lit(1)).cast("int").alias("events"), F.min("u").alias("first"), F.max("u").alias("last")
    )
    joined = subjects.repartition(partitions, "n").join(spans, "n", "left")
    return joined.withColumn("events", F.coalesce("events", F.lit(0)))
