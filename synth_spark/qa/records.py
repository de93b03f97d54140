"""Subjects as records of ranks and codes, for attacks on single columns. [plain]"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

MAX_COLUMNS = 60  # that an attack looks at, picked at random: more only makes it slower
_CHUNK = 500


@dataclass(frozen=True)
class Records:
    """One row per subject; all sets of a space share ranks and codes."""

    values: np.ndarray  # (subjects, columns): rank among real values, 0 .. 1, or the code of a category
    categorical: np.ndarray  # (columns,) bool

    def of(self, columns: np.ndarray) -> Records:
        """Some columns only."""
        return Records(self.values[:, columns], self.categorical[columns])

    def head(self, count: int) -> Records:
        """The first subjects."""
        return Records(self.values[:count], self.categorical)

    def __len__(self) -> int:
        return len(self.values)


def records_of(
    frames: Sequence[pd.DataFrame], categories: Sequence[str], *, seed: int, max_columns: int = MAX_COLUMNS
) -> tuple[Records, ...]:
    """Frames of the same columns as records; the first two are real and give the ranks. Missing is a value of its own.

    Columns with one value only are left out.
    """
    names = [name for name in frames[0].columns if frames[0][name].nunique(dropna=False) > 1]
    picked = np.sort(np.random.default_rng(seed).permutation(len(names))[:max_columns])
    names = [names[position] for position in picked]
    categorical = np.array([name in set(categories) for name in names], dtype=bool)
    columns = [_column([frame[name] for frame in frames], name in set(categories)) for name in names]
    return tuple(
        Records(np.stack([column[number] for column in columns], axis=1), categorical)
        if columns
        else Records(np.empty((len(frame), 0)), categorical)
        for number, frame in enumerate(frames)
    )


def _column(parts: Sequence[pd.Series], category: bool) -> list[np.ndarray]:
    if category:
        codes, _ = pd.factorize(pd.concat(parts).astype(object), use_na_sentinel=False)
        return np.split(codes.astype(np.float64), np.cumsum([len(part) for part in parts])[:-1])
    numbers = [part.to_numpy(dtype=np.float64) for part in parts]
    real = np.sort(np.concatenate(numbers[:2]))
    real = real[~np.isnan(real)]
    return [_ranks(real, own) for own in numbers]


def _ranks(real: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mid-rank among real values; -1 for missing, so that it is far from all."""
    low, high = np.searchsorted(real, values, side="left"), np.searchsorted(real, values, side="right")
    return np.where(np.isnan(values), -1.0, (low + high) / (2 * max(len(real), 1)))


def distance_blocks(queries: Records, references: Records) -> Iterator[np.ndarray]:
    """Distances of some queries at a time to all references: differences of ranks, 1 per different category."""
    own, other = queries.categorical, references.values
    for start in range(0, len(queries), _CHUNK):
        block = queries.values[start : start + _CHUNK]
        found = np.zeros((len(block), len(references)))
        if (~own).any():
            found += cdist(block[:, ~own], other[:, ~own], "cityblock")
        if own.any():
            found += cdist(block[:, own], other[:, own], "hamming") * int(own.sum())
        yield found


def nearest(queries: Records, references: Records, count: int) -> np.ndarray:
    """Positions of the closest references of each query, shape (queries, count), closest first, ties by position."""
    count = min(count, len(references))
    found = []
    for block in distance_blocks(queries, references):
        picked = np.sort(np.argpartition(block, count - 1, axis=1)[:, :count], axis=1)
        order = np.argsort(np.take_along_axis(block, picked, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(picked, order, axis=1))
    return np.vstack(found)
