"""The clock of histories while encoding: what is measured of it, and the start, period and elapsed fields. [spark]"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import calendar, edges, number
from synth_spark.codecs.number import NumberSummary
from synth_spark.codecs.rounding import DECIMAL_STEPS, clock_steps, roundest
from synth_spark.encode.batches import Batches, first_rows, whole_subjects
from synth_spark.encode.tally import MOST_EXTREME

START, END, PERIOD, ELAPSED = "start", "end", "period", "elapsed"
MAX_PERIODS = 64
MAX_WEEKS = 520  # that have a code each


@dataclass(frozen=True)
class Clock:
    """The order column's type and unit, and all that follows from them."""

    type: str
    unit: dict[str, Any]

    @property
    def is_calendar(self) -> bool:
        """Whether it has days; an integer clock only counts."""
        return calendar.is_calendar(self.type)

    @property
    def per_day(self) -> int:
        """Units per day of a calendar."""
        return calendar.units_per_day(self.unit)

    @property
    def steps(self) -> tuple[int, ...]:
        """Round numbers of the unit."""
        return clock_steps(self.unit["micros"]) if "micros" in self.unit else DECIMAL_STEPS

    @property
    def measures(self) -> dict[str, tuple[str, str]]:
        """What is fitted: name -> (frame, BIGINT expression); null where it does not apply.

        The first two stand for the start and the period field, the others for the elapsed field.
        """
        start = calendar.week_sql("first", self.per_day) if self.is_calendar else "first"
        return {START: ("subjects", start)} | {name: ("clock", name) for name in self._timed}

    @property
    def _timed(self) -> list[str]:
        if not self.is_calendar:
            return [PERIOD, ELAPSED]
        return [PERIOD, "times", "gaps"] if self.per_day > 1 else [PERIOD]

    def timed(self, events: DataFrame) -> DataFrame:
        """n, and what is measured of each event; rows stay in their order."""
        schema = ", ".join(["n BIGINT", *(f"{name} BIGINT" for name in self._timed)])
        return events.select("n", "u").mapInArrow(self._measured, schema)

    def _measured(self, batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in whole_subjects(batches):
            times, is_first = batch.column(1).to_numpy(), first_rows(batch)
            if self.is_calendar:
                parts = calendar.parts_of(times, is_first, self.per_day)
                found = [(parts.week, None), (parts.time, parts.same_day), (parts.gap, ~parts.same_day)]
            else:
                found = [(times, None), (times - np.roll(times, 1), is_first)]
            columns = [pa.array(values, mask=absent) for values, absent in found[: len(self._timed)]]
            yield pa.RecordBatch.from_arrays([batch.column(0), *columns], names=["n", *self._timed])

    def fit(self, summaries: dict[str, NumberSummary], thresholds: dict[str, int]) -> list[FieldSpec]:
        """The start, the period and the elapsed field, from a summary of each measure."""
        steps = DECIMAL_STEPS if self.is_calendar else self.steps
        start = number.fit(
            START, "bigint", {}, summaries[START], threshold=thresholds[START], steps=steps, slices=number.FINE
        )
        period = number.fit(
            PERIOD,
            "bigint",
            {},
            replace(summaries[PERIOD], missing=False),
            threshold=thresholds[PERIOD],
            steps=steps,
            slices=number.FINE if self.is_calendar else 1,
            most_bins=edges.MAX_BINS if self.is_calendar else MAX_PERIODS,
            most_units=MAX_WEEKS if self.is_calendar else 0,
            in_order=True,
        )
        return [start, period, self._fit_elapsed(summaries, thresholds)]

    def _fit_elapsed(self, summaries: dict[str, NumberSummary], thresholds: dict[str, int]) -> FieldSpec:
        if not self.is_calendar:
            gaps = replace(summaries[ELAPSED], missing=False)  # the first event's is 0, never missing
            threshold = thresholds[ELAPSED]
            return number.fit(
                ELAPSED, "bigint", {}, gaps, threshold=threshold, steps=self.steps, slices=number.FINE, always=(0,)
            )
        nothing = NumberSummary(False, None, None, (), ())
        return calendar.fit(
            ELAPSED,
            self.type,
            self.per_day,
            times=replace(summaries.get("times", nothing), missing=False),
            gaps=replace(summaries.get("gaps", nothing), missing=False),
            threshold=thresholds.get("times", 0),
            steps=self.steps,
        )

    def first_time(self, start: FieldSpec) -> int:
        """The earliest time, in units, that the start field can decode to."""
        low = min([*start.params["atoms"], *start.params["lows"]], default=0)
        return calendar.monday(low) * self.per_day if self.is_calendar else low


def end_of(period: FieldSpec) -> FieldSpec:
    """The field that says the last event's period, or, by one more code, that it is the first event's."""
    return replace(period, name=END, family=END, cardinalities=(period.cardinalities[0] + 1,), protection={})


def fit_begin(subjects: DataFrame, floor: int, end: int, clock: Clock, threshold: int) -> int:
    """The first time that is kept: of a calendar a whole day, found as fit_end finds the last one.

    A clock that only counts begins where its start field does.
    """
    if not clock.is_calendar:
        return floor
    by_first = subjects.where("first IS NOT NULL").select("first").orderBy("first")
    firsts = [int(row["first"]) // clock.per_day for row in by_first.limit(2 * MOST_EXTREME).collect()]
    lowest, last = floor // clock.per_day, end // clock.per_day
    firsts = [max(lowest, day) for day in firsts[: 2 * threshold]]
    if len(firsts) < threshold:
        return floor
    begin = min(firsts[threshold - 1], last)
    shared = firsts.count(begin) >= threshold
    highest = min(last, begin + max(1, (last - begin) // 200), max(begin + 1, firsts[-1]))  # few subjects are moved
    rounded = begin if shared else roundest(begin, highest, DECIMAL_STEPS)
    return rounded * clock.per_day


def fit_end(subjects: DataFrame, floor: int, clock: Clock, threshold: int) -> int:
    """The last time that is kept: of a calendar a whole day; inside the k-th latest last event, rounded inward."""
    by_last = subjects.where("last IS NOT NULL").select("last").orderBy(F.desc("last"))
    # as many whatever the threshold is, for a limit stands in query plans
    latest = by_last.limit(2 * MOST_EXTREME).collect()[: 2 * threshold]
    width, steps = (clock.per_day, DECIMAL_STEPS) if clock.is_calendar else (1, clock.steps)
    lasts, first = [int(row["last"]) // width for row in latest], floor // width
    rounded = first
    if len(lasts) >= threshold:
        last = lasts[threshold - 1]
        # many subjects may share the last day; without that, one part in 200 of the time covered is open to rounding
        lowest = max(first, last - max(1, (last - first) // 200))
        shared = lasts.count(last) >= threshold
        rounded = last if shared else roundest(lowest, max(first, last), steps)
    return max(first, rounded) * width + width - 1
