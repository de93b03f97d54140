"""What is asked of histories and of flat data: the first part must not know the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories, with_event_index
from synth_spark.qa.layout import Layout, MetricColumn
from synth_spark.qa.outcomes import tasks_of
from synth_spark.qa.pairs import layout_of


def _clock(layout: Layout) -> MetricColumn:
    return next(column for column in layout.events if column.name == "at")


def _dated(spark: SparkSession, days: dict[str, list[int]]) -> Histories:
    rows = [(key, pd.Timestamp("2024-01-01") + pd.Timedelta(days=d), d) for key, found in days.items() for d in found]
    events = spark.createDataFrame(pd.DataFrame(rows), f"{SUBJECT_KEY} string, at timestamp, day int")
    return Histories(events.select(SUBJECT_KEY).distinct(), with_event_index(events, order_by="at", tie_break=None))


def test_who_comes_again_in_the_last_quarter(spark: SparkSession) -> None:
    """Days 0 to 100: the cut is day 75. Those who came only later are not asked about."""
    days = {"a": [0, 10], "b": [1, 75, 76], "c": [2, 100], "d": [3], "late": [80, 90]}
    sets = tuple(
        _dated(spark, {f"{key}{copy}": found for key, found in days.items() for copy in range(9)}) for _ in "123"
    )
    layout = layout_of(sets[0])
    (task,) = tasks_of(sets, layout, clock=_clock(layout), seed=1)
    day = next(column.id for column in layout.events if column.name == "day")
    for frame in (task.training, task.holdout, task.synthetic):
        assert len(frame) == 4 * 9
        assert (frame[f"last_{day}"] <= 75).all() and (frame["recency"] >= 0).all()
        asked = frame.groupby([f"first_{day}", "events"])[task.label].agg(["min", "max"])
        assert asked.loc[(0, 2.0)].tolist() == [0, 0] and asked.loc[(3, 1.0)].tolist() == [0, 0]
        assert asked.loc[(1, 2.0)].tolist() == [1, 1], "two events up to the cut, one after it"
        assert asked.loc[(2, 1.0)].tolist() == [1, 1]
        assert not {name for name in frame.columns if name.startswith(("here", "lag", "gap", "__out"))}


def test_where_all_come_again_the_question_is_how_often(spark: SparkSession) -> None:
    days = {f"k{n}": [0, 1 + n % 7, *range(76, 77 + n % 5), 100] for n in range(40)}
    sets = tuple(_dated(spark, days) for _ in "123")
    layout = layout_of(sets[0])
    (task,) = tasks_of(sets, layout, clock=_clock(layout), seed=1)
    assert task.training[task.label].mean() == 16 / 40, "those with more than three events after the cut"


def test_without_a_clock_the_second_half_is_asked(spark: SparkSession) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({SUBJECT_KEY: np.repeat([f"k{n}" for n in range(60)], 8), EVENT_INDEX: np.tile(range(8), 60)})
    table["kind"] = np.where(table[EVENT_INDEX] < 4, "first", rng.choice(list("abcdefgh"), len(table)))
    events = spark.createDataFrame(table, f"{SUBJECT_KEY} string, {EVENT_INDEX} int, kind string")
    sets = (Histories(events.select(SUBJECT_KEY).distinct(), events),) * 3
    layout = layout_of(sets[0])
    (task,) = tasks_of(sets, layout, clock=None, seed=1)
    kind = layout.events[0].id
    assert (task.training[f"last_{kind}"] == "first").all() and (task.training["events"] == 4).all()
    distinct = table[table[EVENT_INDEX] >= 4].groupby(SUBJECT_KEY)["kind"].nunique()
    assert task.training[task.label].sum() == (distinct > distinct.median()).sum()
    assert f"last_{kind}" in task.categories


def test_flat_data_are_asked_for_attributes_with_two_values(spark: SparkSession) -> None:
    table = pd.DataFrame({SUBJECT_KEY: list("abcdef"), "yes": [True, False] * 3, "kind": list("xyzxyz"), "n": range(6)})
    subjects = spark.createDataFrame(table, f"{SUBJECT_KEY} string, yes boolean, kind string, n int")
    empty = subjects.selectExpr(SUBJECT_KEY, f"0 as {EVENT_INDEX}").limit(0)
    sets = (Histories(subjects, empty),) * 3
    layout = layout_of(sets[0])
    (task,) = tasks_of(sets, layout, clock=None, seed=1)
    named = {column.name: column.id for column in layout.subjects}
    assert task.name == named["yes"] and task.categories == {named["kind"]}
    assert task.training[task.label].sum() == 3
    assert set(task.training.columns) == {named["kind"], named["n"], task.label}
