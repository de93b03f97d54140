"""Numbers, dates and times as codes: frequent exact values (atoms), and bins for the rest. [plain]

Code order: missing (if any value is missing), atoms, bins. The atoms and bins tile the whole line, so every value
has a code; a bin never contains an atom, so decoding a bin never produces one. With slices a second code says
in which equal slice of its bin a value lies; bins may differ in how many they have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import edges, sql, units

FINE = 256  # slices of a bin where single units tell: times, places
COARSE = 16  # slices of a bin of other numbers, where enough subjects are in each


@dataclass(frozen=True)
class NumberSummary:
    """All that fitting needs to know of a column; its size is bounded by the number format, not by the data.

    Weights are subject weights: each subject spreads SUBJECT_WEIGHT evenly over its values.
    """

    missing: bool  # whether any value is missing
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


def encode(spec: FieldSpec, unit: str, code: str) -> list[str]:
    """One SMALLINT expression per sub-column, given names: of the BIGINT in units, and of its code_sql."""
    params = spec.params
    first = f"CAST({code} AS SMALLINT)"
    if "slice_widths" not in params:
        return [first]
    bounds = [(0, 1)] * (spec.cardinalities[0] - len(params["lows"]))
    bounds += list(zip(params["lows"], params["highs"], strict=True))
    lows, lasts = sql.bigints([low for low, _ in bounds]), sql.bigints([high - 1 for _, high in bounds])
    widths = sql.bigints(_widths(spec))
    low, last, width = (sql.entry(table, code) for table in (lows, lasts, widths))
    inside = f"least(greatest(coalesce({unit}, 0L), {low}), {last}) - {low}"
    return [first, f"CAST(({inside}) div {width} AS SMALLINT)"]


def decode_units(spec: FieldSpec, code_sqls: list[str], draw_sql: Callable[[int], str]) -> str:
    """BIGINT expression: a uniform draw over the units that a code stands for, null for missing."""
    params, code = spec.params, code_sqls[0]
    bins = list(zip(params["lows"], params["highs"], strict=True))
    bounds: list[tuple[int | None, int]] = [(None, 1)] * int(params["missing"])
    bounds += [(unit, unit + 1) for unit in params["atoms"]]
    bounds += bins
    skips: list[list[int]] = [[]] * (len(bounds) - len(bins)) + [
        _inside(params["atoms"], low, high) for low, high in bins
    ]
    if "slice_widths" in params:
        return _decode_slice(bounds, skips, _widths(spec), code, code_sqls[1], draw_sql(0))
    counts = [1 if low is None else high - low - len(skip) for (low, high), skip in zip(bounds, skips, strict=True)]
    low_sql = sql.entry(sql.bigints([low for low, _ in bounds]), code)
    unit = f"{low_sql} + pmod({draw_sql(0)}, {sql.entry(sql.bigints(counts), code)})"
    return _skip(unit, sql.entry(sql.bigint_lists(skips), code)) if any(skips) else unit


def decode(spec: FieldSpec, code_sqls: list[str], draw_sql: Callable[[int], str]) -> str:
    """Expression of the source's type."""
    value = decode_units(spec, code_sqls, draw_sql)
    return sql.bind("v", value, units.from_units(spec.source_type, spec.params["unit"], "v"))


def code_sql(spec: FieldSpec, name: str) -> str:
    """INT expression: the first sub-column's code of a BIGINT in units that has a name."""
    starts, codes = segments(spec)
    # without a missing code (a null that fitting never saw) or without any value, code 0 stands in
    return f"IF({name} IS NULL, 0, {sql.search(name, starts, codes)})"


def _inside(atoms: list[int], low: int, high: int) -> list[int]:
    return [unit for unit in sorted(atoms) if low <= unit < high]


def _widths(spec: FieldSpec) -> list[int]:
    """Units per slice, for every code; atoms and missing values have one slice of one unit."""
    of_bins: list[int] = spec.params["slice_widths"]
    return [1] * (spec.cardinalities[0] - len(of_bins)) + of_bins


def _skip(unit_sql: str, skips_sql: str) -> str:
    """Step over the atoms of a bin, in ascending order: the draw counts only units that are none."""
    return f"aggregate({skips_sql}, {unit_sql}, (acc, a) -> IF(acc >= a, acc + 1L, acc))"


def _decode_slice(
    bounds: list[tuple[int | None, int]],
    skips: list[list[int]],
    widths: list[int],
    code: str,
    slice_code: str,
    draw: str,
) -> str:
    """A slice that the model chose but that does not exist, or that holds atoms only, is moved to one that does."""
    known = [(0, 1) if low is None else (low, high) for low, high in bounds]
    free = [_free_slices(low, high, width, skip) for (low, high), width, skip in zip(known, widths, skips, strict=True)]
    counts = [number for number, _ in free]
    jumps = [jump for _, jump in free]
    slice_ = f"pmod(CAST({slice_code} AS BIGINT), {sql.entry(sql.bigints(counts), code)})"
    if any(jumps):
        slice_ = _skip(slice_, sql.entry(sql.bigint_lists(jumps), code))
    start = f"{sql.entry(sql.bigints([low for low, _ in bounds]), code)} + s * {sql.entry(sql.bigints(widths), code)}"
    last = sql.entry(sql.bigints([high for _, high in known]), code)
    end = f"least({start} + {sql.entry(sql.bigints(widths), code)}, {last})"
    if not any(skips):
        return sql.bind("s", slice_, f"{start} + pmod({draw}, {end} - ({start}))")
    atoms = f"filter({sql.entry(sql.bigint_lists(skips), code)}, held -> held >= {start} AND held < {end})"
    count = f"({end} - ({start}) - CAST(size(k) AS BIGINT))"
    unit = _skip(f"{start} + pmod({draw}, {count})", "k")
    return sql.bind("s", slice_, sql.bind("k", atoms, unit))


def _free_slices(low: int, high: int, width: int, atoms: list[int]) -> tuple[int, list[int]]:
    """How many slices hold a unit that is no atom, and which hold none (ascending)."""
    number = -(-(high - low) // width)
    held: dict[int, int] = {}
    for unit in atoms:
        held[(unit - low) // width] = held.get((unit - low) // width, 0) + 1
    full = [s for s, atoms_held in sorted(held.items()) if atoms_held == min(width, high - low - s * width)]
    return number - len(full), full
