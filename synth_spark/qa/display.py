"""Axes that may be shown: labels and edges from the protected codebook or from fixed grids, never from metric bins.

[plain] Metrics are computed on the field's bins of raw values (binning.py), which stay in memory. Whatever a person
sees is counted a second time on these axes, and cells with fewer than MIN_SHOWN real subjects are hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from synth_spark.codebook import Codebook, FieldSpec
from synth_spark.qa.layout import LENGTH_ID, Layout, MetricColumn
from synth_spark.qa_result import Shown

MIN_SHOWN = 5  # real subjects that a shown cell holds at least
MAX_BINS = 14
GAP = "__gap"
_DAY = 86_400_000_000
_SHORT = 6  # lengths up to here are shown one by one
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LASTING = ("span", "recency", "age")  # traits that are told in days
_MISSING, _OTHER, _NO_NEXT = "missing", "other", "no next event"


@dataclass(frozen=True)
class LineAxis:
    """Ranges of a number or instant: below the first edge, between edges, from the last edge on, missing."""

    edges: tuple[float, ...]
    labels: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.labels)

    def code(self, values: Any) -> np.ndarray:
        """One code per value; values: float64, NaN = missing."""
        numbers = np.asarray(values, dtype=np.float64)
        codes = np.searchsorted(np.asarray(self.edges), numbers, side="right")
        return np.where(np.isnan(numbers), self.size - 1, codes).astype(np.int64)


@dataclass(frozen=True)
class NameAxis:
    """Kept categories, then all others, then missing."""

    names: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the codes, no two of them alike: a chart would put these into one place."""
        return (*self.names, *(_unlike(label, self.names) for label in (_OTHER, _MISSING)))

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.labels)

    def code(self, values: Any) -> np.ndarray:
        """One code per value; values: text, None = missing."""
        texts = pd.Series(values, dtype="object")
        codes = pd.Index(self.names, dtype="object").get_indexer(pd.Index(texts))
        codes = np.where(codes < 0, len(self.names), codes)
        return np.where(texts.isna().to_numpy(), len(self.names) + 1, codes).astype(np.int64)


Axis = LineAxis | NameAxis


def _unlike(label: str, names: Sequence[str]) -> str:
    """The label, in as many brackets as it takes to be none of the names."""
    while label in names:
        label = f"({label})"
    return label


def axes_of(layout: Layout, codebook: Codebook) -> dict[str, Axis]:
    """Axis by column id, successors included, and GAP for histories with a clock."""
    attributes, events = _by_column(codebook.static_fields), _by_column(codebook.event_fields)
    clock = clock_column(layout, codebook)
    axes: dict[str, Axis] = {}
    for column in layout.all:
        specs = events if column.part != "ctx" and layout.events else attributes
        if column.id == LENGTH_ID:
            axes[column.id] = length_axis(codebook.length)
        elif clock is not None and specs is events and column.name == clock.name:
            axes[column.id] = clock_axis(codebook.time or {})
        elif column.name in specs:
            axes[column.id] = field_axis(specs[column.name], column)
    if clock is not None and layout.sequential:
        axes[GAP] = gap_axis((codebook.time or {})["type"])
    return axes


def _by_column(specs: Sequence[FieldSpec]) -> dict[str, FieldSpec]:
    return {name: spec for spec in specs for name in spec.columns}


def clock_column(layout: Layout, codebook: Codebook) -> MetricColumn | None:
    """The event column that is the clock of histories, if there is one."""
    name = codebook.events.order_by if codebook.events is not None else None
    return next((column for column in layout.events if column.name == name), None)


def field_axis(spec: FieldSpec, column: MetricColumn) -> Axis:
    """Ranges or names that the field's codes stand for; of a place, round steps inside the kept box."""
    params = spec.params
    if spec.family == "place":
        half = spec.columns.index(column.name)
        return _line(round_edges(params["low"][half], params["high"][half]), "number")
    if spec.family == "category":
        kept = [str(value) for value in params["values"][: MAX_BINS - 2]]
        return NameAxis(tuple(kept)) if column.kind == "category" else _code_axis(kept, column)
    # a column that too few subjects have a value of has neither atoms nor bins
    units = sorted({*params["lows"], *params["highs"], *_around(params["atoms"], spec)}) or [0]
    scale, kind = _scale(spec.source_type, params["unit"])
    return _line([unit * scale for unit in _thinned(units)], kind)


