"""Places: which columns are one, the line through the tiles, and what a fit keeps. All without Spark."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from synth_spark.codebook import SourceColumn
from synth_spark.codecs import place
from synth_spark.codecs.edges import SUBJECT_WEIGHT as W
from synth_spark.codecs.number import NumberSummary
from synth_spark.config import ColumnSettings
from synth_spark.errors import ConfigError


def _columns(*names: str, kind: str = "double") -> list[SourceColumn]:
    return [SourceColumn(name, kind) for name in names]


def _settings(**families: tuple[str, str | None]) -> dict[str, ColumnSettings]:
    return {
        name: ColumnSettings.model_validate({"family": family, "partner": partner})
        for name, (family, partner) in families.items()
    }


@pytest.mark.parametrize(
    "names",
    [
        ("lat", "lon"),
        ("Latitude", "Longitude"),
        ("pickup_latitude", "pickup_longitude"),
        ("store.lat", "store.lng"),
        ("pickupLat", "pickupLong"),
        ("GPS Latitude (deg)", "GPS Longitude (deg)"),
        ("lat-2", "lng-2"),
        ("HOME_LAT", "HOME_LON"),
    ],
)
def test_names_tell_places(names: tuple[str, str]) -> None:
    assert place.find_places(_columns("id", names[1], "plate", names[0]), {}) == [names]


@pytest.mark.parametrize(
    "names",
    [
        ("flat", "long"),
        ("lat", "longest"),
        ("from_lat", "to_lon"),
        ("lat", "latitude", "lon"),
        ("lat_lon", "lon_lat"),
        ("lat", "x"),
        ("platitude", "longitude"),
    ],
)
def test_names_that_tell_no_place(names: tuple[str, ...]) -> None:
    assert place.find_places(_columns(*names), {}) == []


def test_several_places_of_one_table() -> None:
    names = ("from_lat", "to_lat", "from_lon", "to_lon")
    assert place.find_places(_columns(*names), {}) == [("from_lat", "from_lon"), ("to_lat", "to_lon")]


@pytest.mark.parametrize("kind", ["string", "int", "decimal(4,2)"])
def test_only_types_that_hold_degrees_are_places(kind: str) -> None:
    columns = [SourceColumn("lat", "double"), SourceColumn("lon", kind)]
    assert place.find_places(columns, {}) == []
    with pytest.raises(ConfigError, match=r"columns\.lon\.family: longitude: the column has type"):
        place.find_places(columns, _settings(lat=("latitude", "lon")))


def test_a_family_of_one_half_switches_the_place_off() -> None:
    for family in ("number", "category"):
        assert place.find_places(_columns("lat", "lon"), _settings(lon=(family, None))) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"y": ("latitude", "x")},
        {"x": ("longitude", "y")},
        {"y": ("latitude", "x"), "x": ("longitude", "y")},
        {"y": ("latitude", None), "x": ("longitude", "y")},
    ],
)
def test_settings_tell_places(settings: dict[str, tuple[str, str | None]]) -> None:
    assert place.find_places(_columns("x", "y", "lat", "lon"), _settings(**settings)) == [("y", "x"), ("lat", "lon")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"y": ("latitude", None)}, r"columns\.y\.family: latitude: the other half is missing"),
        ({"y": ("latitude", "nowhere")}, r"columns\.y\.partner: nowhere: no learned column"),
        ({"y": ("latitude", "y")}, r"columns\.y\.partner: y: no learned column beside it"),
        ({"y": ("latitude", "x"), "x": ("latitude", "y")}, r"family latitude.* say otherwise"),
        ({"y": ("latitude", "x"), "x": ("number", None)}, r"family number.* say otherwise"),
        ({"y": ("latitude", "x"), "x": ("longitude", "z")}, r"partner z.* say otherwise"),
        ({"y": ("latitude", "x"), "z": ("latitude", "x")}, r"half of more than one place"),
        ({"y": ("number", "x")}, r"columns\.y\.partner: x: the column's family is number"),
    ],
)
def test_halves_that_do_not_fit_are_refused(settings: dict[str, tuple[str, str | None]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        place.find_places(_columns("x", "y", "z"), _settings(**settings))


@pytest.mark.parametrize(
    ("types", "needed", "expected"),
    [
        (("double", "double"), (2, 5), 5),
        (("double", "double"), (12, 3), 6),
        (("double", "double"), (-2, 0), 0),
        (("float", "float"), (6, 6), 4),
        (("decimal(9,6)", "decimal(8,5)"), (6, 5), 5),
    ],
)
def test_the_scale_is_what_the_data_need_and_both_types_hold(
    types: tuple[str, str], needed: tuple[int, int], expected: int
) -> None:
    assert place.choose_scale(types, [{"scale": digits} for digits in needed]) == expected


def _points(positions: Sequence[int], scale: int) -> list[tuple[int, int]]:
    return list(zip(*(half.tolist() for half in place.points(np.array(positions), scale)), strict=True))


@pytest.mark.parametrize("scale", [0, 1])
def test_the_line_passes_every_place_once(scale: int) -> None:
    number = (180 * 10**scale + 1) * (360 * 10**scale + 1)
    units = range(number) if scale == 0 else range(0, number, 97)
    points = set(_points(units, scale))
    assert len(points) == len(units)
    assert all(abs(y) <= 90 * 10**scale and abs(x) <= 180 * 10**scale for y, x in points)


@given(unit=some.integers(0, 180 * 360 * 100**6 - 1), level=some.integers(0, 6))
def test_what_lies_between_round_numbers_lies_in_one_tile(unit: int, level: int) -> None:
    first = unit // 100**level * 100**level
    corner, last, inside = _points((first, first + 100**level - 1, unit), 6)
    side = 10**level - 1
    assert [corner[0] % 10**level, corner[1] % 10**level] == [0, 0]
    assert (last[0] - corner[0], last[1] - corner[1]) == (side, side)
    assert all(low <= middle <= high for low, middle, high in zip(corner, inside, last, strict=True))


def _fit(points: dict[tuple[float, float], int], scale: int = 2, threshold: int = 6) -> place.FieldSpec:
    """The fit of (latitude, longitude) -> subjects, which encode gets from Spark."""
    held: dict[int, int] = {}
    for (latitude, longitude), subjects in points.items():
        unit = _unit(round(latitude * 10**scale), round(longitude * 10**scale), scale)
        held[unit] = held.get(unit, 0) + subjects
    units = [unit for unit in sorted(held) for _ in range(held[unit])]
    atoms = tuple(
        (unit, n * W) for unit, n in sorted(held.items(), key=lambda item: -item[1]) if n >= max(threshold, 10)
    )
    enough = len(units) >= threshold
    summary = NumberSummary(
        False,
        units[threshold - 1] if enough else None,
        units[-threshold] if enough else None,
        atoms,
        tuple((unit, n * W) for unit, n in sorted(held.items())),
    )
    return place.fit("lat + lon", ("lat", "lon"), ("double", "double"), summary, scale=scale, threshold=threshold)


def _unit(y: int, x: int, scale: int) -> int:
    """Position of a point that is neither on the north pole's row nor on the antimeridian: its tiles' digits."""
    south, west = y + 90 * 10**scale, x + 180 * 10**scale
    unit = south // 10 ** (scale + 1) * 36 + west // 10 ** (scale + 1)
    for i in range(scale, -1, -1):
        unit = unit * 100 + south // 10**i % 10 * 10 + west // 10**i % 10
    return unit


def test_a_fit_keeps_shared_places_and_cells_of_enough_subjects() -> None:
    airports = {(40.64, -73.78): 300, (33.94, -118.41): 200}
    homes = {(48 + i * 7 % 100 / 50, 2 + i * 13 % 89 / 40): 1 for i in range(2000)}
    spec = _fit({**airports, **homes})
    cells = spec.params["cells"]["params"]
    assert spec.columns == ("lat", "lon") and spec.family == "place" and len(spec.cardinalities) == 2
    assert _points(cells["atoms"][:2], 2) == [(4064, -7378), (3394, -11841)]
    assert len(cells["lows"]) > 20
    units = sorted(_unit(round(y * 100), round(x * 100), 2) for y, x in homes)
    for low, high in zip(cells["lows"], cells["highs"], strict=True):
        assert sum(low <= unit < high for unit in units) >= 6


def test_the_shown_box_is_round_and_leaves_out_what_few_subjects_hold() -> None:
    homes = {(48.5 + i * 7 % 100 / 317, 2.2 + i * 13 % 89 / 211): 1 for i in range(500)}
    spec = _fit({**homes, (-77.85, 166.67): 2, (78.22, 15.65): 3})
    low, high = spec.params["low"], spec.params["high"]
    assert 48.3 <= low[0] <= 48.5 and 2.0 <= low[1] <= 2.2
    assert 48.8 <= high[0] <= 49.0 and 2.6 <= high[1] <= 2.9
    assert all(math.isclose(bound * 20, round(bound * 20)) for bound in (*low, *high))


def test_too_few_subjects_leave_the_whole_earth() -> None:
    spec = _fit({(10.0, 10.0): 2, (20.0, 20.0): 2})
    assert (spec.params["low"], spec.params["high"]) == ([-90.0, -180.0], [90.0, 180.0])
    assert spec.params["cells"]["params"]["atoms"] == []
