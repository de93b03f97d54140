"""Do models that learn from synthetic subjects do well on real ones? [plain]

Train on synthetic, test on real holdout, beside the same models trained on as many real subjects. All that a model
needs besides (categories, scales) is fitted on what it trains on, as a user of the synthetic data would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from synth_spark.rates import area

LEAST_SHARE = 0.05  # of either class among training subjects; below, there is nothing to predict
LEAST_SUBJECTS = 100  # of each set
_RESAMPLES = 200
_MAX_CATEGORIES = 20


@dataclass(frozen=True)
class Task:
    """A question about subjects: features and what became of them (label, 0 or 1), for each of the three sets."""

    name: str
    training: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    label: str
    categories: frozenset[str]


def models(seed: int) -> dict[str, ClassifierMixin]:
    """Standard models of different kinds, by name, none tuned to the data."""
    return {
        "logistic_regression": LogisticRegression(max_iter=500),
        "naive_bayes": GaussianNB(),
        "nearest_neighbours": KNeighborsClassifier(50),
        "random_forest": RandomForestClassifier(100, min_samples_leaf=5, random_state=seed),
        "gradient_boosting": HistGradientBoostingClassifier(max_iter=100, min_samples_leaf=20, random_state=seed),
    }


def usefulness_figures(tasks: Sequence[Task], *, seed: int) -> dict[str, float]:
    """usefulness.*, means over tasks: AUC on holdout subjects by model, and what they have in common.

    usefulness.<model>.real, .synthetic: by what the model was trained on. usefulness.real, .synthetic: of the best
    model by real training. usefulness.difference: synthetic minus real of that model, with .low and .high, a 95 %
    interval from resampled holdout subjects. usefulness.rank_correlation: Spearman's, over models. usefulness.rows,
    .holdout_rows: subjects that a model learns from, and that it is judged on.
    """
    found = [_figures_of(task, seed=seed) for task in tasks if _is_answerable(task)]
    return {name: float(np.mean([figures[name] for figures in found])) for name in found[0]} if found else {}


def _is_answerable(task: Task) -> bool:
    """Whether there is enough to learn from, in the rows that models are fitted on, and to judge by."""
    if min(len(rows) for rows in (task.training, task.holdout, task.synthetic)) < LEAST_SUBJECTS:
        return False
    learned = [rows.head(_size(task)) for rows in (task.training, task.synthetic)]
    shares = [float(rows[task.label].mean()) for rows in (task.training, task.holdout, *learned)]
    tells = all((rows.drop(columns=task.label).nunique(dropna=False) > 1).any() for rows in learned)
    return tells and LEAST_SHARE <= shares[0] <= 1 - LEAST_SHARE and all(0 < share < 1 for share in shares)


def _size(task: Task) -> int:
    """Subjects that each model learns from."""
    return min(len(task.training), len(task.synthetic))


def _figures_of(task: Task, *, seed: int) -> dict[str, float]:
    size = _size(task)
    truth = task.holdout[task.label].to_numpy()
    scores = {
        kind: {name: _scores(task, rows.head(size), model) for name, model in models(seed).items()}
        for kind, rows in (("real", task.training), ("synthetic", task.synthetic))
    }
    areas = {kind: {name: area(truth, found) for name, found in of_kind.items()} for kind, of_kind in scores.items()}
    best = max(areas["real"], key=areas["real"].__getitem__)
    low, high = _interval(truth, scores["synthetic"][best], scores["real"][best], seed=seed)
    real, synthetic = (list(areas[kind].values()) for kind in ("real", "synthetic"))
    figures = {f"usefulness.{name}.{kind}": value for kind, found in areas.items() for name, value in found.items()}
    return figures | {
        "usefulness.real": areas["real"][best],
        "usefulness.synthetic": areas["synthetic"][best],
        "usefulness.difference": areas["synthetic"][best] - areas["real"][best],
        "usefulness.difference.low": low,
        "usefulness.difference.high": high,
        "usefulness.rank_correlation": float(np.nan_to_num(spearmanr(real, synthetic).statistic)),
        "usefulness.rows": float(size),
        "usefulness.holdout_rows": float(len(truth)),
    }


def _scores(task: Task, rows: pd.DataFrame, model: ClassifierMixin) -> np.ndarray:
    """Of the holdout subjects, by a model that was trained on some rows."""
    features = [name for name in rows.columns if name != task.label]
    pipeline = Pipeline([("columns", _columns(features, task.categories)), ("model", model)])
    with threadpool_limits(1):  # beside a busy process more threads wait for each other, forty times as long
        pipeline.fit(rows[features], rows[task.label])
        return pipeline.predict_proba(task.holdout[features])[:, 1]


def _columns(features: Sequence[str], categories: frozenset[str]) -> ColumnTransformer:
    names = [name for name in features if name in categories]
    numbers = [name for name in features if name not in categories]
    encode = OneHotEncoder(max_categories=_MAX_CATEGORIES, handle_unknown="infrequent_if_exist", sparse_output=False)
    scale = make_pipeline(
        SimpleImputer(add_indicator=True, keep_empty_features=True), QuantileTransformer(n_quantiles=100)
    )
    return ColumnTransformer([("names", encode, names), ("numbers", scale, numbers)])


def _interval(truth: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int) -> tuple[float, float]:
    """95 % of the difference of two models' areas, over resampled subjects."""
    generator = np.random.default_rng(seed)
    picks = (generator.integers(0, len(truth), len(truth)) for _ in range(_RESAMPLES))
    differences = [area(truth[pick], first[pick]) - area(truth[pick], second[pick]) for pick in picks]
    low, high = np.nanquantile(differences, [0.025, 0.975])
    return float(low), float(high)
