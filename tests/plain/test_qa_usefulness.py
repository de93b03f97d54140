"""Train on synthetic, test on real: on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from synth_spark.qa.discriminator import discriminator_figures, telling_columns
from synth_spark.qa.usefulness import Task, models, usefulness_figures
from synth_spark.rates import area


def rows(seed: int, count: int = 600, *, dependent: bool = True) -> pd.DataFrame:
    """A label that a number and a category tell, with missing values and categories that occur once."""
    rng = np.random.default_rng(seed)
    number, kind = rng.normal(size=count), rng.choice(list("abc"), count)
    signal = number + 2.0 * (kind == "a") if dependent else rng.normal(size=count)
    label = (signal + 0.3 * rng.normal(size=count) > 0.6).astype(int)
    kind = np.where(rng.random(count) < 0.02, [f"rare{seed}-{n}" for n in range(count)], kind)
    found = pd.DataFrame({"number": number, "kind": pd.Series(kind, dtype=object), "label": label})
    found.loc[rng.random(count) < 0.1, "number"] = np.nan
    found.loc[rng.random(count) < 0.1, "kind"] = None
    return found


def task(synthetic: pd.DataFrame) -> Task:
    return Task("one", rows(1), rows(2), synthetic, "label", frozenset({"kind"}))


def test_good_synthetic_rows_are_as_useful_as_real_ones() -> None:
    found = usefulness_figures([task(rows(3))], seed=1)
    assert found["usefulness.real"] > 0.85
    assert (found["usefulness.rows"], found["usefulness.holdout_rows"]) == (600, 600)
    assert found["usefulness.difference"] == pytest.approx(0.0, abs=0.03)
    assert found["usefulness.difference.low"] < found["usefulness.difference"] < found["usefulness.difference.high"]
    assert {name for name in models(1) if f"usefulness.{name}.synthetic" in found} == set(models(1))
    assert found == usefulness_figures([task(rows(3))], seed=1)


def test_rows_without_relations_teach_nothing() -> None:
    found = usefulness_figures([task(rows(3, dependent=False))], seed=1)
    assert found["usefulness.synthetic"] == pytest.approx(0.5, abs=0.12)
    assert found["usefulness.difference.high"] < -0.2


def test_both_sides_learn_from_as_many_rows() -> None:
    few = task(rows(3, count=120))
    expected = Task("few", few.training.head(120), few.holdout, few.synthetic, "label", few.categories)
    assert usefulness_figures([few], seed=1) == usefulness_figures([expected], seed=1)


@pytest.mark.parametrize("label", [0, 1])
def test_a_question_without_an_answer_gives_no_figures(label: int) -> None:
    assert usefulness_figures([task(rows(3).assign(label=label))], seed=1) == {}
    assert usefulness_figures([task(rows(3, count=60))], seed=1) == {}
    assert usefulness_figures([], seed=1) == {}


@pytest.mark.parametrize("kept", [[], ["number"], ["kind"]])
def test_columns_that_never_vary_teach_nothing(kept: list[str]) -> None:
    sets = [rows(seed).assign(number=1.0, kind="a")[[*kept, "label"]] for seed in (1, 2, 3)]
    assert usefulness_figures([Task("one", *sets, "label", frozenset(set(kept) & {"kind"}))], seed=1) == {}


def test_a_class_that_the_learned_rows_lack_teaches_nothing() -> None:
    late = rows(1, count=600).sort_values("label", ignore_index=True)
    few = rows(3, count=120)
    assert usefulness_figures([Task("one", late, rows(2), few, "label", frozenset({"kind"}))], seed=1) == {}


def test_area_is_the_known_one_with_ties() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 2, 300), rng.integers(0, 9, 300) / 9
    assert area(truth, scores) == pytest.approx(roc_auc_score(truth, scores))
    assert np.isnan(area(np.ones(5), np.arange(5)))


def test_the_column_that_gives_away_is_named() -> None:
    rng = np.random.default_rng(0)
    real = pd.DataFrame({"a": rng.normal(size=900), "kind": rng.choice(["x", "y"], 900), "c": rng.normal(size=900)})
    moved = real.sample(frac=1.0, random_state=1).assign(kind=rng.choice(["x", "y"], 900, p=[0.1, 0.9]))
    found = telling_columns(real, moved, categories=["kind"], seed=3)
    assert found[0][0] == "kind" and found[0][1] > 0.1
    assert all(lost < 0.05 for name, lost in found[1:])


def test_rows_that_only_synthetic_data_miss_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    training, holdout, synthetic = (pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300)}) for _ in "123")
    synthetic.loc[rng.random(300) < 0.5, "a"] = np.nan
    found = discriminator_figures("auc", [training, holdout, synthetic], [], seed=1)
    assert found["auc"] > 0.7 > 0.6 > found["auc.control"]
