"""Rules that are planted are found, are followed as often as pandas counts, and nothing else is a rule."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories, histories_of
from synth_spark.qa import rules
from synth_spark.qa.pairs import layout_of
from synth_spark.qa.rules import find_rules, rule_figures
from synth_spark.qa_result import Rule

EVENTS = f"{SUBJECT_KEY} string, {EVENT_INDEX} int, shop string, `to wn` string, low double, high double, state string"
TOWNS = {f"SECRETshop{n}": f"SECRETtown{n // 2}" for n in range(6)}
FORBIDDEN = {("a", "c"), ("b", "a"), ("c", "b")}


def _table(seed: int, subjects: int = 250, events: int = 5) -> pd.DataFrame:
    """A shop lies in one town, low never exceeds high, and states go round; nothing else hangs together."""
    rng = np.random.default_rng(seed)
    size = subjects * events
    shop = rng.choice(list(TOWNS), size)
    low = np.round(rng.gamma(2.0, 10.0, size), 2)
    turns = (rng.random((subjects, events)) < 0.5).cumsum(axis=1) + rng.integers(0, 3, (subjects, 1))
    table = pd.DataFrame(
        {
            SUBJECT_KEY: np.repeat([f"s{seed}-{n}" for n in range(subjects)], events),
            EVENT_INDEX: np.tile(np.arange(events), subjects),
            "shop": shop,
            "to wn": [TOWNS[name] for name in shop],
            "low": low,
            "high": low + np.round(rng.gamma(1.0, 5.0, size), 2),
            "state": np.array(list("abc"))[turns.ravel() % 3],
        }
    )
    for name in ("shop", "to wn", "low", "high", "state"):
        table[name] = table[name].astype(object).where(rng.random(size) > 0.05, None)
    return table


def _broken(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Another town in some rows, low and high swapped in others, a state anew in others."""
    rng = np.random.default_rng(seed)
    table = table.copy()
    table.loc[rng.choice(len(table), 100, replace=False), "to wn"] = "a town that training has not"
    table.loc[rng.choice(len(table), 50, replace=False), "shop"] = "a shop that training has not"
    swapped = rng.choice(len(table), 80, replace=False)
    table.loc[swapped, ["low", "high"]] = table.loc[swapped, ["high", "low"]].to_numpy()
    table.loc[rng.choice(len(table), 200, replace=False), "state"] = "b"
    return table


def _histories(spark: SparkSession, table: pd.DataFrame, schema: str = EVENTS, partitions: int = 2) -> Histories:
    events = spark.createDataFrame(table.astype(object).where(table.notna(), None), schema).repartition(partitions)
    events = events.persist()
    return Histories(events.select(SUBJECT_KEY).distinct(), events)


def _rules(spark: SparkSession, *tables: pd.DataFrame, schema: str = EVENTS, partitions: int = 2) -> tuple[Rule, ...]:
    sets = tuple(_histories(spark, table, schema, partitions) for table in tables)
    return find_rules(sets, layout_of(sets[0]), seed=3)


def _shares(table: pd.DataFrame) -> list[float]:
    """How often the three rules are followed, by hand."""
    towns = table[table["shop"].isin(list(TOWNS)) & table["to wn"].notna()]
    numbers = table[["low", "high"]].dropna()
    before = table.groupby(SUBJECT_KEY)["state"].shift()
    known = before.notna() & table["state"].notna()
    steps = [pair not in FORBIDDEN for pair in zip(before[known], table["state"][known], strict=True)]
    return [
        float((towns["shop"].map(TOWNS) == towns["to wn"]).mean()),
        float((numbers["low"] <= numbers["high"]).mean()),
        float(np.mean(steps)),
    ]


