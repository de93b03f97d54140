"""What a table looks like, for a first guess at its config: counts and shares of each column, never a value. [spark]"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import AtomicType, StringType

from synth_spark.histories import quoted
from synth_spark.source.guess import A_DAY, INTEGERS, LIKE_A_TIME, PATTERNS, WHOLE_FORMS, ColumnProfile, TableProfile

_OPAQUE = ("binary", "variant")  # types of values that nothing is asked of
CLOCK_PARTS = ("year", "quarter", "month", "weekofyear", "day", "dayofweek", "weekday", "dayofyear", "hour", "minute")


def profile(rows: DataFrame) -> TableProfile:
    """Look at every column in one pass; those that cannot be learned have a type and nothing else."""
    fields = rows.schema.fields
    measured = [f.name for f in fields if isinstance(f.dataType, AtomicType) and f.dataType.typeName() not in _OPAQUE]
    kinds = {f.name: "string" if isinstance(f.dataType, StringType) else f.dataType.simpleString() for f in fields}
    figures = [figure for i, name in enumerate(measured) for figure in _figures(i, name, kinds[name])]
    row = rows.agg(F.count(F.lit(1)).alias("rows"), *figures).first()
    assert row is not None, "an aggregate without groups has one row"
    told, number = row.asDict(), int(row["rows"])
    found = [
        _column(measured.index(f.name), f.name, f.dataType.simpleString(), told, number)
        if f.name in measured
        else ColumnProfile(f.name, f.dataType.simpleString())
        for f in fields
    ]
    return TableProfile(number, tuple(found))


def _figures(position: int, name: str, kind: str) -> Iterator[Column]:
    column = F.col(quoted(name))
    yield F.approx_count_distinct(column).alias(f"distinct{position}")
    yield F.count(column).alias(f"there{position}")
    yield F.min(column).eqNullSafe(F.max(column)).alias(f"constant{position}")
    as_text = column.cast("string")
    yield F.sum(F.xxhash64(as_text).cast("decimal(38,0)")).alias(f"digest{position}")
    if kind in INTEGERS:
        for number, (condition, _) in enumerate(WHOLE_FORMS.values()):
            yield F.count_if(F.expr(condition.format(quoted(name)))).alias(f"form{position}_{number}")
    if kind in ("double", "float"):
        yield F.count_if((F.rint(column) == column) & (F.abs(column) < 2**53)).alias(f"whole{position}")
    if kind == "string":
        yield F.count_if(F.try_to_timestamp(column).isNotNull()).alias(f"times{position}")
        for figure, pattern in (("like", LIKE_A_TIME), ("days", A_DAY)):
            yield F.count_if(F.trim(column).rlike(pattern)).alias(f"{figure}{position}")
        for number, pattern in enumerate(PATTERNS.values()):
            yield F.count_if(F.trim(column).rlike(pattern)).alias(f"pattern{position}_{number}")


def _column(position: int, name: str, kind: str, told: dict[str, Any], num_rows: int) -> ColumnProfile:
    def number(figure: str) -> int:
        return int(told.get(figure) or 0)

    there = number(f"there{position}")

    def share(figure: str) -> float:
        return number(f"{figure}{position}") / max(1, there)

    def shares(figure: str, names: Iterable[str]) -> dict[str, float]:
        return {name: number(f"{figure}{position}_{i}") / max(1, there) for i, name in enumerate(names)}

    return ColumnProfile(
        name,
        kind,
        distinct=_distinct(there, number(f"distinct{position}"), constant=bool(told.get(f"constant{position}"))),
        nulls=num_rows - there,
        digest=f"{there} {told[f'digest{position}']}",
        patterns=shares("pattern", PATTERNS),
        times=share("times"),
        like_times=share("like"),
        days=share("days"),
        forms=shares("form", WHOLE_FORMS),
        whole=share("whole"),
    )


def _distinct(there: int, about: int, *, constant: bool) -> int:
    """How many different values: exactly where it is none or one, else about so many."""
    return min(there, 1 if constant else max(2, about))


def equal(rows: DataFrame, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether the columns of each pair hold the same in every row."""
    if not pairs:
        return []
    texts = [[F.col(quoted(name)).cast("string") for name in pair] for pair in pairs]
    row = rows.agg(*(F.bool_and(one.eqNullSafe(other)).alias(str(i)) for i, (one, other) in enumerate(texts))).first()
    assert row is not None, "an aggregate without groups has one row"
    return [bool(found) for found in row]


def holding(rows: DataFrame, patterns: Mapping[str, str]) -> list[str]:
    """Columns of text, among those with a pattern, in which any value has it."""
    if not patterns:
        return []
    found = [F.bool_or(F.col(quoted(name)).rlike(patterns[name])).alias(str(i)) for i, name in enumerate(patterns)]
    row = rows.agg(*found).first()
    assert row is not None, "an aggregate without groups has one row"
    return [name for name, holds in zip(patterns, row, strict=True) if holds]


def num_subjects(rows: DataFrame, key: str) -> int:
    """How many different values the key has, exactly."""
    return rows.select(quoted(key)).where(F.col(quoted(key)).isNotNull()).distinct().count()


def holders(rows: DataFrame, key: str, columns: Sequence[str]) -> dict[str, float]:
    """How many subjects hold a value of a column, on average (approximate)."""
    if not columns:
        return {}
    pairs = [
        F.approx_count_distinct(F.struct(quoted(key), quoted(name))).alias(f"p{i}") for i, name in enumerate(columns)
    ]
    values = [F.approx_count_distinct(quoted(name)).alias(f"v{i}") for i, name in enumerate(columns)]
    row = rows.agg(*pairs, *values).first()
    assert row is not None, "an aggregate without groups has one row"
    return {name: row[f"p{i}"] / max(1, row[f"v{i}"]) for i, name in enumerate(columns)}


def parts_of_clock(rows: DataFrame, clock: str, columns: Sequence[str]) -> dict[str, str]:
    """Column -> calendar part of the clock that it repeats in every row."""
    checks = {
        (name, part): F.bool_and(F.coalesce(F.col(quoted(name)) == F.expr(f"{part}({quoted(clock)})"), F.lit(False)))
        for name in columns
        for part in CLOCK_PARTS
    }
    if not checks:
        return {}
    row = rows.agg(*(check.alias(str(i)) for i, check in enumerate(checks.values()))).first()
    assert row is not None, "an aggregate without groups has one row"
    return {name: part for i, (name, part) in enumerate(checks) if row[i]}


def is_position(rows: DataFrame, key: str, column: str) -> bool:
    """Whether the column counts each subject's rows from 0 or 1, without a gap."""
    value = F.col(quoted(column))
    by_subject = rows.groupBy(quoted(key)).agg(
        F.min(value).alias("low"),
        F.max(value).alias("high"),
        F.count_distinct(value).alias("n"),
        F.count("*").alias("m"),
    )
    return by_subject.where("NOT (low IN (0, 1) AND high - low + 1 = n AND n = m) OR low IS NULL").isEmpty()
