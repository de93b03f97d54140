"""Numbers, dates and times as codes: frequent exact values (atoms), and bins for the rest. [plain]

Code order: missing (if any value is missing), atoms, bins. The atoms and bins tile the whole line, so every value
has a code; a bin never contains an atom, so decoding a bin never produces one. With slices a second code says
in which equal slice of its bin a value lies; bins may differ in how many they have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import edges, units
from synth_spark.codecs.draws import Codes, Draw, Words
from synth_spark.codecs.units import BoolArray, IntArray, Units

FINE = 256  # slices of a bin where single units tell: times, places
COARSE = 16  # slices of a bin of other numbers, where enough subjects are in each


@dataclass(frozen=True)
class NumberSummary:
    """All that fitting needs to know of a column; its size is bounded by the number format, not by the data.

    Weights are subject weights: each subject spreads SUBJECT_WEIGHT evenly over its values.
    """

    missing: bool  # whether missing is a value of its own
    low: int | None  # smallest unit kept: that of the k-th most extreme subject; None if there are fewer than k
    high: int | None  # largest unit kept
    atoms: tuple[tuple[int, int], ...]  # (unit, weight) of the values frequent enough, heaviest first
    cells: tuple[tuple[int, int], ...]  # (first unit, weight) of order-preserving cells of what is kept, ascending
    support: dict[int, int] = field(default_factory=dict)  # first unit -> most subjects that share one value of a cell


def fit(
    name: str,
    source_type: str,
    unit: dict[str, Any],
    summary: NumberSummary,
    *,
    threshold: int,
    steps: tuple[int, ...],
    slices: int = 1,
    slice_subjects: int = 0,
    always: tuple[int, ...] = (),
    most_bins: int = edges.MAX_BINS,
    most_units: int = 0,
    in_order: bool = False,
) -> FieldSpec:
    """The field's specification.

    Args:
        threshold: subjects that every atom and bin must have.
        steps: round numbers of the unit, see rounding.
        slices: most equal slices of a bin; above 1 they are a second sub-column, where a bin holds more than one unit.
        slice_subjects: a bin has only as many slices as leave each one that holds values this many subjects.
        always: units that are atoms whatever their support (constants of the format, never data).
        most_bins: about as many bins at most.
        most_units: where no more units are kept, each is a bin of its own if enough subjects are in it.
        in_order: codes ascend with the values: frequent values are no atoms.
    """
    frequent = dict(summary.atoms)
    weights = {} if in_order else frequent
    atoms = [*weights, *(unit_ for unit_ in always if unit_ not in weights)]
    kept = (summary.low, summary.high)
    bins = edges.bins(
        summary.cells,
        weights,
        summary.support,
        *kept,
        frequent=frequent.keys(),
        threshold=threshold,
        steps=steps,
        most=most_bins,
        units=most_units,
    )
    bins = edges.without_empty(bins, sorted(atoms))
    if not atoms and not bins and not summary.missing:
        bins = [(0, 1)]  # too few subjects to tell anything: a constant
    params: dict[str, Any] = {
        "unit": unit,
        "missing": summary.missing,
        "atoms": atoms,
        "lows": [low for low, _ in bins],
        "highs": [high for _, high in bins],
    }
    codes = summary.missing + len(atoms) + len(bins)
    cardinalities = [codes]
    widths, number = _slices(bins, summary, weights, most=slices, subjects=slice_subjects)
    if number > 1:
        params["slice_widths"] = widths
        cardinalities.append(number)
    return FieldSpec(name, "number", source_type, tuple(cardinalities), params)


def _slices(
    bins: list[tuple[int, int]], summary: NumberSummary, atoms: dict[int, int], *, most: int, subjects: int
) -> tuple[list[int], int]:
    """Units per slice of each bin, and the most slices that a bin has."""
    counts = [most] * len(bins)
    if subjects:
        counts = edges.slice_counts(
            bins, summary.cells, atoms, summary.support, summary.low, summary.high, most=most, subjects=subjects
        )
    widths = [-(-(high - low) // count) for (low, high), count in zip(bins, counts, strict=True)]
    return widths, max((-(-(high - low) // width) for (low, high), width in zip(bins, widths, strict=True)), default=1)


def segments(spec: FieldSpec) -> tuple[list[int], list[int]]:
    """The line as (starts, codes): segment i holds units starts[i-1] <= x < starts[i] and has codes[i]."""
    params = spec.params
    first_bin = params["missing"] + len(params["atoms"])
    pieces = [(unit, unit + 1, params["missing"] + i) for i, unit in enumerate(params["atoms"])]
    for i, (low, high) in enumerate(zip(params["lows"], params["highs"], strict=True)):
        inside = [unit for unit in sorted(params["atoms"]) if low <= unit < high]
        borders = [low, *(border for unit in inside for border in (unit, unit + 1)), high]
        gaps = zip(borders[::2], borders[1::2], strict=True)
        pieces += [(start, end, first_bin + i) for start, end in gaps if start < end]
    pieces.sort()
    if not pieces:
        return [], [0]
    starts, codes = [], [pieces[0][2]]
    for before, after in pairwise(pieces):
        # a gap between pieces holds values that nothing kept covers: each goes to the nearer side
        starts.append((before[1] + after[0]) // 2)
        codes.append(after[2])
    return starts, codes


def units_sql(spec: FieldSpec, column_sql: str) -> str:
    """BIGINT expression: a value in the field's units."""
    return units.to_units(spec.source_type, spec.params["unit"], column_sql)


