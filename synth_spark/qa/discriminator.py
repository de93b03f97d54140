"""How well a classifier tells two samples of rows apart, and by what. [plain]"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.preprocessing import QuantileTransformer, normalize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from synth_spark.seeds import derive

FOLDS, QUANTILES = 10, 100
MOST_TELLING = 8  # columns that are named
LEAST_ROWS = 20  # of each set


def encode_rows(
    training: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame, *, categories: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows as points of length 1.

    Each column goes through a uniform quantile transform to [-.5, .5], fitted on training and holdout; a missing
    value becomes 0 and, if any row misses it in that column, a flag of its own (-.5 or .5). Text is first
    replaced by its rank in frequency; text that the real rows do not have shares one rank beyond.
    """
    encoded: list[np.ndarray] = []
    frames = (training, holdout, synthetic)
    for column in training.columns:
        parts = (
            _ranked(*(frame[column] for frame in frames))
            if column in categories
            else tuple(frame[column].to_numpy(dtype=np.float64) for frame in frames)
        )
        encoded.append(_encode_column(parts))
    points = normalize(np.hstack(encoded))
    cuts = np.cumsum([len(training), len(holdout)])
    first, second, third = np.split(points, cuts)
    return first, second, third


def _ranked(training: pd.Series, holdout: pd.Series, synthetic: pd.Series) -> tuple[np.ndarray, ...]:
    counts = pd.concat([training, holdout]).value_counts()
    ordered = sorted(counts.index, key=lambda text: (-counts[text], text))
    ranks = pd.Series(np.arange(len(ordered), dtype=np.float64), index=ordered)
    unseen = float(len(ordered))
    return tuple(
        part.map(ranks).fillna(unseen).where(part.notna()).to_numpy(dtype=np.float64)
        for part in (training, holdout, synthetic)
    )


def _encode_column(parts: tuple[np.ndarray, ...]) -> np.ndarray:
    real = np.concatenate(parts[:2])
    everything = np.concatenate(parts)[:, None]
    missing = np.isnan(everything)
    if np.isnan(real).all():
        scaled = np.zeros_like(everything)
    else:
        transform = QuantileTransformer(n_quantiles=min(QUANTILES, len(real)), subsample=None)
        scaled = np.nan_to_num(transform.fit(real[:, None]).transform(everything) - 0.5, nan=0.0)
    if not missing.any():
        return scaled
    return np.hstack([scaled, missing.astype(np.float64) - 0.5])


def mean_auc(first: np.ndarray, second: np.ndarray, *, seed: int) -> float:
    """Mean area under the ROC curve of 10 stratified folds, four decimals each; .5 = indistinguishable.

    The classifier is scikit-learn's histogram gradient boosting with the field's settings: 50 rounds, depth 10, at
    least 5 rows per leaf, half of the columns per split, its own early stopping.
    """
    points, labels = np.vstack([first, second]), np.repeat([0, 1], [len(first), len(second)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    areas = []
    for fit, judge in folds.split(points, labels):
        model = _classifier(seed)
        with threadpool_limits(1):  # beside a busy process more threads wait for each other, forty times as long
            model.fit(points[fit], labels[fit])
            chances = model.predict_proba(points[judge])[:, 1]
        areas.append(round(float(roc_auc_score(labels[judge], chances)), 4))
    return float(np.mean(areas))


def telling_columns(
    real: pd.DataFrame, synthetic: pd.DataFrame, *, categories: Sequence[str], seed: int
) -> list[tuple[str, float]]:
    """The columns that give most away, the first one most: name, and the area that is lost when it is shuffled.

    Judged on a third of the rows; columns that lose less than a thousandth are left out.
    """
    names = list(real.columns)
    points = np.column_stack([_plain(real[name], synthetic[name], name in categories) for name in names])
    labels = np.repeat([0, 1], [len(real), len(synthetic)])
    fit, judge, fit_labels, judge_labels = train_test_split(
        points, labels, test_size=1 / 3, stratify=labels, random_state=seed % 2**32
    )
    model = _classifier(seed)
    with threadpool_limits(1):
        model.fit(fit, fit_labels)
        found = permutation_importance(
            model, judge, judge_labels, scoring="roc_auc", n_repeats=1, random_state=seed % 2**32
        )
    lost = sorted(zip(names, found.importances_mean.round(4), strict=True), key=lambda item: (-item[1], item[0]))
    return [(name, float(area)) for name, area in lost[:MOST_TELLING] if area >= 0.001]


def _plain(real: pd.Series, synthetic: pd.Series, is_category: bool) -> np.ndarray:
    if is_category:
        first, _, second = _ranked(real, real.head(0), synthetic)
        return np.concatenate([first, second])
    return np.concatenate([real.to_numpy(dtype=np.float64), synthetic.to_numpy(dtype=np.float64)])


def _classifier(seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=50, max_depth=10, min_samples_leaf=5, max_features=0.5, random_state=seed % 2**32
    )


def discriminator_figures(
    name: str, frames: Sequence[pd.DataFrame], categories: Sequence[str], *, seed: int
) -> dict[str, float]:
    """The area of training against synthetic, beside that of training against holdout, if there is one; nothing of too
    few rows."""
    if min(len(frames[0]), len(frames[2])) < LEAST_ROWS:
        return {}
    training, holdout, synthetic = encode_rows(*frames, categories=categories)
    fold_seed = derive(seed, "qa", "folds")
    figures = {name: mean_auc(training, synthetic, seed=fold_seed), f"{name}.rows": float(len(training))}
    if len(holdout) >= LEAST_ROWS:
        figures[f"{name}.control"] = mean_auc(training, holdout, seed=fold_seed)
    return figures
