"""Source tables -> histories: located, read, selected, checked against the policies, counted. [spark]

The first step of encode and of qa. Everything that can be refused is refused here, before work starts.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark.codebook import SourceColumn, SourceTable
from synth_spark.columns import EVENT_INDEX, RUN_ID, SUBJECT_KEY
from synth_spark.config import Config, EventSource, TableSource
from synth_spark.errors import SourceError
from synth_spark.histories import Histories, quoted, with_event_index
from synth_spark.source.digest import content_digest
from synth_spark.source.locate import locate
from synth_spark.source.policies import apply_policies

KEY_TYPES = ("tinyint", "smallint", "int", "bigint", "string")
ORDER_TYPES = ("timestamp", "timestamp_ntz", "date", "tinyint", "smallint", "int", "bigint")
ATTRIBUTE_TYPES = (*ORDER_TYPES, "string", "boolean", "float", "double")


@dataclass(frozen=True)
class Source:
    """What was read.

    histories: all subjects, policies applied, excluded columns gone.
    counts: rows read, dropped and adopted, by policy.
    digest: table -> digest of its content, independent of partitioning and row order.
    versions: table -> Delta version read, for Delta sources.
    """

    histories: Histories
    subjects_table: SourceTable | None
    events_table: SourceTable
    counts: dict[str, int]
    digest: dict[str, str]
    versions: dict[str, int]


def read_source(spark: SparkSession, config: Config) -> Source:
    """Read and check the tables that the config names.

    Raises:
        SourceError: a table, column, type or row cannot be learned from; names the table, the column, the policy
            and the count, never a value.
    """
    versions: dict[str, int] = {}
    event_source = config.source.events[0]
    events = _read_table(spark, "events", event_source, versions)
    events_table = _describe("events", events, event_source)
    subjects, subjects_table = None, None
    if config.source.subjects is not None:
        subjects = _read_table(spark, "subjects", config.source.subjects, versions)
        subjects_table = _describe("subjects", subjects, config.source.subjects)
        _check_same_key(subjects_table, events_table)
    digest = {"events": content_digest(events)}
    if subjects is not None:
        digest["subjects"] = content_digest(subjects)
    checked_subjects, checked_events, counts = apply_policies(
        subjects, events, subjects_table=subjects_table, events_table=events_table, policies=config.source.policies
    )
    indexed = with_event_index(
        _with_key(checked_events, event_source.key), order_by=event_source.order_by, tie_break=event_source.tie_break
    )
    histories = Histories(
        subjects=_with_key(checked_subjects, subjects_table.key if subjects_table else event_source.key),
        events=indexed.select(SUBJECT_KEY, EVENT_INDEX, *_but(indexed.columns, SUBJECT_KEY, EVENT_INDEX)),
    )
    return Source(histories, subjects_table, events_table, counts, digest, versions)


def _read_table(spark: SparkSession, table: str, settings: TableSource, versions: dict[str, int]) -> DataFrame:
    place = settings.table or settings.path or ""
    try:
        rows = _load(spark, table, settings, versions)
        if settings.where is not None:
            rows = rows.where(settings.where)
        if settings.select is not None:
            rows = rows.selectExpr(*(f"{text} AS {quoted(name)}" for name, text in settings.select.items()))
        _check_names(table, rows, settings)
        rows = rows.select(*(F.col(quoted(name)) for name in rows.columns if name not in settings.exclude))
        rows.schema  # noqa: B018  (resolves the plan)
        return rows
    except AnalysisException as error:
        reason = str(error).split("\n")[0].split(";")[0]
        raise SourceError(
            f"source {table} ({place}): Spark cannot read it as configured: {reason}; "
            "check table or path, format, where and select"
        ) from None


def _load(spark: SparkSession, table: str, settings: TableSource, versions: dict[str, int]) -> DataFrame:
    if settings.table is not None:
        return spark.table(settings.table)
    path = locate(settings.path or "")
    reader = spark.read.format(settings.format).options(**settings.options)
    if settings.format == "delta":
        escaped = path.replace("`", "``")
        version = spark.sql(f"DESCRIBE HISTORY delta.`{escaped}` LIMIT 1").select("version").first()
        versions[table] = int(version[0]) if version else 0
        reader = reader.option("versionAsOf", versions[table])
    if settings.read_schema is not None:
        reader = reader.schema(settings.read_schema)
    return reader.load(path)


def _check_names(table: str, rows: DataFrame, settings: TableSource) -> None:
    lowered = [name.lower() for name in rows.columns]
    for name in rows.columns:
        if name.lower() == RUN_ID or name.startswith("__"):
            raise SourceError(
                f"source {table}: column {name!r}: the name is taken in synthetic tables; rename it with select"
            )
        if lowered.count(name.lower()) > 1:
            raise SourceError(f"source {table}: column {name!r} occurs more than once; rename one with select")
    wanted = {"key": [settings.key], "exclude": settings.exclude, "columns": list(settings.columns)}
    if isinstance(settings, EventSource):
        wanted["order_by"] = [settings.order_by]
        wanted["tie_break"] = [settings.tie_break] if settings.tie_break else []
    for setting, names in wanted.items():
        for name in names:
            if name not in rows.columns:
                raise SourceError(
                    f"source {table}: {setting}: no column {name!r}; there are: {', '.join(rows.columns)}"
                )
            if setting != "exclude" and name in settings.exclude:
                raise SourceError(f"source {table}: {setting}: column {name!r} is excluded; remove it from exclude")


def _describe(table: str, rows: DataFrame, settings: TableSource) -> SourceTable:
    order_by = settings.order_by if isinstance(settings, EventSource) else None
    columns = tuple(SourceColumn(field.name, field.dataType.simpleString()) for field in rows.schema.fields)
    for column in columns:
        _check_type(table, column, "key" if column.name == settings.key else "")
        if column.name == order_by:
            _check_type(table, column, "order_by")
    return SourceTable(columns, key=settings.key, order_by=order_by)


def _check_type(table: str, column: SourceColumn, role: str) -> None:
    whole_decimal = column.type.startswith("decimal(") and column.type.endswith(",0)")
    allowed = {
        "key": column.type in KEY_TYPES or whole_decimal,
        "order_by": column.type in ORDER_TYPES,
        "": column.type in ATTRIBUTE_TYPES or column.type.startswith("decimal("),
    }
    if allowed[role]:
        return
    ways = {
        "key": f"a key is one of {', '.join(KEY_TYPES)}, decimal(p,0); cast it with select",
        "order_by": "events are ordered by a timestamp, a date or an integer; cast it with select",
        "": "list it under exclude, or cast it with select",
    }
    raise SourceError(
        f"source {table}: column {column.name!r} has type {column.type}, which cannot be learned here; {ways[role]}"
    )


def _check_same_key(subjects: SourceTable, events: SourceTable) -> None:
    types = [next(c.type for c in table.columns if c.name == table.key) for table in (subjects, events)]
    if types[0] != types[1]:
        raise SourceError(
            f"source: key {subjects.key!r} of subjects has type {types[0]}, key {events.key!r} of events {types[1]}; "
            "cast one of them with select"
        )


def _with_key(rows: DataFrame, key: str) -> DataFrame:
    return rows.select(F.col(quoted(key)).alias(SUBJECT_KEY), *_but(rows.columns, key))


def _but(names: list[str], *excluded: str) -> list[Column]:
    return [F.col(quoted(name)) for name in names if name not in excluded]
