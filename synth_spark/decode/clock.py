"""The times of decoded events, from codes alone: non-decreasing and inside the protected range. [spark]

Works on one row per event: KEY, STEP (0-based), FIRST (the decoded start) and the clock's codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook, FieldSpec
from synth_spark.codecs import calendar, number, sql
from synth_spark.codecs.calendar import SAME_DAY
from synth_spark.codecs.units import LONG_LIMIT

KEY, STEP, FIRST, TIME = "__key", "__step", "__first", "__time"

Draw = Callable[[int], str]


@dataclass(frozen=True)
class Coded:
    """A field with the expressions of its codes and of its draws."""

    spec: FieldSpec
    codes: list[str]
    draw: Draw


def start_sql(spec: FieldSpec, codes: list[str], draw: Draw) -> str:
    """BIGINT expression: where a history begins (a week, or a time of an integer clock), never null."""
    if spec.params["missing"] and spec.cardinalities[0] > 1:
        # the sampler may give events to a subject whose start says that it has none: it gets any start
        others = spec.cardinalities[0] - 1
        codes = [f"IF({codes[0]} = 0, CAST(1 + pmod({draw(9)}, {others}L) AS SMALLINT), {codes[0]})", *codes[1:]]
    earliest = min([*spec.params["atoms"], *spec.params["lows"]], default=0)
    return f"coalesce({number.decode_units(spec, codes, draw)}, {sql.bigint(earliest)})"


def with_time(events: DataFrame, codebook: Codebook, when: Coded, since: Coded) -> DataFrame:
    """The events with TIME, in units of the clock, from the period's and the elapsed field's codes."""
    assert codebook.time is not None, "there is a clock"
    end = int(codebook.time["end"])
    if since.spec.family == "calendar":
        return _calendar_time(events, when, since, end=end)
    return _counted_time(events, codebook, since, end=end)


def _calendar_time(events: DataFrame, when: Coded, since: Coded, *, end: int) -> DataFrame:
    """Days by week and weekday, times within a day add up; see codecs/calendar.py.

    A day that would not be later than the one before it is the same day; what would pass the protected end is cut.
    """
    per_day = int(since.spec.params["per_day"])
    history = Window.partitionBy(KEY).orderBy(STEP)
    earlier = history.rowsBetween(Window.unboundedPreceding, -1)
    so_far = history.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    day = since.codes[0]
    # only a first event can lack the weekday that it needs
    weekday = f"IF({day} = {SAME_DAY}, IF({STEP} > 0, NULL, pmod({since.draw(2)}, 7L)), CAST({day} AS BIGINT))"
    week = number.decode_units(when.spec, when.codes, when.draw)
    moment = calendar.decode_moment(since.spec, since.codes, "__same", lambda i: since.draw(i + 1))
    return (
        events.withColumn("__date", F.expr(f"7L * ({week}) - {-calendar.monday(0)}L + {weekday}"))
        .withColumn("__before", F.max("__date").over(earlier))
        .withColumn("__same", F.expr("__before IS NOT NULL AND (__date IS NULL OR __date <= __before)"))
        .withColumn("__moment", F.expr(moment))
        .withColumn("__run", F.sum("__moment").over(so_far))
        .withColumn("__base", F.last(F.expr("IF(__same, NULL, __run - __moment)"), ignorenulls=True).over(so_far))
        .withColumn("__day", F.expr("IF(__same, __before, __date)"))
        .withColumn(
            TIME, F.expr(f"least(__day * {per_day}L + least(__run - __base, {per_day - 1}L), {sql.bigint(end)})")
        )
        .drop("__date", "__before", "__same", "__moment", "__run", "__base", "__day")
    )


def _counted_time(events: DataFrame, codebook: Codebook, since: Coded, *, end: int) -> DataFrame:
    """The start and the sum of gaps, never beyond the protected end."""
    assert codebook.time is not None, "there is a clock"
    span = max(0, end - int(codebook.time["low"]))
    units = number.decode_units(since.spec, since.codes, since.draw)
    gap = f"IF({STEP} = 0, 0L, least(greatest({units}, 0L), {span}L))"
    history = Window.partitionBy(KEY).orderBy(STEP).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    # a sum of many long gaps may leave the long's range before the protected end cuts it
    kind = "decimal(38,0)" if codebook.length.params["highs"][-1] * span >= LONG_LIMIT else "bigint"
    total = F.col(FIRST) + F.sum(F.expr(gap).cast(kind)).over(history)
    return events.withColumn(TIME, F.least(total, F.lit(end).cast(kind)).cast("bigint"))
