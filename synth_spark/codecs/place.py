"""Places: latitude and longitude together, as one number, the position along a line through decimal tiles. [plain]

The earth is 18 x 36 tiles of ten degrees, each of them 10 x 10 tiles of a degree, each of these 10 x 10 tiles of a
tenth, and so on down to the last digit that the data need. Row by row and tile within tile that is a line: what is near
on it is near on the map, its round numbers are the corners of tiles, and every number on it is a place. So the codec of
numbers does the rest: exact places that enough subjects share (airports, shops) are atoms, the others lie in bins that
are runs of tiles with enough subjects, and slices tell where in its bin a place lies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from synth_spark.codebook import FieldSpec, SourceColumn
from synth_spark.codecs import number, units
from synth_spark.codecs.draws import Codes, Draw
from synth_spark.codecs.edges import SUBJECT_WEIGHT
from synth_spark.codecs.number import NumberSummary
from synth_spark.codecs.rounding import DECIMAL_STEPS
from synth_spark.codecs.units import IntArray, Units
from synth_spark.config import ColumnSettings
from synth_spark.errors import ConfigError

MAX_SCALE = 6  # digits of a degree: a tenth of a metre
FLOAT_SCALE = 4  # more a 32-bit float cannot hold at 180 degrees
LATITUDE, LONGITUDE = "latitude", "longitude"
_LIMITS = {LATITUDE: 90, LONGITUDE: 180}
_WORDS = {"lat": LATITUDE, "latitude": LATITUDE} | dict.fromkeys(("lon", "lng", "long", "longitude"), LONGITUDE)


def find_places(columns: Sequence[SourceColumn], settings: dict[str, ColumnSettings]) -> list[tuple[str, str]]:
    """Pairs (latitude, longitude) among the columns: those that the settings name, then those that their names tell.

    Raises:
        ConfigError: half a place, halves that disagree, or a column whose type holds no degrees.
    """
    asked = {column.name: settings.get(column.name, ColumnSettings()) for column in columns}
    types = {column.name: column.type for column in columns}
    found = _asked_places(asked, types)
    free = [name for name in types if asked[name].family == "auto" and name not in {n for pair in found for n in pair}]
    named: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for name in free:
        half = _half_by_name(name)
        if half is not None and _holds_degrees(types[name], half[0]):
            named.setdefault(half[1], {LATITUDE: [], LONGITUDE: []})[half[0]].append(name)
    # two columns that may be the same half: no name tells which
    alone = [halves for halves in named.values() if all(len(names) == 1 for names in halves.values())]
    return found + [(halves[LATITUDE][0], halves[LONGITUDE][0]) for halves in alone]


def choose_scale(types: Sequence[str], column_units: Sequence[dict[str, Any]]) -> int:
    """Digits after the point for both halves, from the types and the units that each would have as a number."""
    needed = max(int(unit.get("scale", 0)) for unit in column_units)
    return max(0, min(needed, *(_most_digits(source_type) for source_type in types)))


def fit(
    name: str, columns: Sequence[str], types: Sequence[str], summary: NumberSummary, *, scale: int, threshold: int
) -> FieldSpec:
    """The field's specification; columns and types are latitude's, then longitude's.

    Params: cells (the fit of the line), scale, types; low and high: [latitude, longitude] of a box around nearly all
    places, whose corners are round and have `threshold` subjects beyond them: for display.
    """
    cells = number.fit("", "bigint", {}, summary, threshold=threshold, steps=DECIMAL_STEPS, slices=number.FINE)
    low, high = _box(summary, scale, threshold)
    params = {
        "cells": {"cardinalities": list(cells.cardinalities), "params": cells.params},
        "scale": scale,
        "types": list(types),
        "low": low,
        "high": high,
    }
    return FieldSpec(name, "place", types[0], cells.cardinalities, params, columns=tuple(columns))


def units_sql(latitude_sql: str, longitude_sql: str, scale: int) -> str:
    """BIGINT expression: the position on the line; null if a half is missing, no number, or no place on earth."""
    known = f"{latitude_sql} BETWEEN -90 AND 90 AND {longitude_sql} BETWEEN -180 AND 180"
    rows, columns, tiles = _size(scale)
    top = f"(la div {10 ** (scale + 1)}L * 36L + lo div {10 ** (scale + 1)}L) * {100 ** (scale + 1)}L"
    digits = [f"(la div {10**i}L % 10L * 10L + lo div {10**i}L % 10L) * {100**i}L" for i in range(scale + 1)]
    # the north pole's row and the antimeridian's column are no tiles: they come after all tiles
    position = (
        f"CASE WHEN la = {rows}L THEN {tiles}L + lo WHEN lo = {columns}L THEN {tiles + columns + 1}L + la "
        f"ELSE {' + '.join([top, *digits])} END"
    )
    from_west = _bind("lo", _from_corner(longitude_sql, 180, scale), position)
    return f"IF({known}, {_bind('la', _from_corner(latitude_sql, 90, scale), from_west)}, NULL)"


def decoder(spec: FieldSpec) -> Callable[[Codes, Draw], tuple[pa.Array, pa.Array]]:
    """Codes of N rows and their draws -> N latitudes and longitudes in the source's types, of one draw in the cell."""
    scale, (of_latitude, of_longitude) = spec.params["scale"], spec.params["types"]
    to_units = number.UnitsDecoder(cells(spec))

    def decode(codes: Codes, draw: Draw) -> tuple[pa.Array, pa.Array]:
        found = to_units(codes, draw)
        latitude, longitude = points(found.values, scale)
        unit = {"scale": scale}
        return (
            units.from_units(of_latitude, unit, Units(latitude, found.missing)),
            units.from_units(of_longitude, unit, Units(longitude, found.missing)),
        )

    return decode