def _code_axis(kept: Sequence[str], column: MetricColumn) -> LineAxis:
    """Ranges from each kept value to the next, where numbers or instants are learned as categories."""
    if column.kind == "number":
        edges = sorted(float(text) for text in kept)
        return _line(edges or [0.0], "whole" if all(edge.is_integer() for edge in edges) else "number")
    instants = [np.datetime64(text, "us") for text in kept]
    return _line(sorted(float(instant.astype(np.int64)) for instant in instants) or [0.0], "instant")


def _around(atoms: Sequence[int], spec: FieldSpec) -> list[int]:
    """Edges that give each frequent exact value a range of its own, where a unit is a whole number."""
    whole = not spec.params["unit"]
    return [edge for atom in atoms for edge in ((atom, atom + 1) if whole else (atom,))]


def _scale(source_type: str, unit: dict[str, int]) -> tuple[float, str]:
    """Canonical value of one unit (microseconds for instants), and the kind of label."""
    if source_type == "date":
        return float(_DAY), "instant"
    if "micros" in unit:
        return float(unit["micros"]), "instant"
    digits = int(unit.get("scale", 0))
    return (1.0, "whole") if digits == 0 else (10.0**-digits, "number")


def _thinned(edges: Sequence[int], most: int = MAX_BINS) -> list[int]:
    if len(edges) <= most:
        return list(edges)
    places = np.unique(np.linspace(0, len(edges) - 1, most).astype(int))
    return [edges[place] for place in places]


def length_axis(spec: FieldSpec) -> LineAxis:
    """Ranges of the number of events."""
    found = sorted({*spec.params["lows"], int(spec.params["highs"][-1]) + 1})
    short = [low for low in found if low <= _SHORT]
    lows = [*short, *_thinned([low for low in found if low > _SHORT], MAX_BINS - len(short))]
    return _line([float(low) for low in lows if low > 0], "whole")


def clock_axis(clock: dict[str, Any]) -> LineAxis:
    """Calendar periods, or a round grid, over the protected range; `clock` is Codebook.time."""
    scale, kind = _scale(clock["type"], clock["unit"])
    low, high = clock["low"] * scale, clock["end"] * scale
    return _line(calendar_edges(low, high) if kind == "instant" else round_edges(low, high), kind)


def calendar_edges(low: float, high: float) -> list[float]:
    """Starts of years, quarters, months, weeks, days or hours inside a range of microseconds: at most MAX_BINS + 2."""
    first, last = _instant(low), _instant(high)
    for frequency in ("h", "D", "W-MON", "MS", "QS", "YS", "5YS", "25YS"):
        if frequency in ("h", "D", "W-MON") and (last - first) > timedelta(hours=24 * 7 * MAX_BINS):
            continue
        starts = pd.date_range(
            first.replace(tzinfo=None), last.replace(tzinfo=None), freq=frequency, normalize=frequency != "h", unit="us"
        )
        inside = [edge for edge in starts.astype("int64") if low <= edge <= high]
        if len(inside) <= MAX_BINS + 6:
            return [float(edge) for edge in inside] or [low]
    return [low]


