"""The clock through Spark: histories of times to codes and back, and codes that nobody's history had."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from synth_spark.codebook import Codebook, FieldSpec, SourceColumn, SourceTable
from synth_spark.codecs import calendar, length, number
from synth_spark.codecs.draws import Draws
from synth_spark.decode.clock import ClockDecoder, Steps
from synth_spark.encode.clock import Clock, end_of
from synth_spark.encode.histories import HistoryEncoder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY = 86_400_000_000
KINDS: list[tuple[str, dict[str, int]]] = [
    ("date", {}),
    ("timestamp", {"micros": 1_000_000}),
    ("timestamp", {"micros": 1}),
    ("timestamp_ntz", {"micros": 3_600_000_000}),
    ("timestamp", {"micros": DAY}),
    ("bigint", {}),
]
THRESHOLDS = dict.fromkeys(("start", "period", "elapsed", "times", "gaps"), 5)


def _histories(seed: int, subjects: int, per_day: int, spread: int) -> list[list[int]]:
    """Ascending times in units: ties, same-day gaps, gaps of days and of years, also before the epoch."""
    rng = random.Random(seed)
    found = []
    for _ in range(subjects):
        now = rng.randrange(-spread, spread) * per_day + rng.randrange(per_day)
        times = []
        for _ in range(rng.choice([0, 1, 2, 7])):
            times.append(now)
            now += rng.choice([0, 1, rng.randrange(per_day), rng.randrange(1, 9) * per_day, rng.randrange(spread)])
        found.append(times)
    return found


def _frames(spark: SparkSession, histories: list[list[int]]) -> tuple[DataFrame, DataFrame]:
    events = [(n, i, u) for n, h in enumerate(histories) for i, u in enumerate(h)]
    subjects = [(n, h[0] if h else None, h[-1] if h else None, len(h)) for n, h in enumerate(histories)]
    return (
        spark.createDataFrame(subjects, "n bigint, first bigint, last bigint, events int").coalesce(2).persist(),
        spark.createDataFrame(events, "n bigint, i int, u bigint")
        .repartition(2, "n")
        .sortWithinPartitions("n", "i")
        .persist(),
    )


def _fitted(subjects: DataFrame, events: DataFrame, clock: Clock, last: int) -> Codebook:
    from synth_spark.encode import statistics as st

    columns = [st.Measured(frame, text, THRESHOLDS[name]) for name, (frame, text) in clock.measures.items()]
    frames = {"subjects": subjects, "events": events, "clock": clock.timed(events)}
    counted = st.Tally(frames, columns, "bigint")
    found = st.summarize_numbers(counted, counted.facts())
    counted.release()
    start, period, elapsed = clock.fit(dict(zip(clock.measures, found, strict=True)), THRESHOLDS)
    column = SourceColumn("at", clock.type)
    time = {"type": clock.type, "unit": clock.unit, "low": clock.first_time(start), "end": last}
    lengths = length.fit([(7, 99)], 7, threshold=5)
    return Codebook(
        None,
        SourceTable((column,), "k", "at"),
        (start, end_of(period), lengths),
        (period, elapsed),
        {},
        {},
        seed=1,
        time=time,
    )


def _decoded(coded: pd.DataFrame, codebook: Codebook) -> list[Any]:
    """Rows with n, step, time, and u as it was; by n and step."""
    start, period, elapsed = _fields(codebook)
    rows = coded.sort_values(["n", "step"], ignore_index=True)
    first = rows[rows["step"] == 0]
    steps, clock = Steps.of(rows.groupby("n").size().to_numpy()), ClockDecoder(codebook)
    assert list(steps.step) == list(rows["step"])
    of_start = [first[f"s{i}"].to_numpy().astype(np.intp) for i in range(len(start.cardinalities))]
    starts = clock.starts(of_start, Draws(1, first["n"].to_numpy()).of(0))
    number = len(period.cardinalities) + len(elapsed.cardinalities)
    codes = [rows[f"c{i}"].to_numpy().astype(np.intp) for i in range(number)]
    draws = Draws(2, rows["n"].to_numpy(), rows["step"].to_numpy())
    times = clock.times(starts, steps, codes, draws.of(0), draws.of(1))
    return list(rows.assign(time=times)[["n", "step", "time", "u"]].to_dict(orient="records"))


def _fields(codebook: Codebook) -> tuple[FieldSpec, FieldSpec, FieldSpec]:
    start, period, elapsed = codebook.start, codebook.period, codebook.elapsed
    assert start is not None and period is not None and elapsed is not None
    return start, period, elapsed


def _coded(histories: list[list[int]], codebook: Codebook) -> pd.DataFrame:
    """n, u, step and the codes of the start (s0, ...), the period and the elapsed field (c0, ...)."""
    happened = [(n, i, u) for n, history in enumerate(histories) for i, u in enumerate(history)]
    rows = pd.DataFrame(happened, columns=["n", "step", "u"], dtype=np.int64)
    batch = pa.RecordBatch.from_pandas(rows[["n", "u"]], preserve_index=False)
    width, told = len(codebook.event_cardinalities), [*HistoryEncoder(codebook)([batch])]
    codes = np.array([code for part in told for own in part["events"].to_pylist() for code in own]).reshape(-1, width)
    plans = {n: own for part in told for n, own in zip(part["n"].to_pylist(), part["plan"].to_pylist(), strict=True)}
    for i in range(width):
        rows[f"c{i}"] = codes[:, i]
    for i in range(len(_fields(codebook)[0].cardinalities)):
        rows[f"s{i}"] = [plans[n][i] for n in rows["n"]]
    _check_rules(rows, codebook)
    return rows


def _check_rules(rows: pd.DataFrame, codebook: Codebook) -> None:
    """First events are where the model is told that they can be, no day is before the first or after the last one."""
    start, period, elapsed = _fields(codebook)
    slices, lows, highs = number.codes_beside(start, period)
    first = rows[rows["step"] == 0]
    place = first["s0"] * slices + (first["s1"] if slices > 1 else 0)
    assert (np.take(lows, place) <= first["c0"]).all() and (first["c0"] <= np.take(highs, place)).all()
    if elapsed.family == "calendar" and calendar.is_exact(period) and len(period.cardinalities) == 1:
        assert codebook.time is not None
        first_day, last_day = (calendar.coded_day(period, elapsed, codebook.time[name]) for name in ("low", "end"))
        days = rows[rows["c1"] != calendar.SAME_DAY]
        assert first_day is None or (days["c1"][days["c0"] == first_day[0]] >= first_day[1]).all()
        assert last_day is None or (days["c1"][days["c0"] == last_day[0]] <= last_day[1]).all()


def _is_exact(codebook: Codebook) -> bool:
    """Whether every time has codes of its own."""
    start, period, elapsed = _fields(codebook)
    params = elapsed.params
    held = [params[part]["params"] for part in ("times", "gaps") if part in params]
    if elapsed.family != "calendar":
        held = [start.params, elapsed.params]
    singles = all(high - low == 1 for part in held for low, high in zip(part["lows"], part["highs"], strict=True))
    return singles and (elapsed.family != "calendar" or calendar.is_exact(period))


@pytest.mark.parametrize(
    ("kind", "unit", "subjects", "spread"),
    [("date", {}, 3, 40), *((*clock, 400, 30) for clock in KINDS), *((*clock, 300, 9000) for clock in KINDS[:2])],
)
@settings(
    max_examples=1,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=some.integers(0, 10**6))
def test_times_come_back_in_order_and_inside(
    small: SparkSession, kind: str, unit: dict[str, int], subjects: int, spread: int, seed: int
) -> None:
    clock = Clock(kind, unit)
    per_day = clock.per_day if clock.is_calendar else 1
    histories = _histories(seed, subjects, per_day, spread)
    last = max((h[-1] for h in histories if h), default=0)
    subject_rows, event_rows = _frames(small, histories)
    codebook = _fitted(subject_rows, event_rows, clock, last)
    assert all(1 <= c <= 256 for spec in _fields(codebook) for c in spec.cardinalities)
    rows = _decoded(_coded(histories, codebook), codebook)
    assert len(rows) == sum(len(h) for h in histories)
    _check_order(rows, last)
    if clock.is_calendar and calendar.is_exact(_fields(codebook)[1]):
        inside = {week for low, high in _bins(_fields(codebook)[1].params) for week in range(low, high)}
        for row in rows:
            date = row["u"] // per_day
            assert row["time"] // per_day == date or (date + 3) // 7 not in inside, "the day comes back"
    kept = {row["n"] for row in rows if row["time"] == last}
    if _is_exact(codebook) and not any(_clipped(histories, clock, codebook)):
        assert all(row["time"] == row["u"] for row in rows if row["n"] not in kept)
    for frame in (subject_rows, event_rows):
        frame.unpersist()


@pytest.mark.parametrize(("kind", "unit"), KINDS)
def test_times_that_many_share_come_back_exactly(small: SparkSession, kind: str, unit: dict[str, int]) -> None:
    clock = Clock(kind, unit)
    per_day = clock.per_day if clock.is_calendar else 1
    hours = [0, per_day // 3, per_day // 2]
    gaps = [0, per_day, 3 * per_day, 7 * per_day, 1000 * per_day]
    histories = []
    for day, one, two, _ in itertools.product(range(-3, 9), gaps, gaps, range(5)):
        first = day * per_day + hours[len(histories) % 3]
        times = [first, first + one, first + one + two]
        histories.append([*times, times[-1] + min(1, per_day - 1)])
    last = max(history[-1] for history in histories)
    subject_rows, event_rows = _frames(small, histories)
    codebook = _fitted(subject_rows, event_rows, clock, last)
    assert _is_exact(codebook)
    assert not any(_clipped(histories, clock, codebook))
    rows = _decoded(_coded(histories, codebook), codebook)
    assert [row["time"] for row in rows] == [row["u"] for row in rows] and len(rows) == sum(map(len, histories))
    if clock.is_calendar:
        assert codebook.time is not None
        end = 8 * per_day + per_day - 1
        sooner = replace(codebook, time={**codebook.time, "end": end})
        rows = _decoded(_coded(histories, sooner), sooner)
        assert [row["time"] // per_day for row in rows] == [min(row["u"], end) // per_day for row in rows]
        assert any(row["u"] > end for row in rows)
        low = 3 * per_day
        later = replace(codebook, time={**codebook.time, "low": low})
        rows = _decoded(_coded(histories, later), later)
        assert [row["time"] // per_day for row in rows] == [max(row["u"], low) // per_day for row in rows]
        assert any(row["u"] < low for row in rows)


@pytest.mark.parametrize(("kind", "unit"), KINDS)
def test_codes_that_no_history_had_still_give_times_in_order(
    small: SparkSession, kind: str, unit: dict[str, int]
) -> None:
    clock = Clock(kind, unit)
    histories = _histories(7, 200, clock.per_day if clock.is_calendar else 1, 300)
    last = max(h[-1] for h in histories if h)
    subjects, events = _frames(small, histories)
    codebook = _fitted(subjects, events, clock, last)
    start, period, elapsed = _fields(codebook)
    cardinalities = (*period.cardinalities, *elapsed.cardinalities)
    made = [
        (n, 0, step, *_codes(n * 10 + step, cardinalities), *_codes(-n, start.cardinalities))
        for n in range(300)
        for step in range(n % 9)
    ]
    names = [f"c{i}" for i in range(len(cardinalities))] + [f"s{i}" for i in range(len(start.cardinalities))]
    rows = _decoded(pd.DataFrame(made, columns=["n", "u", "step", *names]), codebook)
    assert len(rows) == len(made)
    _check_order(rows, last)
    assert len({row["time"] for row in rows}) > 20, "codes say something"


def _codes(seed: int, cardinalities: tuple[int, ...]) -> tuple[int, ...]:
    rng = random.Random(seed)
    return tuple(rng.randrange(k) for k in cardinalities)


def _check_order(rows: list[Any], last: int) -> None:
    before: dict[int, int] = {}
    for row in rows:
        assert row["time"] is not None and row["time"] <= last
        assert row["step"] == 0 or row["time"] >= before[row["n"]]
        before[row["n"]] = row["time"]


def _bins(params: dict[str, Any]) -> list[tuple[int, int]]:
    return [*zip(params["lows"], params["highs"], strict=True), *((unit, unit + 1) for unit in params["atoms"])]


def _clipped(histories: list[list[int]], clock: Clock, codebook: Codebook) -> Iterator[bool]:
    """Per event, whether something of it lies outside what is kept."""
    start, period, elapsed = _fields(codebook)

    def outside(value: int, params: dict[str, Any]) -> bool:
        return not any(low <= value < high for low, high in _bins(params))

    for history in histories:
        for before, now in zip([None, *history], history, strict=False):
            if not clock.is_calendar:
                yield outside(now, start.params) if before is None else outside(now - before, elapsed.params)
                continue
            date, earlier = now // clock.per_day, None if before is None else before // clock.per_day
            yield outside((date + 3) // 7, period.params)
            if clock.per_day > 1:
                part = "gaps" if earlier == date else "times"
                value = now - before if before is not None and earlier == date else now % clock.per_day
                yield outside(value, elapsed.params[part]["params"])
