"""How few facts single out a subject, against a naive search."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories
from synth_spark.qa import uniqueness
from synth_spark.qa.pairs import layout_of
from synth_spark.qa.uniqueness import prefix_length, uniqueness_figures
from tests.with_spark.qa_data import histories, random_tables


def _of(spark: SparkSession, table: dict[str, list[str]]) -> Histories:
    rows = [(key, place, item) for key, items in table.items() for place, item in enumerate(items)]
    events = spark.createDataFrame(rows, f"{SUBJECT_KEY} string, {EVENT_INDEX} int, item string")
    return Histories(events.select(SUBJECT_KEY).distinct(), events)


def test_known_answers(spark: SparkSession) -> None:
    """Twins are never unique; one item of its own is enough; who has two of two shared ones is unique by both."""
    real = (
        _of(spark, {"twin": ["a", "b"], "own": ["a", "z"]}),
        _of(spark, {"other twin": ["b", "a"], "pair": ["c", "d"], "c alone": ["c"], "d alone": ["d", "d"]}),
    )
    found = uniqueness_figures(real, layout_of(real[0]), seed=1)
    # by one event: "own" if its z is picked; by two: "own" and "pair"; those with one item stay shared
    assert found["source_risk.events.k1"] in (0.0, pytest.approx(1 / 6))
    assert [found[f"source_risk.events.k{k}"] for k in (2, 3, 10)] == pytest.approx([2 / 6] * 3)


def test_like_a_naive_search(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [random_tables(seed, subjects=60, prefix=f"s{seed}-") for seed in (1, 2)]
    tables = [(people, events.assign(seen=events["seen"].dt.normalize())) for people, events in tables]
    real = tuple(histories(spark, *pair) for pair in tables)
    monkeypatch.setattr(uniqueness, "_FACTS_AT_ONCE", 7)
    layout = layout_of(real[0])
    picked: list[pd.DataFrame] = []
    shares = uniqueness.unique_shares
    monkeypatch.setattr(uniqueness, "unique_shares", lambda found: picked.append(found) or shares(found))
    found = uniqueness_figures(real, layout, seed=3)
    assert len(picked[0]) == sum(events[SUBJECT_KEY].nunique() for _, events in tables), "all are looked for"
    assert found["source_risk.subjects"] == len(picked[0]), "sample sizes are told"
    people = pd.concat([people for people, _ in tables])
    counts = people.groupby(["re`gion", "age"]).size()
    assert found["source_risk.attributes"] == pytest.approx((counts == 1).sum() / len(people))
    events = pd.concat([events for _, events in tables]).astype(object)
    columns = [name for name in events.columns if name != SUBJECT_KEY]
    rows = events[columns].apply(lambda row: tuple(None if pd.isna(v) else str(v) for v in row), axis=1)
    sets = rows.groupby(events[SUBJECT_KEY].to_numpy()).agg(set)
    alone = np.mean([not any(own <= other for key, other in sets.items() if key != mine) for mine, own in sets.items()])
    assert found["source_risk.events.k10"] == pytest.approx(alone), "by all events, where nobody has more than ten"
    assert all(found[f"source_risk.events.k{k}"] <= found[f"source_risk.events.k{k + 1}"] for k in range(1, 10))
    assert found["source_risk.coarse.k10"] <= found["source_risk.events.k10"]


def test_bits() -> None:
    assert [prefix_length(mask) for mask in (0b0, 0b1, 0b11, 0b101, 0b1111111111, 0b10)] == [0, 1, 2, 1, 10, 0]