def round_edges(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten inside a range: at most MAX_BINS."""
    step = 10.0 ** np.floor(np.log10(max(high - low, 1.0) / MAX_BINS))
    step = next(step * factor for factor in (1, 2, 5, 10, 20) if (high - low) / (step * factor) <= MAX_BINS)
    return [float(edge) for edge in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step] or [low]


def gap_axis(order_type: str) -> LineAxis:
    """Time from one event to the next on a fixed grid; for integer orders powers of two."""
    if order_type not in ("date", "timestamp", "timestamp_ntz"):
        edges = [0.0, *(float(2**power) for power in range(0, 24, 2))]
        return LineAxis(
            tuple(edges),
            ("below 0", *(_range_label(f"{a:g}", f"{b:g}") for a, b in _pairs(edges)), f"from {edges[-1]:g}", _NO_NEXT),
        )
    days = [0, 1, 2, 4, 7, 14, 28, 56, 91, 182, 365]
    names = ["0", "1 d", "2 d", "4 d", "7 d", "2 wk", "4 wk", "8 wk", "3 mo", "6 mo", "1 yr"]
    seconds = [] if order_type == "date" else [1, 60, 3600, 6 * 3600]
    edges = [0.0, *(second * 1e6 for second in seconds), *(float(day * _DAY) for day in days[1:])]
    names = [names[0], *["1 s", "1 min", "1 h", "6 h"][: len(seconds)], *names[1:]]
    ranges = [_range_label(a, b) for a, b in _pairs(names)]
    if order_type == "date":
        ranges[0] = "same day"
        ranges[1] = "next day"
    return LineAxis(tuple(edges), ("below 0", *ranges, f"from {names[-1]}", _NO_NEXT))


def trait_axes(order_type: str) -> dict[str, LineAxis]:
    """Fixed grids for traits of histories (behaviour.py), by id; `order_type` is that of the clock."""
    lasting = gap_axis(order_type)
    if order_type == "date":  # the first two ranges are named for gaps
        lasting = LineAxis(lasting.edges, ("below 0", "0 \u2013 1 d", "1 \u2013 2 d", *lasting.labels[3:]))
    axes = {name: LineAxis(tuple(edge / _DAY for edge in lasting.edges), lasting.labels) for name in _LASTING}
    if order_type not in ("date", "timestamp", "timestamp_ntz"):
        return dict.fromkeys(_LASTING, lasting)
    axes["weekday"] = LineAxis(tuple(map(float, range(7))), ("", *_WEEKDAYS, _MISSING))
    if order_type != "date":
        axes["hour"] = LineAxis(tuple(map(float, range(24))), ("", *map(str, range(24)), _MISSING))
    return axes


def _line(edges: Sequence[float], kind: str) -> LineAxis:
    names = _instant_names(edges) if kind == "instant" else _number_names(edges, kind)
    ranges = [
        a if kind == "whole" and high - low == 1 else _range_label(a, _name(high - 1, kind) if kind == "whole" else b)
        for (a, b), (low, high) in zip(_pairs(names), _pairs(edges), strict=True)
    ]
    if kind == "instant":
        ranges = names[:-1]
    return LineAxis(tuple(edges), (f"below {names[0]}", *ranges, f"from {names[-1]}", _MISSING))


def _instant_names(edges: Sequence[float]) -> list[str]:
    """In the coarsest format that tells all of them exactly."""
    instants = [_instant(edge) for edge in edges]
    for style in ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d %H:%M"):
        names = [instant.strftime(style) for instant in instants]
        if all(
            datetime.strptime(name, style).replace(tzinfo=UTC) == i for name, i in zip(names, instants, strict=True)
        ):
            return names
    return [instant.isoformat(sep=" ", timespec="milliseconds") for instant in instants]


def _name(edge: float, kind: str, digits: int = 6) -> str:
    return f"{edge:,.0f}" if kind == "whole" else f"{edge:,.{digits}g}"


def _number_names(edges: Sequence[float], kind: str) -> list[str]:
    """With as many digits as it takes to tell all of them, six at least."""
    for digits in range(6, 18):
        names = [_name(edge, kind, digits) for edge in edges]
        if len(set(names)) == len(set(edges)):
            break
    return names


def _range_label(low: str, high: str) -> str:
    return f"{low} \u2013 {high}"


def _pairs(items: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(items[:-1], items[1:], strict=True))


def _instant(microseconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def show(counts: np.ndarray, columns: Sequence[str], axes: Sequence[Axis]) -> Shown:
    """Counts of shape (training, holdout, synthetic; cells ...) -> what may be shown of them.

    Rows and columns in which nothing may be shown are left out.
    """
    real, synthetic = counts[0] + counts[1], counts[2]
    visible = real >= MIN_SHOWN
    hidden = int((((real > 0) | (synthetic > 0)) & ~visible).sum())
    labels = []
    for dimension, axis in enumerate(axes):
        kept = visible.any(axis=tuple(other for other in range(visible.ndim) if other != dimension))
        labels.append(tuple(label for label, keep in zip(axis.labels, kept, strict=True) if keep))
        real, synthetic, visible = (np.compress(kept, part, axis=dimension) for part in (real, synthetic, visible))
    return Shown(tuple(columns), tuple(labels), _shares(real, visible), _shares(synthetic, visible), hidden)


def _shares(counts: np.ndarray, visible: np.ndarray) -> list[Any]:
    total = max(int(counts[visible].sum()), 1)
    shares = np.where(visible, np.round(counts / total, 5), np.nan)
    return _without_nan(shares.tolist())


def _without_nan(item: Any) -> Any:
    if isinstance(item, list):
        return [_without_nan(part) for part in item]
    return None if item != item else item
