"""Categories as codes: the values that enough subjects share; all others are one rare code. [plain]

Code order: missing (if any), rare, kept values by falling weight. Above 256 codes the index is written in base 256.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import units
from synth_spark.codecs.draws import Codes, Draw
from synth_spark.codecs.units import IntArray

BASE = 256
DRAWS = 1024  # resolution of the weights that a rare code is decoded with
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
        missing: whether missing is a value of its own.
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


def shown_values(spec: FieldSpec) -> list[str]:
    """The texts that decoding can give, by position: the kept values, then the marker of rare ones, if any."""
    params = spec.params
    return list(params["values"]) + ([params["marker"]] if params["marker"] is not None else [])


def encoder(spec: FieldSpec) -> Callable[[pa.Array], list[IntArray]]:
    """N values as text_sql writes them -> N codes of each sub-column."""
    params = spec.params
    kept = pa.array(params["values"], pa.string())
    first = params["missing"] + params["rare"]
    # a null that fitting never saw is as unknown as any other rare value; without a rare code, code 0 stands in
    unknown = int(params["missing"] and params["rare"])
    digits = len(spec.cardinalities)

    def encode(values: pa.Array) -> list[IntArray]:
        place = pc.index_in(values, value_set=kept, skip_nulls=True)
        index = np.where(
            place.is_valid().to_numpy(zero_copy_only=False), place.fill_null(0).to_numpy() + first, unknown
        )
        if values.null_count:
            index = np.where(values.is_null().to_numpy(zero_copy_only=False), 0, index)
        return [index // BASE ** (digits - 1 - i) % BASE for i in range(digits)] if digits > 1 else [index]

    return encode


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
