"""Are synthetic subjects closer to the subjects that trained than to subjects that did not? [plain]

A smoke test for copies, by subject. It finds copied and overfitted histories; passing it proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import norm

_CHUNK = 500  # queries at once: bounds memory to _CHUNK x references doubles


@dataclass(frozen=True)
class Lean:
    """Share of queries that lean towards training rather than holdout, ties counted half; one half is ideal."""

    share: float
    standard_error: float
    num_queries: int
    num_references: int  # of training, and of holdout

    @property
    def z(self) -> float:
        """Standard errors above one half."""
        return (self.share - 0.5) / self.standard_error

    @property
    def p_value(self) -> float:
        """Chance of so much or more where nothing leans."""
        return float(norm.sf(self.z))

    def named(self, name: str) -> dict[str, float]:
        """name, name.standard_error, name.p, name.queries, name.references."""
        return {
            name: self.share,
            f"{name}.standard_error": self.standard_error,
            f"{name}.p": self.p_value,
            f"{name}.queries": float(self.num_queries),
            f"{name}.references": float(self.num_references),
        }


@dataclass(frozen=True)
class _Nearest:
    """Distances of queries to their closest and second closest reference, and where the closest stands."""

    closest: np.ndarray
    second: np.ndarray
    position: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """Neighbour-distance ratio, 0 .. 1: small where one reference is much closer than all others."""
        return np.divide(self.closest, self.second, out=np.ones_like(self.closest), where=self.second > 0)


def smoke_tests(queries: np.ndarray, training: np.ndarray, holdout: np.ndarray) -> dict[str, float]:
    """dcr_share.* and nndr_share.*: by distance to the closest record, and by neighbour-distance ratio.

    Training and holdout are cut to the same size. The standard error is the larger of two: that of independent
    queries, and that of queries grouped by their closest real point. The second matters when many queries share
    one closest point (independent columns make such points): then they vote together, and the first is too small.
    dcr.q05.training, .holdout and nndr.q05.training, .holdout: 5 % quantiles of the synthetic subjects' figures.

    Args:
        queries, training, holdout: points with whole coordinates, shape (subjects, coordinates), in random order;
            at least two of each.
    """
    size = min(len(training), len(holdout))
    sides = {"training": _nearest(queries, training[:size]), "holdout": _nearest(queries, holdout[:size])}
    group = _closest_place(sides["training"], sides["holdout"], np.vstack([training[:size], holdout[:size]]))
    figures = _lean(sides["training"].closest, sides["holdout"].closest, group, size).named("dcr_share")
    figures |= _lean(sides["training"].ratio, sides["holdout"].ratio, group, size).named("nndr_share")
    for name, side in sides.items():
        figures[f"dcr.q05.{name}"] = float(np.quantile(side.closest, 0.05))
        figures[f"nndr.q05.{name}"] = float(np.quantile(side.ratio, 0.05))
    return figures


def dcr_share(queries: np.ndarray, training: np.ndarray, holdout: np.ndarray) -> Lean:
    """By distance to the closest record alone; see smoke_tests."""
    size = min(len(training), len(holdout))
    first, second = _nearest(queries, training[:size]), _nearest(queries, holdout[:size])
    group = _closest_place(first, second, np.vstack([training[:size], holdout[:size]]))
    return _lean(first.closest, second.closest, group, size)


def dcr_control(training: np.ndarray, holdout: np.ndarray) -> Lean:
    """The same for real subjects that did not train: one half of the holdout against training and its other half."""
    half = len(holdout) // 2
    return dcr_share(holdout[:half], training, holdout[half:])


def _lean(to_training: np.ndarray, to_holdout: np.ndarray, group: np.ndarray, size: int) -> Lean:
    votes = np.where(to_training == to_holdout, 0.5, to_training < to_holdout)
    share = float(votes.mean())
    grouped = np.bincount(group, weights=votes - 0.5)  # as they would be where nothing leans
    error = max(float(np.sqrt((grouped**2).sum())) / len(votes), 0.5 / float(np.sqrt(len(votes))))
    return Lean(share, error, len(votes), size)


def _closest_place(training: _Nearest, holdout: _Nearest, points: np.ndarray) -> np.ndarray:
    """Number of the closest real point of each query, equal points being one."""
    _, places = np.unique(points, axis=0, return_inverse=True)
    half = len(points) // 2
    closest = np.where(training.closest <= holdout.closest, training.position, half + holdout.position)
    found: np.ndarray = places.ravel()[closest]
    return found


def _nearest(queries: np.ndarray, references: np.ndarray) -> _Nearest:
    """Of equally close references the first counts; with one reference alone the second is as close."""
    closest, second = np.empty(len(queries)), np.empty(len(queries))
    position = np.empty(len(queries), dtype=np.int64)
    rows = min(1, len(references) - 1)
    for start in range(0, len(queries), _CHUNK):
        block = cdist(queries[start : start + _CHUNK], references, "cityblock")
        position[start : start + _CHUNK] = block.argmin(axis=1)
        ordered = np.partition(block, rows, axis=1)
        closest[start : start + _CHUNK], second[start : start + _CHUNK] = ordered[:, 0], ordered[:, rows]
    return _Nearest(closest, second, position)