class UnitsEncoder:
    """Units -> codes: the bin or frequent value that a unit lies in or is nearest to, and the slice of a bin."""

    def __init__(self, spec: FieldSpec) -> None:
        params = spec.params
        starts, codes = segments(spec)
        self._starts, self._codes = np.array(starts, dtype=np.int64), np.array(codes)
        self._widths = np.array(_widths(spec), dtype=np.uint64) if "slice_widths" in params else None
        others = [0] * (spec.cardinalities[0] - len(params["lows"]))  # codes without slices
        self._lows = np.array([*others, *params["lows"]], dtype=np.int64)
        self._lasts = np.array([*others, *(high - 1 for high in params["highs"])], dtype=np.int64)

    def __call__(self, found: Units) -> list[IntArray]:
        """Codes of each sub-column, N each, of N values in units."""
        code = self._codes[np.searchsorted(self._starts, found.values, side="right")]
        if found.missing is not None:
            # without a missing code (a null that fitting never saw) or without any value, code 0 stands in
            code = np.where(found.missing, 0, code)
        if self._widths is None:
            return [code]
        low = self._lows[code]
        inside = np.clip(found.values, low, self._lasts[code]).astype(np.uint64) - low.astype(np.uint64)
        return [code, (inside // self._widths[code]).astype(np.int64)]


def codes_beside(spec: FieldSpec, other: FieldSpec) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """What a field's code says of another field of the same units, whose codes ascend with them.

    Returns:
        How many slices a code is counted with; by code and slice the lowest and the highest code of the other field's
        first sub-column that the same units have: those of the code where it has no such slice, all of them where no
        unit has the code.
    """
    slices = spec.cardinalities[1] if len(spec.cardinalities) > 1 else 1
    borders = sorted({*_borders(spec), *_borders(other)})
    at = Units(np.array([borders[0] - 1, *borders] if borders else [0], dtype=np.int64))  # one unit of every stretch
    own, beside = UnitsEncoder(spec)(at), UnitsEncoder(other)(at)[0]
    where = own[0], own[1] if slices > 1 else np.zeros_like(own[0])
    lows = np.full((spec.cardinalities[0], slices), other.cardinalities[0])
    highs = np.full_like(lows, -1)
    np.minimum.at(lows, where, beside)
    np.maximum.at(highs, where, beside)
    for bounds, nothing, of_all, unknown in (
        (lows, other.cardinalities[0], lows.min(1), 0),
        (highs, -1, highs.max(1), other.cardinalities[0] - 1),
    ):
        of_all[of_all == nothing] = unknown
        np.copyto(bounds, of_all[:, None], where=bounds == nothing)
    return slices, tuple(lows.ravel().tolist()), tuple(highs.ravel().tolist())


def _borders(spec: FieldSpec) -> list[int]:
    """Units at which the codes of a field change."""
    bins = zip(spec.params["lows"], spec.params["highs"], strict=True)
    slices = zip(bins, spec.params.get("slice_widths", []), strict=False)  # a field may have none
    inner = [unit for (low, high), width in slices for unit in range(low, high, width)]
    return [*segments(spec)[0], *inner]


def encoder(spec: FieldSpec) -> Callable[[pa.Array], list[IntArray]]:
    """N values in units, BIGINT -> N codes of each sub-column."""
    encode = UnitsEncoder(spec)
    return lambda values: encode(Units.of(values))


class UnitsDecoder:
    """Codes -> units: a uniform draw over the units that a code stands for, but atoms inside a bin.

    A slice that the model chose but that does not exist, or that holds atoms only, is moved to one that does.
    """

    def __init__(self, spec: FieldSpec) -> None:
        params = spec.params
        bins = list(zip(params["lows"], params["highs"], strict=True))
        bounds = [(0, 1)] * int(params["missing"]) + [(unit, unit + 1) for unit in params["atoms"]] + bins
        self._missing = bool(params["missing"])
        self._first_bin = len(bounds) - len(bins)
        self._lows = np.array([low for low, _ in bounds], dtype=np.int64)
        self._sizes = np.array([high - low for low, high in bounds], dtype=np.uint64)  # may be more than a long holds
        self._widths, self._slices = self._sizes, None
        inside = [_inside(params["atoms"], low, high) for low, high in bins]
        if "slice_widths" in params:
            widths = _widths(spec)
            self._widths = np.array(widths, dtype=np.uint64)
            held = [*([[]] * self._first_bin), *inside]
            self._slices = np.array(
                [
                    np.resize(_free_slices(low, high, width, atoms), FINE)
                    for (low, high), width, atoms in zip(bounds, widths, held, strict=True)
                ],
                dtype=np.uint64,
            )
        self._atoms = np.array(sorted({unit for atoms in inside for unit in atoms}), dtype=np.int64)
        self._passed = self._atoms - np.arange(len(self._atoms))  # non-atoms below an atom, but for a constant

    def __call__(self, codes: Codes, draw: Draw) -> Units:
        """Units of N rows, from the codes of each sub-column, N each."""
        code = codes[0]
        low, room = self._lows[code], self._sizes[code]
        if self._slices is not None:
            width = self._widths[code]
            offset = self._slices[code, codes[1]] * width
            low, room = low + offset.astype(np.int64), np.minimum(width, room - offset)
        units = self._drawn(code >= self._first_bin, low, room, draw(0))
        return Units(units, code == 0 if self._missing else None)

    def _drawn(self, is_bin: BoolArray, low: IntArray, room: Words, words: Words) -> IntArray:
        if not len(self._atoms):
            return low + (words % room).astype(np.int64)
        before = np.searchsorted(self._atoms, low)
        last = low + (room - np.uint64(1)).astype(np.int64)
        held = np.where(is_bin, np.searchsorted(self._atoms, last, side="right") - before, 0)
        units: IntArray = low + (words % (room - held.astype(np.uint64))).astype(np.int64)
        # step over the atoms in ascending order: the draw counts only units that are none
        skipped = np.searchsorted(self._passed, units - before, side="right") - before
        units += np.where(held > 0, skipped, 0)
        return units


def decoder(spec: FieldSpec) -> Callable[[Codes, Draw], pa.Array]:
    """Codes of N rows and their draws -> N values of the source's type."""
    to_units, unit = UnitsDecoder(spec), spec.params["unit"]
    return lambda codes, draw: units.from_units(spec.source_type, unit, to_units(codes, draw))


def _inside(atoms: list[int], low: int, high: int) -> list[int]:
    return [unit for unit in sorted(atoms) if low <= unit < high]


def _widths(spec: FieldSpec) -> list[int]:
    """Units per slice, for every code; atoms and missing values have one slice of one unit."""
    of_bins: list[int] = spec.params["slice_widths"]
    return [1] * (spec.cardinalities[0] - len(of_bins)) + of_bins


def _free_slices(low: int, high: int, width: int, atoms: list[int]) -> list[int]:
    """The slices that hold a unit that is no atom, ascending."""
    number = -(-(high - low) // width)
    held = Counter((unit - low) // width for unit in atoms)
    return [s for s in range(number) if held[s] < min(width, high - low - s * width)]
