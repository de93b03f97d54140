"""One source table: located, read, selected, and described by the types of its columns. [spark]"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark.codebook import SourceColumn, SourceTable
from synth_spark.columns import RUN_ID, SUBJECT_NUMBER
from synth_spark.config import EventSource, SubjectSource, TableSource
from synth_spark.errors import SourceError
from synth_spark.histories import quoted
from synth_spark.source.jdbc import jdbc_rows
from synth_spark.source.locate import locate
from synth_spark.source.spark_errors import SPARK_ERRORS, condition, reason
from synth_spark.source.sql_values import holds_values, place_without_values, without_values

HELD_OUT = "__held_out"  # boolean column of subjects: split.holdout_where marks the row
SUBJECTS, EVENTS = "subjects", "events"

MOST_COLUMNS = 1_000  # of a table; beyond, Spark's own plans take minutes and more
MOST_TOLD = 20  # names in one message

INTEGER_TYPES = ("tinyint", "smallint", "int", "bigint")
KEY_TYPES = (*INTEGER_TYPES, "string")
# conditions of Databricks where a table shows each reader other rows or values
_MASKED = re.compile("ROW_LEVEL_SECURITY|COLUMN_MASK|FGAC_|ROW_COLUMN_ACCESS")
CLOCK_TYPES = ("timestamp", "timestamp_ntz", "date", *INTEGER_TYPES)
ATTRIBUTE_TYPES = (*CLOCK_TYPES, "string", "boolean", "float", "double")
_TAKEN = (RUN_ID, SUBJECT_NUMBER)  # beside names that begin with __
_WAYS = {
    "key": f"key: a key is one of {', '.join(KEY_TYPES)}, decimal(p,0); cast it with select",
    "order_by": "order_by: a clock is a timestamp, a date or an integer; cast it with select",
    "stored_order": f"stored_order: a position is one of {', '.join(INTEGER_TYPES)}; cast it with select",
    "array": "list it under exclude, or take what matters out of it with select, such as size(x) or x[0]",
    "map": "list it under exclude, or take what matters out of it with select, such as x['name']",
    "struct": "list it under exclude, or flatten it with select, such as x.part",
    "variant": "list it under exclude, or take what matters out of it with select, such as variant_get",
    "void": "it holds nothing but nulls and has no type; list it under exclude, or cast it with select",
    "": "list it under exclude, or cast it with select",
}


@dataclass(frozen=True)
class ReadTable:
    """Rows of a source table without its excluded columns; of subjects with HELD_OUT, if the config marks a holdout."""

    name: str  # SUBJECTS or EVENTS
    rows: DataFrame
    described: SourceTable
    version: int | None  # that was read, of a Delta table


def read_table(
    spark: SparkSession,
    name: str,
    settings: SubjectSource | EventSource,
    *,
    holdout_where: str | None = None,
    at_version: int | None = None,
) -> ReadTable:
    """Read one table; of a Delta table a given version, or the newest.

    Raises:
        SourceError: Spark cannot read it, or a column's name or type cannot be taken.
    """
    with _readable(name, settings):
        loaded, version = _load(spark, settings, at_version)
        rows = _selected(loaded, settings)
        _check_names(name, rows, settings)
    learned = [column for column in rows.columns if column not in settings.exclude]
    _check_width(name, learned)
    kept = [quoted(column) for column in learned]
    if holdout_where is not None:
        told = f"split.holdout_where ({without_values(holdout_where)}): no condition over source {name}"
        with _explained(told, "its columns and types", [holdout_where]):
            rows = rows.withColumn(HELD_OUT, F.when(F.expr(holdout_where), True).otherwise(False))
            kept.append(HELD_OUT)
    rows = rows.select(*kept)
    return ReadTable(name, rows, _describe(name, rows, settings), version)


def load_table(spark: SparkSession, settings: TableSource) -> DataFrame:
    """The rows of one table as the config leads to them, all columns, whatever they are called.

    Raises:
        SourceError: Spark cannot read it.
    """
    with _readable("table", settings):
        return _selected(_load(spark, settings, None)[0], settings)


def _readable(name: str, settings: TableSource) -> AbstractContextManager[None]:
    expressions = [
        settings.where or "",
        *(settings.select or {}).values(),
        settings.jdbc.table if settings.jdbc else "",
    ]
    return _explained(
        f"source {name} ({place_without_values(settings.place)}): Spark cannot read it as configured",
        "table, path or jdbc, format, read_schema, where, select",
        expressions,
    )


@contextmanager
def _explained(what: str, to_check: str, expressions: list[str]) -> Iterator[None]:
    """A SourceError for what Spark says; see _said."""
    try:
        yield
    except SPARK_ERRORS as error:
        if _MASKED.search(condition(error)):
            raise SourceError(
                f"{what}: it has row filters or column masks, and versions of such tables cannot be read "
                f"({condition(error)}); give a view of it as table (CREATE VIEW ... AS SELECT * FROM ...)"
            ) from None
        raise SourceError(f"{what}: {_said(error, expressions)}; check {to_check}") from None


def _said(error: Exception, expressions: list[str]) -> str:
    """Spark's words about expressions of the config; where these hold values, only its error's name and their names."""
    if not holds_values(expressions):
        return reason(error)
    told = " ".join(map(without_values, expressions))
    names = [name for name in re.findall(r"`[^`]+`", reason(error)) if name.strip("`") in told]
    return ", ".join([condition(error), *dict.fromkeys(names)])


def _load(spark: SparkSession, settings: TableSource, at_version: int | None) -> tuple[DataFrame, int | None]:
    """The rows, and the version of a Delta table."""
    if settings.jdbc is not None:
        return jdbc_rows(spark, settings.jdbc, settings.options), None
    path = locate(settings.path) if settings.path is not None else None
    if path is not None and settings.format != "delta":
        _refuse_delta(spark, path, settings.format)
    delta = _delta_name(spark, settings, path)
    options, version = (settings.options, None) if delta is None else _without_version(settings.options)
    version = at_version if at_version is not None else version
    if delta is not None and version is None:
        version = _newest_version(spark, delta)
    reader = spark.read.options(**options)
    if version is not None:
        reader = reader.option("versionAsOf", version)
    if path is None:
        return reader.table(settings.table or ""), version
    if settings.read_schema is not None:
        reader = reader.schema(settings.read_schema)
    return reader.format(settings.format).load(path), version


def _refuse_delta(spark: SparkSession, path: str, kind: str) -> None:
    """Read file by file, a Delta table has all rows that were ever deleted from it."""
    parts = path.rstrip("/").split("/")
    while len(parts) > 1 and ("=" in parts[-1] or parts[-1].endswith(f".{kind}")):  # partitions and files of a table
        parts.pop()
    log = "/".join([*parts, "_delta_log"])
    try:
        spark.read.format("binaryFile").load(log)
    except SPARK_ERRORS:  # there is none
        return
    raise SourceError(
        f"{path}: this is a Delta table, and format is {kind}: its files also hold rows that were deleted; "
        f"give path {'/'.join(parts)} with format: delta, and where for a part of it"
    )


def _without_version(options: dict[str, str]) -> tuple[dict[str, str], int | None]:
    """Other options of a Delta table than its version, and that; a time is refused, since it names no one state."""
    known = {name.lower(): (name, value) for name, value in options.items()}
    name, version = known.get("versionasof", ("", None))
    if "timestampasof" in known or (version is not None and not version.isdigit()):
        raise SourceError("source options: the state of a Delta table is named by versionAsOf, a whole number")
    others = {other: value for other, value in options.items() if other != name}
    return others, None if version is None else int(version)


def _delta_name(spark: SparkSession, settings: TableSource, path: str | None) -> str | None:
    """What SQL calls a Delta table; None for views and other formats, which have no versions."""
    if path is not None:
        return "delta.`{}`".format(path.replace("`", "``")) if settings.format == "delta" else None
    rows = spark.sql(f"DESCRIBE TABLE EXTENDED {settings.table}").collect()
    told = {row["col_name"]: row["data_type"] for row in rows}
    return settings.table if str(told.get("Provider")).lower() == "delta" else None


def _newest_version(spark: SparkSession, delta_name: str) -> int:
    version = spark.sql(f"DESCRIBE HISTORY {delta_name} LIMIT 1").select("version").first()
    return int(version[0]) if version else 0


def _selected(rows: DataFrame, settings: TableSource) -> DataFrame:
    if settings.where is not None:
        rows = rows.where(settings.where)
    if settings.select is not None:
        rows = rows.selectExpr(*(f"{text} AS {quoted(name)}" for name, text in settings.select.items()))
    rows.schema  # noqa: B018  (resolves the plan)
    return rows


def _check_names(table: str, rows: DataFrame, settings: SubjectSource | EventSource) -> None:
    lowered = Counter(name.lower() for name in rows.columns)
    for name in rows.columns:
        if name.lower() in _TAKEN or name.startswith("__"):
            raise SourceError(
                f"source {table}: column {name!r}: the name is taken in synthetic tables; rename it with select"
            )
        if lowered[name.lower()] > 1:
            raise SourceError(f"source {table}: column {name!r} occurs more than once; rename one with select")
    for setting, names in _named_columns(settings).items():
        for name in names:
            if name not in rows.columns:
                raise SourceError(f"source {table}: {setting}: no column {name!r}; there are: {_told(rows.columns)}")
            if setting != "exclude" and name in settings.exclude:
                raise SourceError(f"source {table}: {setting}: column {name!r} is excluded; remove it from exclude")


def _check_width(table: str, columns: Sequence[str]) -> None:
    if len(columns) > MOST_COLUMNS:
        raise SourceError(
            f"source {table}: {len(columns):,} columns, at most {MOST_COLUMNS:,} can be learned together; list what is "
            "not needed under exclude, or name what is with select"
        )


def _told(names: Sequence[str]) -> str:
    """Not all of thousands."""
    told = [name if len(name) <= 60 else name[:57] + "..." for name in names[:MOST_TOLD]]
    return ", ".join(told) + (f" and {len(names) - MOST_TOLD:,} more" if len(names) > MOST_TOLD else "")


def _named_columns(settings: SubjectSource | EventSource) -> dict[str, list[str]]:
    """Setting -> columns that it names."""
    single = {"key": settings.key}
    if isinstance(settings, EventSource):
        single |= {name: getattr(settings, name) for name in ("order_by", "stored_order", "tie_break")}
    named = {setting: [name] for setting, name in single.items() if name is not None}
    return {**named, "exclude": settings.exclude, "columns": list(settings.columns)}


def _describe(table: str, rows: DataFrame, settings: SubjectSource | EventSource) -> SourceTable:
    fields = [field for field in rows.schema.fields if field.name != HELD_OUT]
    columns = tuple(SourceColumn(field.name, field.dataType.simpleString()) for field in fields)
    clock = settings.order_by if isinstance(settings, EventSource) else None
    position = settings.stored_order if isinstance(settings, EventSource) else None
    roles = {settings.key: "key", clock: "order_by", position: "stored_order"}
    for column in columns:
        _check_type(table, column, roles.get(column.name, ""))
    return SourceTable(columns, key=settings.key, order_by=clock, stored_order=position)


def _check_type(table: str, column: SourceColumn, role: str) -> None:
    decimal, whole = column.type.startswith("decimal("), column.type.endswith(",0)")
    allowed = {
        "key": column.type in KEY_TYPES or (decimal and whole),
        "order_by": column.type in CLOCK_TYPES,
        "stored_order": column.type in INTEGER_TYPES,
        "": column.type in ATTRIBUTE_TYPES or decimal,
    }
    if allowed[role]:
        return
    way = _WAYS.get(role or column.type.split("<")[0], _WAYS[""])
    raise SourceError(
        f"source {table}: column {column.name!r} has type {column.type}, which cannot be taken here; {way}"
    )
