"""Histories in the form that fitting and encoding work on: numbered subjects, plain column names. [spark]

events: n (subject number), split, i (event index), o (order column, source type; with a clock only), e0, e1, ...
timed:  events and, with a clock, u (time in units)
subjects: n, split, s0, s1, ...; events (int); with a clock first and last (first and last u, null without events)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import SourceTable
from synth_spark.codecs.units import to_units
from synth_spark.columns import EVENT_INDEX, SPLIT, SUBJECT_KEY, SUBJECT_NUMBER
from synth_spark.encode.fields import FieldPlan
from synth_spark.histories import Histories, quoted


@dataclass(frozen=True)
class Frames:
    """`subjects`, cached, and `timed`, made of cached `events`."""

    subjects: DataFrame
    timed: DataFrame


def number_events(
    histories: Histories, assignment: DataFrame, table: SourceTable | None, fields: Sequence[FieldPlan]
) -> DataFrame:
    """`events`, each subject's rows together and in order.

    Histories are in order where they were numbered (which nobody does unless `i` is kept), by key. A merge with one row
    for each key leaves them so; another kind of join may build a table of the events, and give them back in any order.
    """
    order = [F.col(quoted(table.order_by)).alias("o")] if table is not None and table.order_by else []
    return histories.events.join(_numbers(assignment).hint("merge"), SUBJECT_KEY).select(
        F.col("__n").alias("n"),
        F.col("__split").alias("split"),
        F.col(EVENT_INDEX).alias("i"),
        *order,
        *_inputs(fields),
    )


def time_events(events: DataFrame, *, clock_type: str | None, unit: dict[str, Any]) -> DataFrame:
    """`timed`."""
    return events if clock_type is None else events.withColumn("u", F.expr(to_units(clock_type, unit, "o")))


def number_subjects(histories: Histories, assignment: DataFrame, fields: Sequence[FieldPlan]) -> DataFrame:
    """n, split and the attributes: `subjects` before its histories are known."""
    return histories.subjects.join(_numbers(assignment), SUBJECT_KEY).select(
        F.col("__n").alias("n"), F.col("__split").alias("split"), *_inputs(fields)
    )


def with_spans(subjects: DataFrame, timed: DataFrame, *, partitions: int) -> DataFrame:
    """`subjects`."""
    span = [F.min("u").alias("first"), F.max("u").alias("last")] if "u" in timed.columns else []
    spans = timed.groupBy("n").agg(F.count(F.lit(1)).cast("int").alias("events"), *span)
    joined = subjects.repartition(partitions, "n").join(spans, "n", "left")
    return joined.withColumn("events", F.coalesce("events", F.lit(0)))


def _numbers(assignment: DataFrame) -> DataFrame:
    """The assignment under names that no source column has."""
    return assignment.select(SUBJECT_KEY, F.col(SUBJECT_NUMBER).alias("__n"), F.col(SPLIT).alias("__split"))


def _inputs(fields: Sequence[FieldPlan]) -> list[Column]:
    return [
        F.col(quoted(column)).alias(name)
        for field in fields
        for column, name in zip(field.columns, field.inputs, strict=True)
    ]
