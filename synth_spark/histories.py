"""Subjects and their ordered events, the one form in which every Spark stage sees real or synthetic data. [spark]"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY


@dataclass(frozen=True)
class Histories:
    """A set of subjects with their event histories, in source columns and types.

    subjects: one row per subject: SUBJECT_KEY and the attribute columns (none if the source has no subjects table).
    events: one row per event: SUBJECT_KEY, EVENT_INDEX (0-based position) and every learned event column but the key.
        Flat data have no events: then it is an empty frame of these two columns, so that nobody needs to ask.
    """

    subjects: DataFrame
    events: DataFrame


def quoted(name: str) -> str:
    """A column name as a Spark SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def with_event_index(events: DataFrame, *, order_by: str, tie_break: str | None) -> DataFrame:
    """One row per event, with EVENT_INDEX: its position in its subject's history, by a clock or a stored position.

    Ties are broken by `tie_break`, then by a hash of the row and by the row itself: arbitrary, but the same
    whatever the partitioning, and free of the artificial trend that sorting by value would give.
    """
    others = sorted(name for name in events.columns if name not in (SUBJECT_KEY, order_by))
    values = [F.col(quoted(name)) for name in others]
    ties = ([F.col(quoted(tie_break))] if tie_break else []) + ([F.xxhash64(*values), *values] if values else [])
    window = Window.partitionBy(SUBJECT_KEY).orderBy(F.col(quoted(order_by)), *ties)
    return events.withColumn(EVENT_INDEX, F.row_number().over(window) - 1)
