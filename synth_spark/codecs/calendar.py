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
from synth_spark.codecs import number
from synth_spark.codecs.draws import Codes, Draw
from synth_spark.codecs.number import NumberSummary
from synth_spark.codecs.units import DAY_MICROS, BoolArray, IntArray, Units

SAME_DAY = 7  # code of the day sub-column, after the weekdays 0 (Monday) to 6
_MONDAY = 3  # the epoch was a Thursday


@dataclass(frozen=True)
class Parts:
    """Of N events, in units: week and code of the day; time of day of the first of a day, gap of the others."""

    week: IntArray
    day: IntArray
    same_day: BoolArray
    time: IntArray
    gap: IntArray


def is_calendar(source_type: str) -> bool:
    """Whether a clock of this type has days."""
    return source_type in ("date", "timestamp", "timestamp_ntz")


def units_per_day(unit: dict[str, int]) -> int:
    """Units of a clock per day: {} are whole days."""
    return DAY_MICROS // unit["micros"] if "micros" in unit else 1


def week_sql(clock: str, per_day: int) -> str:
    """BIGINT expression: weeks since the epoch's, Monday first, of a time in units that has a name."""
    shifted, week = f"({clock} + {_MONDAY * per_day}L)", f"{7 * per_day}L"
    return f"({shifted} - pmod({shifted}, {week})) div {week}"


def weeks_of(times: IntArray, per_day: int) -> IntArray:
    """As week_sql."""
    return (times // per_day + _MONDAY) // 7


def monday(week: int) -> int:
    """Days since the epoch of a week's Monday."""
    return 7 * week - _MONDAY


def parts_of(times: IntArray, is_first: BoolArray, per_day: int) -> Parts:
    """The parts of events from their times in units, history by history."""
    date = times // per_day
    earlier = np.roll(times, 1)
    same_day = ~is_first & (date <= earlier // per_day)
    return Parts(
        week=weeks_of(times, per_day),
        day=np.where(same_day, SAME_DAY, (date + _MONDAY) % 7),
        same_day=same_day,
        time=times % per_day,
        gap=times - earlier,
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


def coded_day(weeks: FieldSpec, elapsed: FieldSpec, time: int) -> tuple[int, int] | None:
    """Code of the week and weekday of a time in units; None where that week has no code of its own."""
    day = time // int(elapsed.params["per_day"])
    week = (day + _MONDAY) // 7
    if week not in (*weeks.params["atoms"], *weeks.params["lows"]):
        return None
    (code,) = number.UnitsEncoder(weeks)(Units(np.array([week])))
    return int(code[0]), day - monday(week)


def num_times(spec: FieldSpec) -> int:
    """How many codes of the moment stand for times of day, before those of gaps; 0 without times of day."""
    return int(spec.params["times"]["cardinalities"][0]) if "times" in spec.params else 0


class DateEncoder:
    """Times -> codes of the week and of the day with its moment.

    Times are moved to the nearest week that a code stands for first, so that equal weeks have equal codes and no other
    ones have.
    """

    def __init__(self, weeks: FieldSpec, elapsed: FieldSpec) -> None:
        self._per_day, self._weeks = int(elapsed.params["per_day"]), number.UnitsEncoder(weeks)
        bins = list(zip(weeks.params["lows"], weeks.params["highs"], strict=True))
        self._first = np.array([monday(low) * self._per_day for low, _ in bins], dtype=np.int64)
        self._last = np.array([monday(high) * self._per_day - 1 for _, high in bins], dtype=np.int64)
        self._moments, self._num_times = _num_moments(elapsed), num_times(elapsed)
        self._parts = [number.UnitsEncoder(part(elapsed, name)) for name in ("times", "gaps") if name in elapsed.params]

    def __call__(self, times: IntArray, is_first: BoolArray) -> list[IntArray]:
        """Codes of each sub-column of both fields, N each, of N times, history by history."""
        code = self._weeks(Units(weeks_of(times, self._per_day)))[0]
        parts = parts_of(np.clip(times, self._first[code], self._last[code]), is_first, self._per_day)
        codes = [*self._weeks(Units(parts.week)), parts.day]
        if not self._parts:
            return codes
        times_of, gaps_of = self._parts
        of_time, of_gap = times_of(Units(parts.time)), gaps_of(Units(parts.gap))
        codes.append(np.where(parts.same_day, of_gap[0] + self._num_times, of_time[0]))
        if self._moments == 2:
            none = np.zeros_like(times)
            codes.append(np.where(parts.same_day, (*of_gap[1:], none)[0], (*of_time[1:], none)[0]))
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
