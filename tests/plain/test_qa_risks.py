"""Attacks on records whose answer is known: released people are found, strangers are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_spark.qa.halves import found_at
from synth_spark.qa.records import Records, nearest, records_of
from synth_spark.qa.risks import meeting, risk_figures
from tests.plain.qa_example import people

KINDS = ("singling_out_univariate", "singling_out", "linkability", "inference")


def figures(released: pd.DataFrame) -> dict[str, float]:
    records = records_of([people(1), people(2), released], ["town"], seed=0)
    return risk_figures(*records, seed=0)


def test_released_training_subjects_are_at_every_risk() -> None:
    found = figures(people(1))
    for kind in KINDS:
        assert found[f"risk.{kind}.low"] > 0.3, kind
        assert found[f"risk.{kind}.main"] > found[f"risk.{kind}.control"]
    assert found["attribute_disclosure.synthetic.low"] > 0.05
    assert found["attribute_disclosure.real.low"] > 0.0


def test_strangers_put_nobody_at_risk() -> None:
    found = figures(people(3))
    for kind in KINDS:
        assert found[f"risk.{kind}.low"] < 0.05, kind
    assert found["attribute_disclosure.synthetic.low"] < 0.02
    assert found["attribute_disclosure.real.low"] > 0.0  # on real data the own record tells all the same


def test_too_few_subjects_or_columns_give_no_figures() -> None:
    short = [people(seed, 30) for seed in (1, 2, 3)]
    assert risk_figures(*records_of(short, ["town"], seed=0), seed=0) == {}
    narrow = [people(seed)[["n0", "town"]] for seed in (1, 2, 3)]
    assert risk_figures(*records_of(narrow, ["town"], seed=0), seed=0) == {}


def test_records_are_ranks_among_real_values_and_codes() -> None:
    frames = [
        pd.DataFrame({"n": [1.0, 2.0, None], "c": ["a", None, "b"], "same": [1, 1, 1]}),
        pd.DataFrame({"n": [3.0, 4.0, 4.0], "c": ["a", "a", "a"], "same": [1, 1, 1]}),
        pd.DataFrame({"n": [2.5, 9.0, None], "c": ["z", None, "a"], "same": [1, 2, 3]}),
    ]
    training, _, synthetic = records_of(frames, ["c"], seed=0)
    assert training.values.shape == (3, 2)  # a column of one real value tells nothing
    number = int(np.flatnonzero(~training.categorical)[0])
    assert synthetic.values[:, number] == pytest.approx([2 / 5, 1.0, -1.0])
    name = 1 - number
    assert training.values[0, name] == synthetic.values[2, name] != training.values[1, name]
    assert training.values[1, name] == synthetic.values[1, name]  # missing is a value


def test_the_nearest_by_hand() -> None:
    categorical = np.array([False, True])
    references = Records(np.array([[0.0, 1.0], [0.5, 1.0], [0.5, 2.0], [0.6, 2.0]]), categorical)
    queries = Records(np.array([[0.5, 2.0], [0.1, 1.0]]), categorical)
    assert nearest(queries, references, 2).tolist() == [[2, 3], [0, 1]]
    assert meeting(np.array([[1, 2], [3, 4]]), np.array([[2, 9], [5, 6]])) == 0.5


def test_the_same_question_twice_is_one_attack() -> None:
    """Of three columns and few subjects not many conjunctions single anybody out: each counts once."""
    frames = [people(seed, 120)[["n0", "n1", "n2"]] for seed in (1, 2, 3)]
    found = risk_figures(*records_of(frames, [], seed=0), seed=0)
    assert 0 < found["risk.singling_out.attacks"] < 100


def test_parts_that_look_alike_are_found_by_chance_alone() -> None:
    alike = np.ones((50, 50))
    assert found_at(alike, 1).mean() == pytest.approx(1 / 50)
    assert found_at(alike, 100).mean() == 1.0
    assert found_at(np.eye(50), 1).mean() == 1.0
