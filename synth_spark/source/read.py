"""Source tables -> histories: read, checked against the policies, counted, keyed and put in order. [spark]

The first step of encode and of qa. Everything that can be refused is refused here, before work starts; only texts
are looked at once more, by synth_spark.encode.texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession

from synth_spark.codebook import SourceTable
from synth_spark.columns import SUBJECT_KEY
from synth_spark.config import Config
from synth_spark.errors import SourceError
from synth_spark.histories import Histories, histories_of
from synth_spark.source.digest import content_digest
from synth_spark.source.policies import apply_policies
from synth_spark.source.spark_errors import SPARK_ERRORS, condition
from synth_spark.source.sql_values import without_values
from synth_spark.source.table import EVENTS, HELD_OUT, SUBJECTS, ReadTable, read_table


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


Accept = Callable[[SourceTable | None, SourceTable | None], None]


def read_source(
    spark: SparkSession, config: Config, *, accept: Accept | None = None, at_versions: Mapping[str, int] | None = None
) -> Source:
    """Read and check the tables that the config names.

    Args:
        accept: is shown what the subjects and events tables look like before any row is read, and may refuse them.
        at_versions: of Delta tables, by table; the newest where none is given.

    Raises:
        SourceError: a table, column, type or row cannot be learned from; names the table, the column, the policy
            and the count, never a value.
    """
    subjects, events = _read_tables(spark, config, at_versions or {})
    tables = [table for table in (events, subjects) if table is not None]
    if accept is not None:
        accept(subjects.described if subjects else None, events.described if events else None)
    digest = {table.name: _digest(table) for table in tables}
    people, happened, counts = apply_policies(subjects, events, config.source.policies)
    key = (subjects or tables[0]).described.key
    histories = histories_of(people, happened, key=key, settings=config.source.event_table)
    held_out = None
    if HELD_OUT in people.columns:  # adopted subjects have no mark
        held_out = histories.subjects.where(HELD_OUT).select(SUBJECT_KEY)
        histories = replace(histories, subjects=histories.subjects.drop(HELD_OUT))
    return Source(
        histories=histories,
        subjects_table=subjects.described if subjects else None,
        events_table=events.described if events else None,
        held_out=held_out,
        counts=counts,
        digest=digest,
        versions={table.name: table.version for table in tables if table.version is not None},
    )


def _read_tables(
    spark: SparkSession, config: Config, versions: Mapping[str, int]
) -> tuple[ReadTable | None, ReadTable | None]:
    settings, holdout_where = config.source, config.split.holdout_where
    if holdout_where is not None and settings.subjects is None:
        raise SourceError(
            f"split.holdout_where ({without_values(holdout_where)}): it is a condition over the subjects table, and "
            "source.subjects is not given; give a subjects table, or let split.holdout choose a share"
        )
    subjects = events = None
    if settings.event_table is not None:
        events = read_table(spark, EVENTS, settings.event_table, at_version=versions.get(EVENTS))
    if settings.subjects is not None:
        version = versions.get(SUBJECTS)
        subjects = read_table(spark, SUBJECTS, settings.subjects, holdout_where=holdout_where, at_version=version)
        if events is not None:
            _check_same_key(subjects.described, events.described)
        elif not subjects.described.attributes:
            raise SourceError(
                "source subjects: there is no column beside the key, and there are no events to learn from"
            )
    return subjects, events


def _digest(table: ReadTable) -> str:
    """Digest of all rows: the first time that Spark touches every value."""
    try:
        return content_digest(table.rows)
    except SPARK_ERRORS as error:
        raise SourceError(
            f"source {table.name}: Spark cannot compute a value of some row ({condition(error)}); look at options, "
            "and at conversions in select, where and read_schema: try_cast makes a value that does not fit null"
        ) from None


def _check_same_key(subjects: SourceTable, events: SourceTable) -> None:
    types = [table.type_of(table.key) for table in (subjects, events)]
    if types[0] != types[1]:
        raise SourceError(
            f"source: key {subjects.key!r} of subjects has type {types[0]}, key {events.key!r} of events {types[1]}; "
            "cast one of them with select"
        )
