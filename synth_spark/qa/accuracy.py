"""Accuracy and its ceiling, from counts. [plain]"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

FAMILIES = ("univariate", "bivariate", "trivariate", "coherence")
MAX_TRIPLES = 10_000


@dataclass(frozen=True)
class Score:
    """An accuracy beside the accuracy that two samples of the same population are expected to reach."""

    accuracy: float
    ceiling: float


def score(real: np.ndarray, synthetic: np.ndarray) -> Score:
    """One histogram against another of the same shape (counts; cells in any arrangement).

    With p and q the relative frequencies and n_p, n_q the totals:
        accuracy = 1 - 1/2 sum |p - q|
        ceiling  = 1 - 1/2 sum sqrt( 2/pi * p (1 - p) * (1/n_p + 1/n_q) )

    Raises:
        ValueError: one of them is empty.
    """
    num_real, num_synthetic = int(real.sum()), int(synthetic.sum())
    if not num_real or not num_synthetic:
        raise ValueError("an empty histogram has no accuracy")
    p, q = real.ravel() / num_real, synthetic.ravel() / num_synthetic
    spread = np.sqrt(2 / np.pi * p * (1 - p) * (1 / num_real + 1 / num_synthetic))
    return Score(float(1 - np.abs(p - q).sum() / 2), float(1 - spread.sum() / 2))


def mean_score(scores: Sequence[Score | None]) -> Score | None:
    """Mean of those that exist, None if none does."""
    present = [item for item in scores if item is not None]
    if not present:
        return None
    return Score(
        float(np.mean([item.accuracy for item in present])), float(np.mean([item.ceiling for item in present]))
    )


def pick_triples(columns: Sequence[str], *, seed: int, limit: int = MAX_TRIPLES) -> list[tuple[str, str, str]]:
    """Unordered triples of columns, in order of a hash of their names when there are more than `limit`."""
    triples = combinations(sorted(columns), 3)
    if math.comb(len(columns), 3) <= limit:
        return list(triples)
    return sorted(heapq.nsmallest(limit, triples, key=lambda triple: _digest(seed, *triple)))


def _digest(seed: int, *names: str) -> bytes:
    return hashlib.sha256("\x1f".join((str(seed), *names)).encode("utf-8")).digest()
