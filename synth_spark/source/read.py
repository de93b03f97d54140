"""Source tables -> histories: read, checked against the policies, counted, keyed and put in order. [spark]

The first step of encode and of qa. Everything that can be refused is refused here, before work starts; only texts
are looked at once more, by synth_spark.source.text.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from synth_spark.codebook import SourceTable
from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.config import Config, EventSource
from synth_spark.errors import SourceError
from synth_spark.histories import Histories, quoted, with_event_index
from synth_spark.source.digest import content_digest
from synth_spark.source.policies import apply_policies
from synth_spark.source.table import EVENTS, HELD_OUT, SUBJECTS, ReadTable, read_table

_WHOLE_TIMES = {  # JSON's default drops all beyond milliseconds
    "ignoreNullFields": "false",
    "timeZone": "UTC",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


@dataclass(frozen=True)
class Source:
    """What was read.

    histories: all subjects, policies applied, excluded columns gone.
    held_out: one row per subject that split.holdout_where marks: SUBJECT_KEY; None if a share decides.
    counts: rows read, dropped and adopted, by policy.
    digest: table -> digest of its content, independent of partitioning and row order.
    versions: table -> Delta version read, for Delta sources.
    """

    histories: Histories
    subjects_table: SourceTable | None
    events_table: SourceTable | None
    held_out: DataFrame | None
    counts: dict[str, int]
    digest: dict[str, str]
    versions: dict[str, int]


def read_source(spark: SparkSession, config: Config) -> Source:
    """Read and check the tables that the config names.

    Raises:
        SourceError: a table, column, type or row cannot be learned from; names the table, the column, the policy
            and the count, never a value.
    """
    subjects, events = _read_tables(spark, config)
    tables = [table for table in (events, subjects) if table is not None]
    digest = {table.name: content_digest(table.rows) for table in tables}
    people, happened, counts = apply_policies(subjects, events, config.source.policies)
    keyed = _with_key(people, (subjects or tables[0]).described.key)
    held_out = None
    if HELD_OUT in keyed.columns:  # adopted subjects have no mark
        held_out, keyed = keyed.where(HELD_OUT).select(SUBJECT_KEY), keyed.drop(HELD_OUT)
    return Source(
        histories=Histories(keyed, _in_order(happened, config.source.event_table, keyed)),
        subjects_table=subjects.described if subjects else None,
        events_table=events.described if events else None,
        held_out=held_out,
        counts=counts,
        digest=digest,
        versions={table.name: table.version for table in tables if table.version is not None},
    )


def _read_tables(spark: SparkSession, config: Config) -> tuple[ReadTable | None, ReadTable | None]:
    settings, holdout_where = config.source, config.split.holdout_where
    if holdout_where is not None and settings.subjects is None:
        raise SourceError(
            f"split.holdout_where ({holdout_where}): it is a condition over the subjects table, and source.subjects is "
            "not given; give a subjects table, or let split.holdout choose a share"
        )
    subjects = events = None
    if settings.event_table is not None:
        events = read_table(spark, EVENTS, settings.event_table)
    if settings.subjects is not None:
        subjects = read_table(spark, SUBJECTS, settings.subjects, holdout_where=holdout_where)
        if events is not None:
            _check_same_key(subjects.described, events.described)
        elif not subjects.described.attributes:
            raise SourceError(
                "source subjects: there is no column beside the key, and there are no events to learn from"
            )
    return subjects, events


def _check_same_key(subjects: SourceTable, events: SourceTable) -> None:
    types = [table.type_of(table.key) for table in (subjects, events)]
    if types[0] != types[1]:
        raise SourceError(
            f"source: key {subjects.key!r} of subjects has type {types[0]}, key {events.key!r} of events {types[1]}; "
            "cast one of them with select"
        )


def _with_key(rows: DataFrame, key: str | None) -> DataFrame:
    """SUBJECT_KEY first; without a key column it is a digest of the row and a number among rows that are equal."""
    if key is not None:
        return rows.select(F.col(quoted(key)).alias(SUBJECT_KEY), *_but(rows.columns, key))
    content = F.to_json(F.struct(*_but(rows.columns)), _WHOLE_TIMES)
    digested = rows.withColumn("__digest", F.substring(F.sha2(content, 256), 1, 32))
    number = F.row_number().over(Window.partitionBy("__digest").orderBy("__digest"))
    return digested.select(F.concat_ws("-", "__digest", number).alias(SUBJECT_KEY), *_but(rows.columns))


def _in_order(events: DataFrame | None, settings: EventSource | None, subjects: DataFrame) -> DataFrame:
    """SUBJECT_KEY, EVENT_INDEX and the learned columns; a stored position is spent on the index."""
    if events is None or settings is None:
        return subjects.select(SUBJECT_KEY, F.lit(0).alias(EVENT_INDEX)).limit(0)
    indexed = with_event_index(
        _with_key(events, settings.key), order_by=settings.order_column, tie_break=settings.tie_break
    )
    others = _but(indexed.columns, SUBJECT_KEY, EVENT_INDEX, settings.stored_order)
    return indexed.select(SUBJECT_KEY, EVENT_INDEX, *others)


def _but(names: list[str], *excluded: str | None) -> list[Column]:
    return [F.col(quoted(name)) for name in names if name not in excluded]
