"""Traits of histories, against naive counts and on data whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories, with_event_index
from synth_spark.qa.behaviour import FAMILIES, measure_behaviour, persistence, plan_traits, traits_of_sets
from synth_spark.qa.layout import SET, Layout, MetricColumn
from synth_spark.qa.pairs import layout_of
from tests.with_spark.qa_data import histories, random_tables


def _clock(layout: Layout, name: str) -> MetricColumn:
    return next(column for column in layout.events if column.name == name)


def _id(layout: Layout, name: str) -> str:
    return next(column.id for column in layout.all if column.name == name)


def test_traits_are_what_pandas_finds(spark: SparkSession) -> None:
    tables = [random_tables(seed, subjects=80, prefix=f"s{seed}-") for seed in (1, 2, 3)]
    sets = tuple(histories(spark, *pair) for pair in tables)
    layout = layout_of(sets[0])
    clock = _clock(layout, "at")
    plan = plan_traits(layout, clock)
    found = traits_of_sets(sets, layout, plan, clock=clock, seed=7).toPandas()
    real_end = max(pd.to_datetime(events["at"]).max() for _, events in tables[:2])
    amount, kind = _id(layout, "am.ount"), _id(layout, "ki nd")
    for number, (_, events) in enumerate(tables):
        events = events.assign(at=pd.to_datetime(events["at"]))
        by_subject = events.groupby(SUBJECT_KEY)
        days = by_subject["at"].agg(["min", "max", "size"])
        expected = {
            "events": days["size"],
            "span": (days["max"] - days["min"]).dt.days,
            "recency": (real_end - days["max"]).dt.days,
            f"distinct_{kind}": by_subject["ki nd"].nunique(),
            f"sum_{amount}": by_subject["am.ount"].sum(min_count=1),
            f"mean_{amount}": by_subject["am.ount"].mean(),
        }
        part = found[found[SET] == number]
        for trait, values in expected.items():
            assert np.allclose(np.sort(part[trait]), np.sort(values.astype(float)), equal_nan=True), trait


def test_what_is_read_around_an_event_belongs_together(spark: SparkSession) -> None:
    # one event a day from a Monday on, each with its number: all that is read must agree with the picked one
    rows = [
        (f"k{s}", pd.Timestamp("2024-01-01") + pd.Timedelta(days=d), d) for s in range(40) for d in range(s % 12 + 1)
    ]
    events = pd.DataFrame(rows, columns=[SUBJECT_KEY, "at", "number"])
    sets = tuple(_numbered(spark, events) for _ in range(3))
    layout = layout_of(sets[0])
    plan = plan_traits(layout, _clock(layout, "at"))
    found = traits_of_sets(sets, layout, plan, clock=_clock(layout, "at"), seed=1).toPandas()
    number = _id(layout, "number")
    here, length = found[f"here_{number}"], found["events"]
    assert (here <= np.maximum(length - 2, 0)).all() and here.nunique() > 5
    for lag in (1, 2, 4, 8):
        assert (found[f"lag{lag}_{number}"].dropna() == (here + lag)[here + lag < length]).all()
        assert found[f"lag{lag}_{number}"].isna().equals(here + lag >= length)
    assert (found["weekday"] == here % 7).all() and (found["hour"] == 0).all()
    assert (found["age"] == here).all() and (found["gap"].dropna() == 1).all()
    assert (found[f"last_{number}"] == length - 1).all()
    assert found["first_gap"].isna().equals(length == 1)


def _numbered(spark: SparkSession, events: pd.DataFrame) -> Histories:
    rows = spark.createDataFrame(events, f"{SUBJECT_KEY} string, at timestamp, number int")
    return Histories(rows.select(SUBJECT_KEY).distinct(), with_event_index(rows, order_by="at", tie_break=None))


def test_equal_histories_reach_one_and_shuffled_ones_lose_their_lags(spark: SparkSession) -> None:
    rng = np.random.default_rng(3)
    keys = np.repeat([f"k{n}" for n in range(200)], 10)
    steady = pd.DataFrame({SUBJECT_KEY: keys, EVENT_INDEX: np.tile(np.arange(10), 200)})
    steady["kind"] = np.repeat(rng.choice(list("abcd"), 200), 10)
    shuffled = steady.assign(kind=rng.permutation(steady["kind"]))
    made = [_indexed(spark, table) for table in (steady, steady, shuffled)]
    layout = layout_of(made[0])
    plan = plan_traits(layout, None)
    same, other = (
        measure_behaviour(traits_of_sets((*made[:2], third), layout, plan, clock=None, seed=1), plan, layout)
        for third in (made[0], made[2])
    )
    families = {item.family for item in same.items}
    assert families == set(FAMILIES) - {"rhythm", "gaps", "cohorts", "dependence"}, "no clock and no attributes"
    assert same.figures["behaviour.overall"] == 1.0
    assert same.figures["persistence.lag4"] == 0.0
    assert other.figures["behaviour.lags"] < 0.6 < 0.9 < other.figures["behaviour.boundaries"]
    assert other.figures["persistence.lag4"] == pytest.approx(0.75, abs=0.1)
    assert other.figures["persistence.lag4.control"] == 0.0


def _indexed(spark: SparkSession, table: pd.DataFrame) -> Histories:
    events = spark.createDataFrame(table, f"{SUBJECT_KEY} string, {EVENT_INDEX} int, kind string")
    return Histories(events.select(SUBJECT_KEY).distinct(), events)


def test_persistence_by_hand() -> None:
    counts = np.array([[3, 1, 9], [0, 4, 9], [9, 9, 9]])  # the last code is missing and does not count
    assert persistence(counts, ordered=False) == pytest.approx(7 / 8)
    assert persistence(counts, ordered=True) == pytest.approx(
        np.corrcoef([0] * 4 + [1] * 4, [0, 0, 0, 1, 1, 1, 1, 1])[0, 1]
    )
    assert math.isnan(persistence(np.zeros((3, 3)), ordered=True))
