"""Categories as codes: the values that enough subjects share; all others are one rare code. [plain]

Code order: missing (if any), rare, kept values by falling weight. Above 256 codes the index is written in base 256.
A value is found by its position among the kept ones. Up to LITERAL_VALUES of them the SQL text itself holds the values
(`encode`, `decode`); beyond, a join finds the position (`encode_positions`, `decode_positions`; synth_spark.lookups).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import sql

BASE = 256
DRAWS = 1024  # resolution of the weights that a rare code is decoded with
LINEAR = 48  # kept values up to which a scan beats a bucketed table
LITERAL_VALUES = 1000  # kept values that SQL text may hold
MAX_VALUES = 100_000  # kept values of a column; the heaviest


def fit(
    name: str,
    source_type: str,
    kept: list[tuple[str, int]],
    *,
    missing: bool,
    rare: str,
    rare_marker: str,
) -> FieldSpec:
    """The field's specification.

    Args:
        kept: (value, subject weight) of every value with enough subjects, heaviest first.
        missing: whether any value is missing.
        rare: "sample" (rare decodes to a kept value) or "marker" (to rare_marker, strings only).
    """
    has_rare = not (source_type == "boolean" and len(kept) == 2)
    marker = source_type == "string" and (rare == "marker" or not kept)
    params: dict[str, Any] = {
        "missing": missing,
        "rare": has_rare,
        "marker": rare_marker if marker else None,
        "values": [value for value, _ in kept],
        "weights": _shares([weight for _, weight in kept]),
    }
    codes = missing + has_rare + len(kept)
    return FieldSpec(name, "category", source_type, _cardinalities(codes), params)


def is_large(spec: FieldSpec) -> bool:
    """Whether the kept values are too many for SQL text."""
    return len(spec.params["values"]) > LITERAL_VALUES


def shown_values(spec: FieldSpec) -> list[str]:
    """The texts that decoding can give, by position: the kept values, then the marker of rare ones, if any."""
    params = spec.params
    return list(params["values"]) + ([params["marker"]] if params["marker"] is not None else [])


def encode(spec: FieldSpec, column_sql: str) -> list[str]:
    """One SMALLINT expression per sub-column."""
    found = sql.bind("p", _position("v", spec.params["values"]), "IF(p = 0, NULL, p)")
    position = sql.bind("v", text_sql(column_sql), found)
    return encode_positions(spec, column_sql, position)


def encode_positions(spec: FieldSpec, column_sql: str, position_sql: str) -> list[str]:
    """As encode, where `position_sql` is the value's place among the kept ones, from 1; null if it is none of them."""
    params = spec.params
    offset = params["missing"] + params["rare"]
    # a null that fitting never saw is as unknown as any other rare value; without a rare code, code 0 stands in
    missing, unknown = 0, int(params["missing"] and params["rare"])
    index = f"IF({column_sql} IS NULL, {missing}, coalesce({position_sql} + {offset - 1}, {unknown}))"
    digits = len(spec.cardinalities)
    if digits == 1:
        return [f"CAST({index} AS SMALLINT)"]
    return [f"CAST(({index}) div {BASE ** (digits - 1 - i)} % {BASE} AS SMALLINT)" for i in range(digits)]


def decode(spec: FieldSpec, code_sqls: list[str], draw_sql: Callable[[int], str]) -> str:
    """Expression of the source's type."""
    shown = shown_values(spec)
    if not shown:
        return from_text(spec, "NULL")
    # element_at with a null index is not null but any entry, where Spark knows that no entry is null
    text = f"IF(p IS NULL, NULL, {sql.entry(sql.texts(shown), 'p')})"
    return from_text(spec, sql.bind("p", decode_positions(spec, code_sqls, draw_sql), text))


def decode_positions(spec: FieldSpec, code_sqls: list[str], draw_sql: Callable[[int], str]) -> str:
    """INT expression: the 0-based place, among `shown_values`, of the text to show; null for missing."""
    params = spec.params
    offset, number = params["missing"] + params["rare"], len(params["values"])
    index = " + ".join(f"CAST({code} AS INT) * {BASE ** (len(code_sqls) - 1 - i)}" for i, code in enumerate(code_sqls))
    position = f"IF(i >= {offset} AND i < {offset + number}, i - {offset}, {_rare_position(spec, draw_sql)})"
    if params["missing"]:
        position = f"IF(i = 0, NULL, {position})"
    return sql.bind("i", index, f"CAST({position} AS INT)")


def from_text(spec: FieldSpec, text_sql: str) -> str:
    """Expression of the source's type, of a text that decoding shows."""
    return f"CAST({text_sql} AS {spec.source_type.upper()})"


def text_sql(column_sql: str) -> str:
    """A value as the text by which it is kept."""
    return f"CAST({column_sql} AS STRING)"


def _rare_position(spec: FieldSpec, draw_sql: Callable[[int], str]) -> str:
    number = len(spec.params["values"])
    if spec.params["marker"] is not None or not number:
        return str(number) if shown_values(spec) else "NULL"
    slots = [i for i, weight in enumerate(spec.params["weights"]) for _ in range(weight)]
    return sql.entry(sql.bigints(slots), f"pmod({draw_sql(0)}, {len(slots)}L)")


def _position(name: str, values: list[str]) -> str:
    """1-based position of a string among the kept values, 0 if it is none of them."""
    if len(values) <= LINEAR:
        return f"array_position({sql.texts(values)}, {name})"
    number = len(values) // 8 + 1
    buckets: list[list[int]] = [[] for _ in range(number)]
    for i, value in enumerate(values):
        buckets[zlib.crc32(value.encode("utf-8")) % number].append(i)
    held = "array(" + ", ".join(sql.texts([values[i] for i in bucket]) for bucket in buckets) + ")"
    places = sql.bigint_lists([[i + 1 for i in bucket] for bucket in buckets])
    place = f"array_position({sql.entry(held, 'b')}, {name})"
    found = sql.bind("q", place, f"IF(q = 0, 0L, {sql.entry(sql.entry(places, 'b'), 'q - 1')})")
    return sql.bind("b", f"pmod(crc32(CAST({name} AS BINARY)), {number}L)", found)


def _shares(weights: list[int]) -> list[int]:
    """Whole parts of DRAWS by largest remainder; ties go to the earlier value."""
    total = sum(weights)
    if not total:
        return [1] * len(weights)
    parts = [weight * DRAWS // total for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda i: (-(weights[i] * DRAWS % total), i))
    for i in remainders[: DRAWS - sum(parts)]:
        parts[i] += 1
    return parts


def _cardinalities(codes: int) -> tuple[int, ...]:
    blocks = -(-codes // BASE)
    if codes <= BASE:
        return (max(codes, 1),)
    return (blocks, BASE) if blocks <= BASE else (-(-blocks // BASE), BASE, BASE)