def points(position: IntArray, scale: int) -> tuple[IntArray, IntArray]:
    """Latitudes and longitudes of positions on the line, in units of the last digit; the inverse of units_sql."""
    rows, columns, tiles = _size(scale)
    top, inside = np.divmod(position, 100 ** (scale + 1))
    south, west = (half * 10 ** (scale + 1) for half in np.divmod(top, 36))
    for i in range(scale + 1):
        inside, pair = np.divmod(inside, 100)
        south, west = south + pair // 10 * 10**i, west + pair % 10 * 10**i
    # beyond the tiles come the north pole's row, then the antimeridian's column
    pole, antimeridian = position >= tiles, position > tiles + columns
    south = np.where(antimeridian, position - (tiles + columns + 1), np.where(pole, rows, south))
    west = np.where(antimeridian, columns, np.where(pole, position - tiles, west))
    return south - 90 * 10**scale, west - 180 * 10**scale


def cells(spec: FieldSpec) -> FieldSpec:
    """The number field that a place is on its line."""
    return FieldSpec(spec.name, "number", "bigint", spec.cardinalities, spec.params["cells"]["params"])


def _size(scale: int) -> tuple[int, int, int]:
    """Steps from pole to pole and around the earth, and how many positions lie in tiles."""
    return 180 * 10**scale, 360 * 10**scale, 180 * 360 * 100**scale


def _bind(name: str, value_sql: str, body_sql: str) -> str:
    """`body` with `name` standing for a value that is computed once, however often the body uses it."""
    return f"element_at(transform(array({value_sql}), {name} -> {body_sql}), 1)"


def _from_corner(column_sql: str, degrees: int, scale: int) -> str:
    return f"CAST(rint(CAST({column_sql} AS DOUBLE) * {10**scale}D) AS BIGINT) + {degrees * 10**scale}L"


