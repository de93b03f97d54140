"""Rows that cannot be learned as they are: counted first, then refused, dropped, adopted or made missing. [spark]"""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import SourceTable
from synth_spark.codecs.units import decimal_shape
from synth_spark.config import Policies
from synth_spark.errors import SourceError
from synth_spark.histories import quoted
from synth_spark.source.table import ReadTable

MAX_TEXT = 10_000  # characters of a value that may become a category
MAX_NUMBER = 2**62 - 1  # of an integer either way, below units.LONG_LIMIT
MAX_CLOCK = (
    2**61
)  # of an integer clock: gaps between two times must be such numbers, too; as nanoseconds, the year 2043


def apply_policies(
    subjects: ReadTable | None, events: ReadTable | None, policies: Policies
) -> tuple[DataFrame, DataFrame | None, dict[str, int]]:
    """Subjects (one row per subject), events (one row per event) and the counts of what was found and done.

    Rows without a key column (flat data) are subjects as they come: no policy on keys applies to them.

    Raises:
        SourceError: a policy says fail and there are such rows.
    """
    counts: dict[str, int] = {}
    happened = _clean(events, policies, counts) if events is not None else None
    if subjects is None:
        assert events is not None and happened is not None, "a source has subjects or events"
        return happened.select(F.col(_key(events))).distinct(), happened, counts
    people = _clean(subjects, policies, counts)
    if subjects.described.key is None:
        return people, None, counts
    people = _unique(people, subjects.described.key, counts, policies)
    if events is None or happened is None:
        return people, None, counts
    return *_known(replace(subjects, rows=people), replace(events, rows=happened), counts, policies), counts


def _key(table: ReadTable) -> str:
    assert table.described.key is not None, "only flat data have no key"
    return quoted(table.described.key)


def _clean(table: ReadTable, policies: Policies, counts: dict[str, int]) -> DataFrame:
    """The rows with a key, a place in their history, and numbers that are numbers."""
    described = table.described
    wanted = {"null_key": described.key, "null_order": described.order_by or described.stored_order}
    needed = {policy: column for policy, column in wanted.items() if column is not None}
    floats = [column.name for column in described.columns if column.type in ("float", "double")]
    beyond = _beyond(described)
    texts = [column.name for column in described.columns if column.type == "string"]
    counts |= _count_rows(table, needed, floats, beyond, texts)
    for column in texts:
        _refuse_garbled(table.name, column, counts.pop(f"{table.name}_garbled:{column}"))
    for column in beyond:
        _refuse_beyond(table, column, counts.pop(f"{table.name}_beyond:{column}"))
    for policy, column in needed.items():
        _refuse(table.name, column, policy, counts[f"{table.name}_{policy}"], getattr(policies, policy))
    for column in floats:
        _refuse_non_finite(table.name, column, counts[f"{table.name}_non_finite:{column}"], policies)
    rows = table.rows
    for column in needed.values():
        rows = rows.where(F.col(quoted(column)).isNotNull())
    return _finite(rows, floats, policies)


def _beyond(described: SourceTable) -> dict[str, Column]:
    """Column -> condition of values that it cannot hold, whatever the policies say."""
    texts = [column.name for column in described.attributes if column.type == "string"]
    found = {name: F.length(quoted(name)) > MAX_TEXT for name in texts}
    numbers = [column.name for column in described.columns if _may_be_beyond(column.type)]
    learned = [name for name in numbers if name not in (described.key, described.stored_order)]
    limits = {name: _limit(described, name) for name in learned}
    return found | {name: ~F.col(quoted(name)).between(-limit, limit) for name, limit in limits.items()}


def _may_be_beyond(source_type: str) -> bool:
    """Whether a type of numbers has some that MAX_NUMBER does not reach."""
    if not source_type.startswith("decimal("):
        return source_type == "bigint"
    precision, scale = decimal_shape(source_type)
    return precision - scale >= len(str(MAX_NUMBER))


def _limit(described: SourceTable, column: str) -> int:
    return MAX_CLOCK if column == described.order_by else MAX_NUMBER


def _refuse_beyond(table: ReadTable, column: str, number: int) -> None:
    if not number:
        return
    described = table.described
    kind = "a clock" if column == described.order_by else "a number"
    what = (
        f"lie beyond {_limit(described, column):,}, further than {kind} can be learned; filter them with where, or "
        "make them null (or the column text) with select"
    )
    if described.type_of(column) == "string":
        what = (
            f"are longer than {MAX_TEXT:,} characters, so they are no categories; list the column under exclude, or "
            "shorten it with select, such as left(x, 100)"
        )
    raise SourceError(f"source {table.name}: column {column!r}: {number} values {what}")


