"""The times of decoded events, from codes alone: non-decreasing and inside the protected range. [plain]"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth_spark.codebook import Codebook
from synth_spark.codecs import calendar
from synth_spark.codecs.calendar import SAME_DAY, MomentDecoder
from synth_spark.codecs.draws import Codes, Draw
from synth_spark.codecs.number import UnitsDecoder
from synth_spark.codecs.units import BoolArray, IntArray

_MOMENTS, _WEEKDAY, _ANY_START = 1, 2, 9  # numbers of draws
_HALF = 31  # bits


@dataclass(frozen=True)
class Steps:
    """The events of subjects, one history after the other, each in its order.

    subject: row of each event's subject; first: row of the first event of its history; step: 0-based place in it.
    """

    subject: IntArray
    first: IntArray
    step: IntArray

    @classmethod
    def of(cls, lengths: IntArray) -> Steps:
        """Of subjects with so many events each."""
        ends = np.cumsum(lengths)
        first = np.repeat(ends - lengths, lengths)
        return cls(np.repeat(np.arange(len(lengths)), lengths), first, np.arange(len(first)) - first)

    def running_sum(self, values: IntArray) -> IntArray:
        """Of a history's events up to each."""
        total = np.cumsum(values)
        return total - (total - values)[self.first]

    def greatest_before(self, values: IntArray) -> IntArray:
        """Of a history's events before each; at the first one, something that is no value."""
        # histories are lifted one over the other, so that none sees the values of the one before it
        lift = self.subject * (values.max(initial=0) - values.min(initial=0) + 1)
        greatest = np.maximum.accumulate(values + lift) - lift
        return np.where(self.step > 0, np.roll(greatest, 1), greatest)

    def last_where(self, holds: BoolArray) -> IntArray:
        """Row of the last event up to each for which this holds; it must hold for each first one."""
        return np.maximum.accumulate(np.where(holds, np.arange(len(holds)), 0))


class ClockDecoder:
    """Codes -> times, in units of the clock."""

    def __init__(self, codebook: Codebook) -> None:
        assert codebook.time and codebook.start and codebook.period and codebook.elapsed, "there is a clock"
        start = codebook.start
        self._start, self._starts = UnitsDecoder(start), start.cardinalities[0]
        self._has_none = bool(start.params["missing"])
        self._earliest = min([*start.params["atoms"], *start.params["lows"]], default=0)
        self._begin, self._end = int(codebook.time["low"]), int(codebook.time["end"])
        self._span = max(0, self._end - self._begin)
        self._is_calendar = codebook.elapsed.family == "calendar"
        self._weeks = len(codebook.period.cardinalities)
        if self._is_calendar:
            self._per_day = int(codebook.elapsed.params["per_day"])
            self._week, self._moment = UnitsDecoder(codebook.period), MomentDecoder(codebook.elapsed)
        else:
            self._gap = UnitsDecoder(codebook.elapsed)

    def starts(self, codes: Codes, draw: Draw) -> IntArray:
        """Where N histories begin (a week, or a time of an integer clock), from the start field's codes."""
        code = codes[0]
        if self._has_none and self._starts == 1:
            return np.full(len(code), self._earliest, dtype=np.int64)
        if self._has_none:
            # the sampler may give events to a subject whose start says that it has none: it gets any start
            any_start = 1 + (draw(_ANY_START) % np.uint64(self._starts - 1)).astype(np.int64)
            code = np.where(code == 0, any_start, code)
        return self._start([code, *codes[1:]], draw).values

    def times(self, starts: IntArray, steps: Steps, codes: Codes, of_period: Draw, of_elapsed: Draw) -> IntArray:
        """The time of each event, from the codes of the period and the elapsed field."""
        when, since = codes[: self._weeks], codes[self._weeks :]
        if self._is_calendar:
            return self._dated(steps, self._week(when, of_period).values, since, of_elapsed)
        return self._counted(starts, steps, since, of_elapsed)

    def _dated(self, steps: Steps, week: IntArray, since: Codes, draw: Draw) -> IntArray:
        """Days by week and weekday, times within a day add up; see codecs/calendar.py.

        A day that would not be later than the one before it is the same day; what would lie before the begin or pass
        the end is cut.
        """
        day = since[0]
        # only a first event can lack the weekday that it needs
        weekday = np.where(day == SAME_DAY, (draw(_WEEKDAY) % np.uint64(7)).astype(np.int64), day)
        date = 7 * week + calendar.monday(0) + weekday
        date = np.where((day == SAME_DAY) & (steps.step > 0), date.min(initial=0), date)
        before = steps.greatest_before(date)
        same = (steps.step > 0) & (date <= before)
        moment = self._moment(since, same, lambda i: draw(_MOMENTS + i))
        passed = steps.running_sum(moment)
        within_day = passed - (passed - moment)[steps.last_where(~same)]
        time = np.where(same, before, date) * self._per_day + np.minimum(within_day, self._per_day - 1)
        return np.clip(time, self._begin, self._end)

    def _counted(self, starts: IntArray, steps: Steps, since: Codes, draw: Draw) -> IntArray:
        """The start and the sum of gaps, never beyond the end."""
        gap = np.where(steps.step == 0, 0, np.clip(self._gap(since, draw).values, 0, self._span))
        # a sum of many long gaps may leave the long's range before the end cuts it: two halves are summed
        low = steps.running_sum(gap & (2**_HALF - 1))
        high = steps.running_sum(gap >> _HALF) + (low >> _HALF)
        passed = np.where(high >> _HALF > 0, self._span, (high << _HALF) + (low & (2**_HALF - 1)))
        return np.minimum(starts[steps.subject] + np.minimum(passed, self._span), self._end)
