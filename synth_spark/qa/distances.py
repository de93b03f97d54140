"""Are synthetic subjects closer to the subjects that trained than to subjects that did not? [plain]

A smoke test for copies, by subject. It finds copied and overfitted histories; passing it proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

_CHUNK = 500  # queries at once: bounds memory to _CHUNK x references doubles


@dataclass(frozen=True)
class DcrShare:
    """Share of queries closer to training than to holdout, ties counted half; one half is ideal."""

    share: float
    standard_error: float
    num_queries: int
    num_references: int  # of training, and of holdout

    @property
    def z(self) -> float:
        """Standard errors above one half."""
        return (self.share - 0.5) / self.standard_error


def dcr_share(queries: np.ndarray, training: np.ndarray, holdout: np.ndarray) -> DcrShare:
    """Compare the distances to the closest point of either set (sum of absolute differences).

    Training and holdout are cut to the same size. The standard error is the larger of two: that of independent
    queries, and that of queries grouped by their closest real point. The second matters when many queries share
    one closest point (independent columns make such points): then they vote together, and the first is too small.

    Args:
        queries, training, holdout: points with whole coordinates, shape (subjects, coordinates), in random order.
    """
    size = min(len(training), len(holdout))
    training, holdout = training[:size], holdout[:size]
    to_training, at_training = _closest(queries, training)
    to_holdout, at_holdout = _closest(queries, holdout)
    votes = np.where(to_training == to_holdout, 0.5, to_training < to_holdout)
    closest = np.where(to_training <= to_holdout, at_training, size + at_holdout)
    _, places = np.unique(np.vstack([training, holdout]), axis=0, return_inverse=True)
    share = float(votes.mean())
    grouped = np.bincount(places.ravel()[closest], weights=votes - share)
    error = max(float(np.sqrt((grouped**2).sum())) / len(votes), 0.5 / float(np.sqrt(len(votes))))
    return DcrShare(share, error, len(queries), size)


def dcr_control(training: np.ndarray, holdout: np.ndarray) -> DcrShare:
    """The same for real subjects that did not train: one half of the holdout against training and its other half."""
    half = len(holdout) // 2
    return dcr_share(holdout[:half], training, holdout[half:])


def _closest(queries: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance and position of the closest reference of each query; of equally close ones the first."""
    distance, position = np.empty(len(queries)), np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _CHUNK):
        block = cdist(queries[start : start + _CHUNK], references, "cityblock")
        position[start : start + _CHUNK] = block.argmin(axis=1)
        distance[start : start + _CHUNK] = block.min(axis=1)
    return distance, position