def _count_rows(
    table: ReadTable, needed: dict[str, str], floats: list[str], beyond: dict[str, Column], texts: list[str]
) -> dict[str, int]:
    asked = {"rows": F.count(F.lit(1))}
    asked |= {policy: _how_many(F.col(quoted(column)).isNull()) for policy, column in needed.items()}
    asked |= {f"non_finite:{column}": _how_many(_is_non_finite(column)) for column in floats}
    asked |= {f"beyond:{column}": _how_many(condition) for column, condition in beyond.items()}
    asked |= {f"garbled:{column}": _how_many(_is_garbled(column)) for column in texts}
    row = table.rows.agg(*(expression.alias(f"c{i}") for i, expression in enumerate(asked.values()))).first()
    return {f"{table.name}_{name}": int(value or 0) for name, value in zip(asked, row or (), strict=True)}


def _how_many(condition: Column) -> Column:
    return F.sum(F.when(condition, 1).otherwise(0))


def _is_non_finite(name: str) -> Column:
    value = F.col(quoted(name)).cast("double")
    return F.isnan(value) | (F.abs(value) == F.lit(float("inf")))


def _is_garbled(name: str) -> Column:
    """Whether a text is no UTF-8: Spark hands bytes of other encodings through, Arrow and JSON do not."""
    text = F.col(quoted(name))
    if hasattr(F, "is_valid_utf8"):
        return ~F.is_valid_utf8(text)
    return F.decode(text.cast("binary"), "UTF-8") != text  # Spark 3.5 puts a sign of its own for what it cannot read


def _refuse_garbled(table: str, column: str, number: int) -> None:
    if number:
        raise SourceError(
            f"source {table}: column {column!r}: {number} values are no UTF-8; read them as what they are with select, "
            "such as decode(cast(x AS BINARY), 'ISO-8859-1'), or list the column under exclude"
        )


def _refuse(table: str, column: str, policy: str, number: int, choice: str) -> None:
    if number and choice == "fail":
        reasons = {
            "null_key": "rows without a key",
            "null_order": "events without a value that orders them",
            "duplicate_subject": "keys that occur more than once",
            "unknown_key": "events whose key is not in subjects",
        }
        ways = "drop or adopt" if policy == "unknown_key" else "drop"
        raise SourceError(
            f"source {table}: column {column!r}: {number} {reasons[policy]}, and source.policies.{policy} is fail; "
            f"clean the table, filter it with where, or set the policy to {ways}"
        )


def _refuse_non_finite(table: str, column: str, number: int, policies: Policies) -> None:
    if number and policies.non_finite == "fail":
        raise SourceError(
            f"source {table}: column {column!r}: {number} values are NaN or infinite, and "
            "source.policies.non_finite is fail; clean them, or set it to drop (the row) or missing (the value)"
        )


def _finite(rows: DataFrame, floats: list[str], policies: Policies) -> DataFrame:
    for name in floats:
        if policies.non_finite == "missing":
            rows = rows.withColumn(name, F.when(~_is_non_finite(name), F.col(quoted(name))))
        else:
            rows = rows.where(~F.coalesce(_is_non_finite(name), F.lit(False)))
    return rows


def _unique(subjects: DataFrame, key: str, counts: dict[str, int], policies: Policies) -> DataFrame:
    repeated = subjects.groupBy(F.col(quoted(key)).alias("__k")).agg(F.count(F.lit(1)).alias("__n")).where("__n > 1")
    row = repeated.agg(F.count(F.lit(1)), F.sum("__n")).first()
    number = int(row[0]) if row else 0
    counts["subjects_duplicate_keys"] = number
    _refuse("subjects", key, "duplicate_subject", number, policies.duplicate_subject)
    if not number:
        return subjects
    return subjects.join(repeated.select("__k"), F.col(quoted(key)) == F.col("__k"), "left_anti")


def _known(
    subjects: ReadTable, events: ReadTable, counts: dict[str, int], policies: Policies
) -> tuple[DataFrame, DataFrame]:
    known = subjects.rows.select(F.col(_key(subjects)).alias("__k"))
    condition = F.col(_key(events)) == F.col("__k")
    strangers = events.rows.join(known, condition, "left_anti")
    number = counts["events_unknown_key"] = strangers.count()
    _refuse(events.name, events.described.key or "", "unknown_key", number, policies.unknown_key)
    if not number:
        return subjects.rows, events.rows
    if policies.unknown_key == "drop":
        return subjects.rows, events.rows.join(known, condition, "left_semi")
    adopted = strangers.select(F.col(_key(events)).alias(subjects.described.key or "")).distinct()
    counts["subjects_adopted"] = adopted.count()
    return subjects.rows.unionByName(adopted, allowMissingColumns=True), events.rows
