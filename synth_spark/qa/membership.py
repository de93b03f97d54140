"""Can somebody who sees the synthetic data tell who was in training? [plain]

A model-free attack on subjects: where synthetic subjects lie denser than reference subjects who did not train, a
candidate is taken for a member. Density ratio of nearest neighbours, after van Breugel et al., "Membership inference
attacks against synthetic data through overfitting detection" (AISTATS 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import norm

from synth_spark.qa.usefulness import area

NEIGHBOURS = 1  # the distance to the closest one tells the density: coarse, but a copy cannot hide in it
FALSE_POSITIVES = 0.01  # rate at which true positives are counted
OUTLIERS = 0.1  # share of candidates that lie farthest from the reference
LEAST_CANDIDATES = 20  # of each kind
_CHUNK = 500


@dataclass(frozen=True)
class Attack:
    """What an attack achieves on as many members as others; intervals of 95 %."""

    auc: float
    auc_low: float
    auc_high: float
    true_positives: float  # at FALSE_POSITIVES
    true_positives_low: float
    true_positives_high: float
    candidates: int  # of each kind


def membership_figures(training: np.ndarray, holdout: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """membership.*, over all candidates, and membership.outliers.*; see Attack for the parts.

    Args:
        training, holdout, synthetic: points of subjects in random order (subject_points.py). One half of the holdout
            is the reference, the other half are candidates beside as many training subjects.
    """
    half = min(len(training), len(holdout) // 2)
    members, others, reference = training[:half], holdout[:half], holdout[half:]
    if half < LEAST_CANDIDATES or len(reference) <= NEIGHBOURS or len(synthetic) <= NEIGHBOURS:
        return {}
    candidates = np.vstack([members, others])
    is_member = np.repeat([1, 0], half)
    to_reference = neighbour_distances(candidates, reference)
    scores = np.log1p(to_reference) - np.log1p(neighbour_distances(candidates, synthetic))
    figures = _named("membership", attack(is_member, scores))
    far = to_reference >= np.quantile(to_reference, 1 - OUTLIERS)
    if min(np.bincount(is_member[far], minlength=2)) >= LEAST_CANDIDATES:
        figures |= _named("membership.outliers", attack(is_member[far], scores[far]))
    return figures


def neighbour_distances(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Sum of absolute differences to the NEIGHBOURS-th closest reference."""
    found = np.empty(len(queries))
    for start in range(0, len(queries), _CHUNK):
        block = cdist(queries[start : start + _CHUNK], references, "cityblock")
        found[start : start + _CHUNK] = np.partition(block, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1]
    return found


def attack(is_member: np.ndarray, scores: np.ndarray) -> Attack:
    """AUC with the interval of Hanley and McNeil (1982), true positives with Wilson's (1927)."""
    auc = area(is_member, scores)
    members, others = scores[is_member == 1], scores[is_member == 0]
    error = _area_error(auc, len(members), len(others))
    threshold = np.quantile(others, 1 - FALSE_POSITIVES, method="higher")
    rate = float((members > threshold).mean())
    low, high = wilson(rate, len(members))
    width = norm.ppf(0.975) * error
    return Attack(auc, max(0.0, auc - width), min(1.0, auc + width), rate, low, high, len(members))


def _area_error(auc: float, num_members: int, num_others: int) -> float:
    """Standard error of an area under the ROC curve."""
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (num_members - 1) * (first - auc**2) + (num_others - 1) * (second - auc**2)
    return float(np.sqrt(max(variance, 0.0) / (num_members * num_others)))


def wilson(rate: float, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share of `count` trials."""
    z = float(norm.ppf(0.975))
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def _named(name: str, found: Attack) -> dict[str, float]:
    return {
        f"{name}.auc": found.auc,
        f"{name}.auc.low": found.auc_low,
        f"{name}.auc.high": found.auc_high,
        f"{name}.true_positives": found.true_positives,
        f"{name}.true_positives.low": found.true_positives_low,
        f"{name}.true_positives.high": found.true_positives_high,
        f"{name}.candidates": float(found.candidates),
    }
