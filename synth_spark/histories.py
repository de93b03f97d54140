"""Subjects and their ordered events, the one form in which every Spark stage sees real or synthetic data. [spark]"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.config import EventSource

_WHOLE_TIMES = {  # JSON's default drops all beyond milliseconds
    "ignoreNullFields": "false",
    "timeZone": "UTC",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


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


def histories_of(
    subjects: DataFrame, events: DataFrame | None, *, key: str | None, settings: EventSource | None
) -> Histories:
    """Rows of source tables, real or synthetic, as histories.

    Args:
        key: of subjects; None for flat data whose rows have no key.
        settings: which columns of events are key and order; a stored position is spent on EVENT_INDEX.
    """
    keyed = with_key(subjects, key)
    if events is None or settings is None:
        return Histories(keyed, keyed.select(SUBJECT_KEY, F.lit(0).alias(EVENT_INDEX)).limit(0))
    indexed = with_event_index(
        with_key(events, settings.key), order_by=settings.order_column, tie_break=settings.tie_break
    )
    others = _but(indexed.columns, SUBJECT_KEY, EVENT_INDEX, settings.stored_order)
    return Histories(keyed, indexed.select(SUBJECT_KEY, EVENT_INDEX, *others))


def with_key(rows: DataFrame, key: str | None) -> DataFrame:
    """SUBJECT_KEY, then the other columns; without a key it is a digest of the row and a number among equal rows."""
    if key is not None:
        return rows.select(F.col(quoted(key)).alias(SUBJECT_KEY), *_but(rows.columns, key))
    content = F.to_json(F.struct(*_but(rows.columns)), _WHOLE_TIMES)
    digested = rows.withColumn("__digest", F.substring(F.sha2(content, 256), 1, 32))
    number = F.row_number().over(Window.partitionBy("__digest").orderBy("__digest"))
    return digested.select(F.concat_ws("-", "__digest", number).alias(SUBJECT_KEY), *_but(rows.columns))


def _but(names: list[str], *excluded: str | None) -> list[Column]:
    return [F.col(quoted(name)) for name in names if name not in excluded]


def with_event_index(events: DataFrame, *, order_by: str, tie_break: str | None) -> DataFrame:
    """One row per event, with EVENT_INDEX: its position in its subject's history, by a clock or a stored position.

    Ties are broken by `tie_break`, then by a hash of the row and by the row itself: arbitrary, but the same
    whatever the partitioning, and free of the artificial trend that sorting by value would give. The rows of a subject
    lie together and in order, and stay so in a merge by key: they are placed by key here, even where Spark would take
    what there is for enough (one partition, a cache), only to place the ordered rows anew before a merge.
    """
    others = sorted(name for name in events.columns if name not in (SUBJECT_KEY, order_by))
    values = [F.col(quoted(name)) for name in others]
    ties = ([F.col(quoted(tie_break))] if tie_break else []) + ([F.xxhash64(*values), *values] if values else [])
    window = Window.partitionBy(SUBJECT_KEY).orderBy(F.col(quoted(order_by)), *ties)
    return events.repartition(SUBJECT_KEY).withColumn(EVENT_INDEX, F.row_number().over(window) - 1)