def _box(summary: NumberSummary, scale: int, threshold: int) -> tuple[list[float], list[float]]:
    """South-western and north-eastern corner."""
    halves = points(np.array([start for start, _ in summary.cells], dtype=np.int64), scale)
    weights = [weight for _, weight in summary.cells]
    low, high = [], []
    for half, limit in zip(halves, _LIMITS.values(), strict=True):
        bounds = _kept_bounds(sorted(zip(half.tolist(), weights, strict=True)), threshold)
        first, last = bounds or (-limit * 10**scale, limit * 10**scale)
        # a tenth of a degree at least: the bounds may be somebody's own
        widest = max((last - first) // 10, 10 ** max(0, scale - 1))
        step = next(step for step in DECIMAL_STEPS if step <= widest)
        low.append(max(first // step * step / 10**scale, float(-limit)))
        high.append(min((last // step + 1) * step / 10**scale, float(limit)))
    return low, high


def _kept_bounds(coordinates: list[tuple[int, int]], threshold: int) -> tuple[int, int] | None:
    """First and last coordinate with the weight of enough subjects at or beyond it."""
    margin = threshold * SUBJECT_WEIGHT

    def kept(ordered: list[tuple[int, int]]) -> int | None:
        reached = accumulate(weight for _, weight in ordered)
        return next((value for (value, _), total in zip(ordered, reached, strict=True) if total >= margin), None)

    first, last = kept(coordinates), kept(coordinates[::-1])
    return (first, last) if first is not None and last is not None and first <= last else None


def _most_digits(source_type: str) -> int:
    if source_type in units.FLOATS:
        return FLOAT_SCALE if source_type == "float" else MAX_SCALE
    return min(MAX_SCALE, units.decimal_shape(source_type)[1])


def _holds_degrees(source_type: str, half: str) -> bool:
    if source_type.startswith("decimal("):
        precision, scale = units.decimal_shape(source_type)
        return bool(10 ** (precision - scale) > _LIMITS[half])
    return source_type in units.FLOATS


def _half_by_name(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Which half a column's name tells, and the rest of the name's words."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    words = [word.lower() for word in re.split(r"[_.\- ]+", parted)]
    halves = [_WORDS[word] for word in words if word in _WORDS]
    return (halves[0], tuple("" if word in _WORDS else word for word in words)) if len(halves) == 1 else None


def _asked_places(asked: dict[str, ColumnSettings], types: dict[str, str]) -> list[tuple[str, str]]:
    pairs: dict[tuple[str, str], None] = {}
    for name, setting in asked.items():
        if setting.family in _LIMITS:
            partner = _partner(name, asked)
            _check_type(name, types[name], setting.family)
            pairs[(name, partner) if setting.family == LATITUDE else (partner, name)] = None
        elif setting.partner is not None:
            raise ConfigError(
                f"columns.{name}.partner: {setting.partner}: the column's family is {setting.family}; "
                "set it to latitude or longitude, or remove partner"
            )
    for name in (half for pair in pairs for half in pair):
        if sum(name in pair for pair in pairs) > 1:
            raise ConfigError(f"columns.{name}: it is half of more than one place; give each half one partner")
    for latitude, longitude in pairs:
        _check_type(latitude, types[latitude], LATITUDE)
        _check_type(longitude, types[longitude], LONGITUDE)
    return list(pairs)


def _partner(name: str, asked: dict[str, ColumnSettings]) -> str:
    """The other half of a place that one half's settings name."""
    family, partner = asked[name].family, asked[name].partner
    other = LONGITUDE if family == LATITUDE else LATITUDE
    if partner is None:
        pointing = [n for n, setting in asked.items() if setting.family == other and setting.partner == name]
        if len(pointing) != 1:
            raise ConfigError(f"columns.{name}.family: {family}: the other half is missing; name it as partner")
        return pointing[0]
    if partner not in asked or partner == name:
        raise ConfigError(
            f"columns.{name}.partner: {partner}: no learned column beside it; there are: {', '.join(asked)}"
        )
    theirs = asked[partner]
    if theirs.family not in ("auto", other) or theirs.partner not in (None, name):
        raise ConfigError(
            f"columns.{name}.partner: {partner}: its own settings (family {theirs.family}, partner {theirs.partner}) "
            f"say otherwise; there, allowed: family {other} or auto, partner {name} or none"
        )
    return partner


def _check_type(name: str, source_type: str, half: str) -> None:
    if not _holds_degrees(source_type, half):
        raise ConfigError(
            f"columns.{name}.family: {half}: the column has type {source_type}; degrees up to {_LIMITS[half]} need "
            "double, float or a decimal with enough digits; cast it with select"
        )
