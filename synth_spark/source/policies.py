"""Rows that cannot be learned as they are: counted first, then refused, dropped, adopted or made missing. [spark]"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import SourceTable
from synth_spark.config import Policies
from synth_spark.errors import SourceError
from synth_spark.histories import quoted


def apply_policies(
    subjects: DataFrame | None,
    events: DataFrame,
    *,
    subjects_table: SourceTable | None,
    events_table: SourceTable,
    policies: Policies,
) -> tuple[DataFrame, DataFrame, dict[str, int]]:
    """Subjects (one row per subject), events (one row per event) and the counts of what was found and done.

    Raises:
        SourceError: a policy says fail and there are such rows.
    """
    order_by = events_table.order_by or ""
    counts = _count_rows("events", events, events_table, order_by=order_by)
    _refuse("events", events_table.key, "null_key", counts["events_null_key"], policies.null_key)
    _refuse("events", order_by, "null_order", counts["events_null_order"], policies.null_order)
    _refuse_non_finite("events", counts, policies)
    events = events.where(F.col(quoted(events_table.key)).isNotNull() & F.col(quoted(order_by)).isNotNull())
    events = _finite(events, events_table, policies)
    if subjects is None or subjects_table is None:
        return events.select(F.col(quoted(events_table.key))).distinct(), events, counts
    counts |= _count_rows("subjects", subjects, subjects_table, order_by=None)
    _refuse("subjects", subjects_table.key, "null_key", counts["subjects_null_key"], policies.null_key)
    _refuse_non_finite("subjects", counts, policies)
    subjects = _finite(subjects.where(F.col(quoted(subjects_table.key)).isNotNull()), subjects_table, policies)
    subjects = _unique(subjects, subjects_table.key, counts, policies)
    return *_known(subjects, events, subjects_table.key, events_table.key, counts, policies), counts


def _count_rows(table: str, rows: DataFrame, described: SourceTable, *, order_by: str | None) -> dict[str, int]:
    asked = {f"{table}_rows": F.count(F.lit(1)), f"{table}_null_key": _how_many(F.col(quoted(described.key)).isNull())}
    if order_by:
        asked[f"{table}_null_order"] = _how_many(F.col(quoted(order_by)).isNull())
    for column in described.columns:
        if column.type in ("float", "double"):
            asked[f"{table}_non_finite:{column.name}"] = _how_many(_is_non_finite(column.name))
    row = rows.agg(*(expression.alias(f"c{i}") for i, expression in enumerate(asked.values()))).first()
    return {name: int(value or 0) for name, value in zip(asked, row or (), strict=True)}


def _how_many(condition: Column) -> Column:
    return F.sum(F.when(condition, 1).otherwise(0))


def _is_non_finite(name: str) -> Column:
    value = F.col(quoted(name)).cast("double")
    return F.isnan(value) | (F.abs(value) == F.lit(float("inf")))


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


def _refuse_non_finite(table: str, counts: dict[str, int], policies: Policies) -> None:
    for name, number in counts.items():
        if name.startswith(f"{table}_non_finite:") and number and policies.non_finite == "fail":
            raise SourceError(
                f"source {table}: column {name.split(':', 1)[1]!r}: {number} values are NaN or infinite, and "
                "source.policies.non_finite is fail; clean them, or set it to drop (the row) or missing (the value)"
            )


def _finite(rows: DataFrame, described: SourceTable, policies: Policies) -> DataFrame:
    floats = [column.name for column in described.columns if column.type in ("float", "double")]
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
    subjects: DataFrame, events: DataFrame, key: str, event_key: str, counts: dict[str, int], policies: Policies
) -> tuple[DataFrame, DataFrame]:
    known = subjects.select(F.col(quoted(key)).alias("__k"))
    condition = F.col(quoted(event_key)) == F.col("__k")
    strangers = events.join(known, condition, "left_anti")
    counts["events_unknown_key"] = strangers.count()
    _refuse("events", event_key, "unknown_key", counts["events_unknown_key"], policies.unknown_key)
    if not counts["events_unknown_key"]:
        return subjects, events
    if policies.unknown_key == "drop":
        return subjects, events.join(known, condition, "left_semi")
    adopted = strangers.select(F.col(quoted(event_key)).alias(key)).distinct()
    counts["subjects_adopted"] = adopted.count()
    return subjects.unionByName(adopted, allowMissingColumns=True), events
