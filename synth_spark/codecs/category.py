"""Categories as codes: the values that enough subjects share; all others are one rare code. [plain]

Code order: missing (if any), rare, kept values by falling weight. Above 256 codes the index is written in base 256.
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


def encode(spec: FieldSpec, column_sql: str) -> list[str]:
    """One SMALLINT expression per sub-column."""
    params = spec.params
    offset = params["missing"] + params["rare"]
    # a null that fitting never saw is as unknown as any other rare value; without a rare code, code 0 stands in
    missing, unknown = 0, int(params["missing"] and params["rare"])
    position = _position("v", params["values"])
    index = f"IF(v IS NULL, {missing}, IF(p = 0, {unknown}, p + {offset - 1}))"
    bound = sql.bind("v", f"CAST({column_sql} AS STRING)", sql.bind("p", position, index))
    digits = len(spec.cardinalities)
    if digits == 1:
        return [f"CAST({bound} AS SMALLINT)"]
    return [f"CAST(({bound}) div {BASE ** (digits - 1 - i)} % {BASE} AS SMALLINT)" for i in range(digits)]


def decode(spec: FieldSpec, code_sqls: list[str], draw_sql: Callable[[int], str]) -> str:
    """Expression of the source's type."""
    params = spec.params
    index = " + ".join(f"CAST({code} AS INT) * {BASE ** (len(code_sqls) - 1 - i)}" for i, code in enumerate(code_sqls))
    offset = params["missing"] + params["rare"]
    rare = _rare_sql(params, draw_sql)
    values = sql.texts(params["values"])
    known = sql.entry(values, f"i - {offset}") if params["values"] else "CAST(NULL AS STRING)"
    in_range = f"i >= {offset} AND i < {offset + len(params['values'])}"
    value = f"IF({in_range}, {known}, {rare})"
    if params["missing"]:
        value = f"IF(i = 0, CAST(NULL AS STRING), {value})"
    return f"CAST({sql.bind('i', index, value)} AS {spec.source_type.upper()})"


def _rare_sql(params: dict[str, Any], draw_sql: Callable[[int], str]) -> str:
    if params["marker"] is not None:
        return sql.text(params["marker"])
    if not params["values"]:
        return "CAST(NULL AS STRING)"
    slots = [i for i, weight in enumerate(params["weights"]) for _ in range(weight)]
    drawn = sql.entry(sql.bigints(slots), f"pmod({draw_sql(0)}, {len(slots)}L)")
    return sql.entry(sql.texts(params["values"]), drawn)


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
