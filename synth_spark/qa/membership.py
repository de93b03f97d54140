"""Can somebody who sees the synthetic data tell who was in training? [plain]

A model-free attack on subjects: where synthetic subjects lie denser than reference subjects who did not train, a
candidate is taken for a member. Density ratio of nearest neighbours, after van Breugel et al., "Membership inference
attacks against synthetic data through overfitting detection" (AISTATS 2023).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from synth_spark.rates import Attack, attack

NEIGHBOURS = 1  # the distance to the closest one tells the density: coarse, but a copy cannot hide in it
OUTLIERS = 0.1  # share of candidates that lie farthest from the reference
LEAST_CANDIDATES = 20  # of each kind
_CHUNK = 500


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
    scores = density_scores(to_reference, neighbour_distances(candidates, synthetic))
    figures = attack(is_member, scores).named("membership")
    far = to_reference >= np.quantile(to_reference, 1 - OUTLIERS)
    if min(np.bincount(is_member[far], minlength=2)) >= LEAST_CANDIDATES:
        figures |= attack(is_member[far], scores[far]).named("membership.outliers")
    return figures


def density_scores(to_reference: np.ndarray, to_synthetic: np.ndarray) -> np.ndarray:
    """Higher where synthetic subjects lie denser than reference subjects; of distances to the closest one of each."""
    return np.log1p(to_reference) - np.log1p(to_synthetic)


def neighbour_distances(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Sum of absolute differences to the NEIGHBOURS-th closest reference."""
    found = np.empty(len(queries))
    for start in range(0, len(queries), _CHUNK):
        block = cdist(queries[start : start + _CHUNK], references, "cityblock")
        found[start : start + _CHUNK] = np.partition(block, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1]
    return found


def loss_attack(model_nats: np.ndarray, marginal_nats: np.ndarray, is_member: np.ndarray) -> Attack:
    """Who holds the model takes those for members whom it finds likelier than their values alone make them.

    Args:
        model_nats: what a candidate's whole history costs by the model, shape (candidates,).
        marginal_nats: what it costs those who know how often each code is among subjects who did not train: takes
            out that long histories and rare values cost more.
    """
    return attack(is_member, -model_nats / np.maximum(marginal_nats, 1e-9))
