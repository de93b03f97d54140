"""The clock of histories while encoding: what is measured of it, and the start, period and elapsed fields. [spark]"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook, FieldSpec
from synth_spark.codecs import calendar, edges, number
from synth_spark.codecs.number import NumberSummary
from synth_spark.codecs.rounding import DECIMAL_STEPS, clock_steps
from synth_spark.encode.codes import number_codes

START, END, PERIOD, ELAPSED = "start", "end", "period", "elapsed"
MAX_PERIODS = 64
MAX_WEEKS = 520  # that have a code each


@dataclass(frozen=True)
class Clock:
    """The order column's type and unit, and all that follows from them."""

    type: str
    unit: dict[str, Any]

    @classmethod
    def of(cls, codebook: Codebook) -> Clock | None:
        """The clock of a codebook; None where events have none."""
        return cls(codebook.time["type"], codebook.time["unit"]) if codebook.time is not None else None

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
        if not self.is_calendar:
            return {START: ("subjects", "first"), PERIOD: ("events", "u"), ELAPSED: ("events", "u - b")}
        parts = calendar.parts_of("u", "b", self.per_day)
        found = {
            START: ("subjects", calendar.week_sql("first", self.per_day)),
            PERIOD: ("events", calendar.week_sql("u", self.per_day)),
        }
        if self.per_day > 1:
            found |= {"times": ("events", parts.time), "gaps": ("events", parts.gap)}
        return found

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

    def encode_start(self, subjects: DataFrame, start: FieldSpec) -> tuple[list[str], DataFrame]:
        """Codes of the start field, and the subjects frame with what these need."""
        subjects, codes = number_codes(subjects, {START: (start, self.measures[START][1])})
        return codes[START], subjects

    def encode_events(self, events: DataFrame, period: FieldSpec, elapsed: FieldSpec) -> tuple[list[str], DataFrame]:
        """Codes of the period and the elapsed field, and the events frame with what these need.

        Times of a calendar are moved first, so that equal weeks have equal codes and no other ones have.
        """
        if not self.is_calendar:
            values = {PERIOD: (period, self.measures[PERIOD][1]), ELAPSED: (elapsed, "coalesce(u - b, 0L)")}
            events, codes = number_codes(events, values)
            return [*codes[PERIOD], *codes[ELAPSED]], events
        weeks = {column: (period, calendar.week_sql(column, self.per_day)) for column in ("u", "b")}
        events, _ = number_codes(events, weeks)
        moved = {column: calendar.kept_sql(period, column, f"{column}_c", self.per_day) for column in weeks}
        events = events.withColumns({column: F.expr(text) for column, text in moved.items()})
        parts = calendar.parts_of("u", "b", self.per_day)
        values = {PERIOD: (period, self.measures[PERIOD][1])}
        if self.per_day > 1:
            own = {"times": parts.time, "gaps": parts.gap}
            values |= {name: (calendar.part(elapsed, name), text) for name, text in own.items()}
        events, codes = number_codes(events, values)
        of_parts = [codes.get(name, []) for name in ("times", "gaps")]
        return [*codes[PERIOD], *calendar.encode(elapsed, parts, *of_parts)], events


def end_of(period: FieldSpec) -> FieldSpec:
    """The field that says the last event's period, or, by one more code, that it is the first event's."""
    return replace(period, name=END, family=END, cardinalities=(period.cardinalities[0] + 1,), protection={})
