"""Fixed point: every number, date and time is a whole number of units while it is encoded. [plain]

`unit` is a field's entry in its params: {"scale": digits after the point} for decimals and floating point numbers
(negative for very large ones), {"micros": microseconds per unit} for timestamps, {} for integers and dates.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

INTEGERS = ("tinyint", "smallint", "int", "bigint")
FLOATS = ("float", "double")
TIMESTAMPS = ("timestamp", "timestamp_ntz")
DAY_MICROS = 86_400_000_000
RESOLUTIONS = (DAY_MICROS, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)  # microseconds, coarse to fine

FLOAT_LIMIT = 2**53  # units of floating point columns stay below: the quotient is then the nearest double
LONG_LIMIT = 2**62  # units of all else stay below: sums of two never overflow
LARGEST_DOUBLE = sys.float_info.max
MAX_FLOAT_SCALE = 22  # 10**22 is the last power of ten that a double holds exactly
MAX_DECIMAL_SCALE = 16  # products stay inside DECIMAL(38)

_ARROW_TYPES = {
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "boolean": pa.bool_(),
    "string": pa.string(),
}


@dataclass(frozen=True)
class Units:
    """Values in units, N of them; where `missing` holds there is none. `missing` is None where that can never be."""

    values: IntArray
    missing: BoolArray | None = None

    @classmethod
    def of(cls, values: pa.Array) -> Units:
        """Of an array of BIGINT."""
        if not values.null_count:
            return cls(values.to_numpy())
        return cls(values.fill_null(0).to_numpy(), values.is_null().to_numpy(zero_copy_only=False))


def is_number(source_type: str) -> bool:
    """Whether the number family can hold the type."""
    return source_type in (*INTEGERS, *FLOATS, *TIMESTAMPS, "date") or source_type.startswith("decimal(")


def decimal_shape(source_type: str) -> tuple[int, int]:
    """Precision and scale of 'decimal(p,s)'."""
    precision, scale = source_type[len("decimal(") : -1].split(",")
    return int(precision), int(scale)


def to_units(source_type: str, unit: dict[str, Any], column_sql: str) -> str:
    """BIGINT expression: the value in units, rounded; values beyond the limits come out at the limits."""
    if source_type in INTEGERS:
        return f"CAST({column_sql} AS BIGINT)"
    if source_type == "date":
        return f"CAST(unix_date({column_sql}) AS BIGINT)"
    if source_type in TIMESTAMPS:
        micros = f"unix_micros(CAST({column_sql} AS TIMESTAMP))"
        return f"(({micros} - pmod({micros}, {unit['micros']}L)) div {unit['micros']}L)"
    scale = int(unit["scale"])
    if source_type in FLOATS:
        factor = 10.0 ** abs(scale)
        most = _limit(scale)
        limit = min(most / factor if scale >= 0 else most * factor, LARGEST_DOUBLE)
        bounded = f"least(greatest(CAST({column_sql} AS DOUBLE), {_double(-limit)}), {_double(limit)})"
        scaled = f"{bounded} * {_double(factor)}" if scale >= 0 else f"{bounded} / {_double(factor)}"
        return _present(column_sql, f"CAST(rint({scaled}) AS BIGINT)")
    precision, source_scale = decimal_shape(source_type)
    limit_text = f"CAST('{LONG_LIMIT // 10**scale}' AS DECIMAL(38,{source_scale}))"
    if 10 ** (precision - source_scale) <= LONG_LIMIT // 10**scale:
        bounded = column_sql
    else:
        bounded = f"least(greatest({column_sql}, -{limit_text}), {limit_text})"
    power = f"CAST('{10**scale}' AS DECIMAL({scale + 1},0))"
    units = f"CAST(CAST({bounded} AS DECIMAL(19,{scale})) * {power} AS BIGINT)"
    if scale < source_scale:  # rounded up, the largest values of the type are none of it any more
        most = min(LONG_LIMIT, 10 ** (precision - source_scale + scale) - 1)
        units = f"least(greatest({units}, {-most}L), {most}L)"
    return _present(column_sql, units)


def from_units(source_type: str, unit: dict[str, Any], units: Units) -> pa.Array:
    """Values of the source's own type: the exact inverse of to_units for every value that units can hold."""
    values: NDArray[Any] = units.values
    if source_type in TIMESTAMPS:
        values = values * unit["micros"]
    elif source_type == "date":
        values = values.astype(np.int32)  # Arrow knows no way from long to date
    elif source_type in FLOATS:
        factor = 10.0 ** abs(int(unit["scale"]))
        exact = values.astype(np.float64)
        values = exact / factor if unit["scale"] >= 0 else exact * factor
    array = pa.array(values, mask=units.missing)
    if source_type.startswith("decimal("):
        scale = int(unit["scale"])
        one = pa.scalar(Decimal(1).scaleb(-scale), pa.decimal128(scale + 1, scale))
        array = pc.multiply(array.cast(pa.decimal128(19, 0)), one)
    return array.cast(arrow_type(source_type))


