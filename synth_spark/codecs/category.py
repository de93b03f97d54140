"""Categories as codes: the values that enough subjects share; all others are one rare code. [plain]

Code order: missing (if any), rare, kept values by falling weight. Above 256 codes the index is written in base 256.
A value is found by its position among the kept ones. Up to LITERAL_VALUES of them the SQL text itself holds the values
(`encode`); beyond, a join finds the position (`encode_positions`; synth_spark.encode.lookups).
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import sql, units
from synth_spark.codecs.draws import Codes, Draw
from synth_spark.codecs.units import IntArray

BASE = 256
DRAWS = 1024  # resolution of the weights that a rare code is decoded with
LINEAR = 48  # kept values up to which a scan beats a bucketed table
LITERAL_VALUES = 1000  # kept values that SQL text may hold
MAX_VALUES = 100_000  # kept values of a column; the heaviest

_READERS: dict[str, Callable[[str], Any]] = {  # of the texts that Spark writes
    **dict.fromkeys(units.INTEGERS, int),
    **dict.fromkeys(units.FLOATS, float),
    "boolean": lambda text: text == "true",
    "date": dt.date.fromisoformat,
    "timestamp": lambda text: dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC),
    "timestamp_ntz": dt.datetime.fromisoformat,
}


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


def decoder(spec: FieldSpec) -> Callable[[Codes, Draw], pa.Array]:
    """Codes of N rows and their draws -> N values of the source's type."""
    params = spec.params
    shown = values_of(spec.source_type, shown_values(spec))
    first, number = params["missing"] + params["rare"], len(params["values"])
    slots = _rare_slots(spec)

    def decode(codes: Codes, draw: Draw) -> pa.Array:
        index = codes[0]
        for digit in codes[1:]:
            index = index * BASE + digit
        place = index - first
        rare = (place < 0) | (place >= number)
        if rare.any() and len(slots):
            place = np.where(rare, slots[draw(0) % np.uint64(len(slots))], place)
            rare = np.zeros_like(rare)
        absent = rare | (index == 0) if params["missing"] else rare
        return shown.take(pa.array(place, mask=absent))

    return decode


def values_of(source_type: str, texts: list[str]) -> pa.Array:
    """The values that the texts are kept for, in the source's type."""
    read = _READERS.get(source_type, Decimal if source_type.startswith("decimal(") else str)
    return pa.array([read(text) for text in texts], units.arrow_type(source_type))


def text_sql(column_sql: str) -> str:
    """A value as the text by which it is kept."""
    return f"CAST({column_sql} AS STRING)"


def _rare_slots(spec: FieldSpec) -> IntArray:
    """Places among `shown_values`, each as often as a rare code shows it; none: it shows nothing."""
    number, weights = len(spec.params["values"]), spec.params["weights"]
    if spec.params["marker"] is not None:
        return np.array([number])
    return np.repeat(np.arange(number), weights)


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
