"""The clock of dated events: week, weekday, time of day or gap. [plain]

An event on a later day than the one before it says its week, its weekday and its time of day; an event on the same day
says how long after the one before it comes. Weeks are those of the calendar, so dates do not come from sums of gaps,
whose errors would add up; and the week and weekday of an event never lie before those of the event before it, which
the model knows (model/recall.py).

Two fields: the week is a number field; the other one has the sub-columns day and, if there are times of day, moment
(one or two): a time or a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import number, sql
from synth_spark.codecs.draws import Codes, Draw
from synth_spark.codecs.number import NumberSummary
from synth_spark.codecs.units import DAY_MICROS, BoolArray, IntArray

SAME_DAY = 7  # code of the day sub-column, after the weekdays 0 (Monday) to 6
_MONDAY = 3  # the epoch was a Thursday


@dataclass(frozen=True)
class Parts:
    """SQL of an event's parts; time or gap is null."""

    day: str
    time: str
    gap: str


def is_calendar(source_type: str) -> bool:
    """Whether a clock of this type has days."""
    return source_type in ("date", "timestamp", "timestamp_ntz")


def units_per_day(unit: dict[str, int]) -> int:
    """Units of a clock per day: {} are whole days."""
    return DAY_MICROS // unit["micros"] if "micros" in unit else 1


def date_sql(clock: str, per_day: int) -> str:
    """BIGINT expression: days since the epoch of a time in units, rounded down."""
    return clock if per_day == 1 else f"(({clock}) - pmod({clock}, {per_day}L)) div {per_day}L"


def week_sql(clock: str, per_day: int) -> str:
    """BIGINT expression: weeks since the epoch's, Monday first."""
    return date_sql(f"({date_sql(clock, per_day)} + {_MONDAY}L)", 7)


def monday(week: int) -> int:
    """Days since the epoch of a week's Monday."""
    return 7 * week - _MONDAY


def parts_of(clock: str, before: str, per_day: int) -> Parts:
    """The parts of an event from its time and that of the event before it, in units (null for the first)."""
    date, earlier = date_sql(clock, per_day), date_sql(before, per_day)
    new = f"({before} IS NULL OR {date} > {earlier})"
    return Parts(
        day=f"IF({new}, pmod({date} + {_MONDAY}L, 7L), {SAME_DAY}L)",
        time=f"IF({new}, pmod({clock}, {per_day}L), NULL)",
        gap=f"IF({new}, NULL, {clock} - {before})",
    )


def fit(
    name: str,
    source_type: str,
    per_day: int,
    *,
    times: NumberSummary,
    gaps: NumberSummary,
    threshold: int,
    steps: tuple[int, ...],
) -> FieldSpec:
    """The field's specification; `steps` are the round times of the unit."""

    def fitted(summary: NumberSummary, always: tuple[int, ...] = ()) -> FieldSpec:
        return number.fit(
            "", "bigint", {}, summary, threshold=threshold, steps=steps, slices=number.FINE, always=always
        )

    found: dict[str, FieldSpec] = {}
    cardinalities = [SAME_DAY + 1]
    if per_day > 1:
        found = {"times": fitted(times), "gaps": fitted(gaps, always=(0,))}
        of_times, of_gaps = found["times"].cardinalities, found["gaps"].cardinalities
        slices = max([*of_times[1:], *of_gaps[1:], 1])
        cardinalities += [of_times[0] + of_gaps[0], *([slices] if slices > 1 else [])]
    params: dict[str, Any] = {"per_day": per_day}
    params |= {part: {"cardinalities": list(s.cardinalities), "params": s.params} for part, s in found.items()}
    return FieldSpec(name, "calendar", source_type, tuple(cardinalities), params)


def is_exact(weeks: FieldSpec) -> bool:
    """Whether every code of the week field, with its slice, is a single week."""
    params = weeks.params
    whole = [high - low for low, high in zip(params["lows"], params["highs"], strict=True)]
    return max(params.get("slice_widths", whole), default=1) == 1


def num_times(spec: FieldSpec) -> int:
    """How many codes of the moment stand for times of day, before those of gaps; 0 without times of day."""
    return int(spec.params["times"]["cardinalities"][0]) if "times" in spec.params else 0


def kept_sql(weeks: FieldSpec, clock: str, code: str, per_day: int) -> str:
    """BIGINT expression: a time in units, moved to the nearest week that a code stands for.

    Args:
        code: name of number.code_sql of the time's week.
    """
    bins = list(zip(weeks.params["lows"], weeks.params["highs"], strict=True))
    first = sql.bigints([monday(low) * per_day for low, _ in bins])
    last = sql.bigints([monday(high) * per_day - 1 for _, high in bins])
    moved = f"least(greatest({clock}, {sql.entry(first, code)}), {sql.entry(last, code)})"
    return f"IF({clock} IS NULL, NULL, {moved})"


def encode(spec: FieldSpec, parts: Parts, of_time: list[str], of_gap: list[str]) -> list[str]:
    """One SMALLINT expression per sub-column.

    Args:
        of_time, of_gap: the parts encoded as the number fields of times and gaps; not looked at without times of day.
    """
    codes = [f"CAST({parts.day} AS SMALLINT)"]
    if spec.params["per_day"] == 1:
        return codes
    same = f"{parts.day} = {SAME_DAY}"
    codes.append(f"CAST(IF({same}, {of_gap[0]} + {num_times(spec)}, {of_time[0]}) AS SMALLINT)")
    if _num_moments(spec) == 2:
        none = "CAST(0 AS SMALLINT)"
        codes.append(f"IF({same}, {of_gap[1] if of_gap[1:] else none}, {of_time[1] if of_time[1:] else none})")
    return codes


class MomentDecoder:
    """Codes -> time of day or gap, in units.

    A code that the model chose and that does not belong to the kind of event is moved to one that does.
    """

    def __init__(self, spec: FieldSpec) -> None:
        self._last = spec.params["per_day"] - 1
        self._parts = [part(spec, name) for name in ("times", "gaps")] if self._last else []
        self._decoders = [number.UnitsDecoder(part) for part in self._parts]

    def __call__(self, codes: Codes, same_day: BoolArray, draw: Draw) -> IntArray:
        """Units of N events, from the field's codes; those of the same day as the event before get a gap."""
        if not self._last:
            return np.zeros(len(same_day), dtype=np.int64)
        moment, slices = codes[1], codes[2:]
        first, count = (part.cardinalities[0] for part in self._parts)
        time, gap = (
            decode([own, *(slices if len(part.cardinalities) == 2 else [])], draw).values
            for decode, part, own in zip(
                self._decoders, self._parts, (moment % first, (moment - first) % count), strict=True
            )
        )
        return np.where(same_day, np.maximum(gap, 0), np.clip(time, 0, self._last))


def part(spec: FieldSpec, name: str) -> FieldSpec:
    """The number field of the times of day or of the gaps: name is times or gaps."""
    held = spec.params[name]
    return FieldSpec(name, "number", "bigint", tuple(held["cardinalities"]), held["params"])


def _num_moments(spec: FieldSpec) -> int:
    return len(spec.cardinalities) - 1