def arrow_type(source_type: str) -> pa.DataType:
    """The Arrow type of a source column's type; timestamps with a zone are in UTC, as everywhere here."""
    if source_type.startswith("decimal("):
        return pa.decimal128(*decimal_shape(source_type))
    return _ARROW_TYPES[source_type]


def precision_sql(source_type: str, column_sql: str) -> str:
    """INT expression: the fewest digits after the point (0-9, 10: more) that hold the value exactly.

    For timestamps: the index in RESOLUTIONS of the coarsest unit that does.
    """
    if source_type in TIMESTAMPS:
        micros = f"unix_micros(CAST({column_sql} AS TIMESTAMP))"
        branches = [f"WHEN pmod({micros}, {step}L) = 0 THEN {i}" for i, step in enumerate(RESOLUTIONS)]
    elif source_type in FLOATS:
        value = f"CAST({column_sql} AS DOUBLE)"
        kind = source_type.upper()
        branches = [
            f"WHEN CAST(rint({value} * {_double(10.0**d)}) / {_double(10.0**d)} AS {kind}) = {column_sql} THEN {d}"
            for d in range(10)
        ]
    else:
        branches = [f"WHEN round({column_sql}, {d}) = {column_sql} THEN {d}" for d in range(10)]
    return "CASE " + " ".join(branches) + " ELSE 10 END"


def choose_unit(source_type: str, shares: dict[int, int], largest: float) -> dict[str, int]:
    """The unit of a field from its precision histogram.

    Args:
        shares: outcome of precision_sql -> subject weight.
        largest: largest absolute value inside the kept range.
    """
    if source_type in INTEGERS or source_type == "date":
        return {}
    wanted = _sufficient(shares)
    if source_type in TIMESTAMPS:
        return {"micros": RESOLUTIONS[min(wanted, len(RESOLUTIONS) - 1)]}
    if source_type in FLOATS:
        most = MAX_FLOAT_SCALE
        while most > -300 and not largest * 10.0**most < _limit(most):
            most -= 1
        return {"scale": min(most, wanted if wanted < 10 else MAX_FLOAT_SCALE)}
    most = min(MAX_DECIMAL_SCALE, decimal_shape(source_type)[1])
    while most > 0 and not largest * 10.0**most < LONG_LIMIT / 4:
        most -= 1
    return {"scale": min(most, wanted if wanted < 10 else most)}


def _sufficient(shares: dict[int, int]) -> int:
    """The smallest outcome that, with all smaller ones, holds 99.5 % of the weight."""
    total, running = sum(shares.values()), 0
    for outcome in sorted(shares):
        running += shares[outcome]
        if running * 1000 >= total * 995:
            return outcome
    return 0


def order_sql(column_sql: str) -> str:
    """INT expression: e where the absolute value lies in [10^e, 10^(e+1)); null for 0."""
    return f"CAST(floor(log10(nullif(abs(CAST({column_sql} AS DOUBLE)), 0D))) AS INT)"


def is_too_coarse(unit: dict[str, int], shares: dict[int, int], orders: dict[int, int]) -> bool:
    """Whether a floating point column's unit makes nothing of more than .5 % of its values' weight.

    That is zeros of whole numbers, and fewer than two digits of values that are told by some digits after the point.

    Args:
        shares: outcome of precision_sql -> subject weight.
        orders: outcome of order_sql -> subject weight.
    """
    wanted = _sufficient(shares)
    lost = -unit["scale"] + (2 if 0 < wanted < 10 else 0)
    small = sum(weight for order, weight in orders.items() if order < lost)
    return unit["scale"] < wanted and small * 200 > sum(shares.values()) and (unit["scale"] < 0 or wanted < 10)


def _limit(scale: int) -> int:
    # scaling by a power of ten that a double cannot hold costs three bits
    return FLOAT_LIMIT if scale >= 0 else FLOAT_LIMIT // 8


def _present(column_sql: str, units_sql: str) -> str:
    # least and greatest pass over nulls: a missing value would come out as a limit
    return f"IF({column_sql} IS NULL, CAST(NULL AS BIGINT), {units_sql})"


def _double(value: float) -> str:
    return f"{value!r}D"