def test_planted_rules_are_found_and_nothing_else(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    training, holdout = _table(1), _table(2)
    holdout.loc[:20, "to wn"] = "SECRETtown0"
    synthetic = _broken(_table(3), 4)
    found = _rules(spark, training, holdout, synthetic)
    assert [(rule.kind, rule.columns) for rule in found] == [
        ("dependencies", ("tgt::shop", "tgt::to wn")),
        ("orderings", ("tgt::low", "tgt::high")),
        ("transitions", ("tgt::state",)),
    ]
    assert [rule.training for rule in found] == [1.0, 1.0, 1.0]
    assert [rule.holdout for rule in found] == pytest.approx(_shares(holdout), abs=1e-6)
    assert [rule.synthetic for rule in found] == pytest.approx(_shares(synthetic), abs=1e-6)
    assert 0.8 < min(_shares(synthetic)) and max(_shares(synthetic)) < 0.97
    assert found[0].support == int((training["shop"].notna() & training["to wn"].notna()).sum())
    figures = rule_figures(found)
    assert figures["rules.dependencies"] == found[0].synthetic and figures["rules.dependencies.count"] == 1.0
    assert figures["rules.transitions.control"] == 1.0
    assert "SECRET" not in json.dumps([asdict(rule) for rule in found])
    plans: list[str] = []
    count = rules.count_cells

    def noted(rows: DataFrame, *given: Any, **named: Any) -> Any:
        plans.append(rows._jdf.queryExecution().toString())
        return count(rows, *given, **named)

    monkeypatch.setattr(rules, "count_cells", noted)
    assert _rules(spark, training, holdout, synthetic, partitions=5) == found
    assert len(plans) == 1 and "SECRET" not in plans[0]


def test_columns_that_have_nothing_to_do_with_each_other_give_no_rule(spark: SparkSession) -> None:
    rng = np.random.default_rng(5)
    columns = ("shop", "to wn", "low", "high", "state")
    shuffled = _table(1)
    for name in columns:
        shuffled[name] = rng.permutation(shuffled[name].to_numpy())
    assert _rules(spark, shuffled, shuffled, shuffled) == ()


def test_what_few_subjects_do_is_no_rule(spark: SparkSession) -> None:
    """Two subjects with long histories, who alone have a shop each, a town each, both numbers and their own steps."""
    rng = np.random.default_rng(6)
    keys = np.repeat(["one", "two"], 300)
    places = np.tile(np.arange(300), 2)
    lone = pd.DataFrame({SUBJECT_KEY: keys, EVENT_INDEX: places, "shop": keys, "to wn": keys, "low": places % 7.0})
    lone["high"], lone["state"] = lone["low"] + rng.integers(0, 3, 600), np.where(places % 2, keys, "x")
    many = _table(1, subjects=60, events=2).assign(low=np.nan)
    many["shop"], many["to wn"] = "common", rng.choice(["p", "q"], len(many))
    many["state"] = rng.choice(["u", "v"], len(many))
    table = pd.concat([lone, many], ignore_index=True)
    assert _rules(spark, table, table, table) == ()


def test_a_dependency_without_known_rows_elsewhere_has_no_share(spark: SparkSession) -> None:
    foreign = _table(2).assign(shop="elsewhere", low=None, state=None)
    found = _rules(spark, _table(1), foreign.head(0), foreign)
    assert [(rule.holdout, rule.synthetic) for rule in found] == [(None, None)] * 3
    assert rule_figures(found) == {f"rules.{kind}.count": 1.0 for kind in ("dependencies", "orderings", "transitions")}


def test_flat_rows_and_attributes_follow_rules_too(spark: SparkSession) -> None:
    rng = np.random.default_rng(7)
    born = rng.integers(1950, 2000, 600)
    frame = pd.DataFrame({"born": born, "joined": born + rng.integers(0, 40, 600), "code": rng.integers(0, 9, 600)})
    frame["group"] = np.where(frame["code"] < 4, "SECRETlow", "SECREThigh")
    data = histories_of(spark.createDataFrame(frame), None, key=None, settings=None)
    found = find_rules((data, data, data), layout_of(data), seed=1)
    assert [(rule.kind, rule.columns) for rule in found] == [
        ("dependencies", ("tgt::code", "tgt::group")),
        ("orderings", ("tgt::born", "tgt::joined")),
    ]
    people = spark.createDataFrame(frame.assign(**{SUBJECT_KEY: [f"k{n}" for n in range(600)]}))
    events = _histories(spark, _table(1)).events
    with_events = Histories(people, events)
    found = find_rules((with_events,) * 3, layout_of(with_events), seed=1)
    assert {rule.columns for rule in found if rule.columns[0].startswith("ctx")} == {
        ("ctx::code", "ctx::group"),
        ("ctx::born", "ctx::joined"),
    }
    assert len(found) == 5 and all(rule.synthetic == 1.0 for rule in found)
