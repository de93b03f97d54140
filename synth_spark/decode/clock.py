"""The times of decoded events, from codes alone: non-decreasing and inside the protected range. [spark]

Works on one row per event: KEY, STEP (0-based), FIRST (the decoded start) and the elapsed field's codes.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook, FieldSpec
from synth_spark.codecs import calendar, number, sql
from synth_spark.codecs.calendar import SAME_DAY
from synth_spark.codecs.units import LONG_LIMIT

KEY, STEP, FIRST, TIME = "__key", "__step", "__first", "__time"

Draw = Callable[[int], str]


def start_sql(spec: FieldSpec, codes: list[str], draw: Draw) -> str:
    """BIGINT expression: where a history begins (a week, or a time of an integer clock), never null."""
    if spec.params["missing"] and spec.cardinalities[0] > 1:
        # the sampler may give events to a subject whose start says that it has none: it gets any start
        others = spec.cardinalities[0] - 1
        codes = [f"IF({codes[0]} = 0, CAST(1 + pmod({draw(9)}, {others}L) AS SMALLINT), {codes[0]})", *codes[1:]]
    earliest = min([*spec.params["atoms"], *spec.params["lows"]], default=0)
    return f"coalesce({number.decode_units(spec, codes, draw)}, {sql.bigint(earliest)})"


def with_time(events: DataFrame, codebook: Codebook, codes: list[str], draw: Draw) -> DataFrame:
    """The events with TIME, in units of the clock."""
    elapsed = codebook.elapsed
    assert elapsed is not None and codebook.time is not None, "there is a clock"
    if elapsed.family == "calendar":
        return _calendar_time(events, elapsed, codes, draw, end=int(codebook.time["end"]))
    return _counted_time(events, codebook, elapsed, codes, draw)


def _calendar_time(events: DataFrame, elapsed: FieldSpec, codes: list[str], draw: Draw, *, end: int) -> DataFrame:
    """Days follow one another by weekday and weeks, times within a day add up; see codecs/calendar.py.

    What would pass the protected end is cut to it.
    """
    per_day = int(elapsed.params["per_day"])
    history = Window.partitionBy(KEY).orderBy(STEP)
    earlier = history.rowsBetween(Window.unboundedPreceding, -1)
    so_far = history.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    day = codes[0]
    same = f"({STEP} > 0 AND {day} = {SAME_DAY})"
    # only a first event can lack the weekday that it needs
    weekday = f"IF({same}, NULL, CAST(IF({day} = {SAME_DAY}, pmod({draw(2)}, 7L), {day}) AS BIGINT))"
    weeks = calendar.decode_weeks(elapsed, codes, draw)
    moment = calendar.decode_moment(elapsed, codes, same, lambda i: draw(i + 1))
    onward = f"IF({STEP} = 0, __weekday, 7L * {weeks} + pmod(__weekday - __before - 1L, 7L) + 1L)"
    return (
        events.withColumn("__weekday", F.expr(weekday))
        .withColumn("__moment", F.expr(moment))
        .withColumn("__before", F.last("__weekday", ignorenulls=True).over(earlier))
        .withColumn("__days", F.expr(f"IF({same}, 0L, {onward})"))
        .withColumn("__date", F.expr(f"7L * {FIRST} - {-calendar.monday(0)}L") + F.sum("__days").over(so_far))
        .withColumn("__run", F.sum("__moment").over(so_far))
        .withColumn("__base", F.last(F.expr(f"IF({same}, NULL, __run - __moment)"), ignorenulls=True).over(so_far))
        .withColumn(
            TIME,
            F.expr(f"least(__date * {per_day}L + least(__run - __base, {per_day - 1}L), {sql.bigint(end)})"),
        )
        .drop("__weekday", "__moment", "__before", "__days", "__date", "__run", "__base")
    )


def _counted_time(events: DataFrame, codebook: Codebook, elapsed: FieldSpec, codes: list[str], draw: Draw) -> DataFrame:
    """The start and the sum of gaps, never beyond the protected end."""
    assert codebook.time is not None, "there is a clock"
    end, span = int(codebook.time["end"]), max(0, int(codebook.time["end"]) - int(codebook.time["low"]))
    gap = f"IF({STEP} = 0, 0L, least(greatest({number.decode_units(elapsed, codes, draw)}, 0L), {span}L))"
    history = Window.partitionBy(KEY).orderBy(STEP).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    # a sum of many long gaps may leave the long's range before the protected end cuts it
    kind = "decimal(38,0)" if codebook.length.params["highs"][-1] * span >= LONG_LIMIT else "bigint"
    total = F.col(FIRST) + F.sum(F.expr(gap).cast(kind)).over(history)
    return events.withColumn(TIME, F.least(total, F.lit(end).cast(kind)).cast("bigint"))
