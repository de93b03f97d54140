"""Bins of the quality metrics: the field's rules, exactly. [plain]

Bins hold raw values of the source. They live in memory only: nothing here may be stored, shown or logged;
labels for people come from synth_spark.qa.display.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

MISSING, OTHER, EMPTY, RARE = "(n/a)", "(other)", "(empty)", "_RARE_"
MIN_CATEGORY_ROWS = 5
MAX_POSITIONS = 1000
DAY_MICROSECONDS = 86_400_000_000.0
_SPECIAL = (EMPTY, OTHER, RARE, MISSING)


@dataclass(frozen=True)
class OrderStatistics:
    """Values of one column by rank, missing ones left out.

    `values` ascend; values[i] stands at the 0-based positions starts[i] and following. Of a column with very
    many distinct values only those are here that stand at a position which the search for edges can ask for.
    """

    values: np.ndarray
    starts: np.ndarray
    total: int  # number of values, repeats included
    distinct: int

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Values at 0-based positions."""
        return self.values[np.searchsorted(self.starts, positions, side="right") - 1]


def order_statistics(values: np.ndarray, counts: np.ndarray) -> OrderStatistics:
    """From every distinct value (ascending) and how often it occurs."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(values) else np.zeros(0)
    return OrderStatistics(values, starts.astype(np.int64), int(np.sum(counts)), len(values))


def candidate_positions(total: int, bins: int) -> list[np.ndarray]:
    """Evenly spaced positions in the sorted values: `bins` of them, then one more each, below 1,000 (and total + 1)."""
    if total == 0:
        return []
    end = max(bins + 1, min(MAX_POSITIONS, total + 1))
    return [np.linspace(0, total - 1, count).astype(np.int64) for count in range(bins, end)]


@dataclass(frozen=True)
class AxisBins:
    """Bins of numbers or instants, closed on the left; values outside belong to the end bins.

    Codes: 0 .. len(edges) - 2 for the bins in ascending order, then one for missing.
    """

    edges: tuple[float, ...]

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.edges)

    def code(self, values: Any) -> np.ndarray:
        """One code per value; values: float64, NaN = missing."""
        numbers = np.asarray(values, dtype=np.float64)
        codes = np.searchsorted(np.asarray(self.edges[1:-1]), numbers, side="right")
        return np.where(np.isnan(numbers), self.size - 1, codes).astype(np.int64)


@dataclass(frozen=True)
class CategoryBins:
    """Kept categories, then those special classes that always are classes of their own.

    Codes follow `classes`; a value that is none of them is (other), an empty text (empty), missing (n/a).
    """

    classes: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.classes)

    @property
    def other(self) -> int:
        """Code of (other)."""
        return self.classes.index(OTHER)

    def code(self, values: Any) -> np.ndarray:
        """One code per value; values: text, None or NaN = missing."""
        texts = pd.Series(values, dtype="object")
        texts = texts.where(texts.notna(), MISSING).replace("", EMPTY)
        codes = pd.Index(self.classes).get_indexer(pd.Index(texts))
        return np.where(codes < 0, self.other, codes).astype(np.int64)


@dataclass(frozen=True)
class KnownValues:
    """A code per value as it is.

    Codes: 0 .. len(values) - 1 for the values, then one for any other value, then one for missing.
    """

    values: tuple[Any, ...]  # different ones of one type

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.values) + 2

    def code(self, values: Any) -> np.ndarray:
        """One code per value; None or NaN = missing."""
        codes = pd.Index(self.values).get_indexer(pd.Index(values))
        unknown = len(self.values) + pd.isna(values)
        return np.where(codes < 0, unknown, codes).astype(np.int64)


Bins = AxisBins | CategoryBins


def fit_number_bins(statistics: OrderStatistics, *, bins: int) -> AxisBins:
    """At most `bins` distinct values: a bin each; otherwise searched edges; floored to the least precision that keeps
    them distinct (the last edge stays)."""
    if statistics.total == 0:
        return AxisBins((-1e10, 1e10))
    if statistics.distinct <= bins:
        last = float(statistics.values[-1])
        edges = np.append(statistics.values, max(last + 1, np.nextafter(last, np.inf)))  # the same from 2^53 on
    else:
        edges = _search_edges(statistics, bins)
    return AxisBins(tuple(float(edge) for edge in _floored(np.unique(edges))))


def fit_instant_bins(statistics: OrderStatistics, *, bins: int) -> AxisBins:
    """Searched edges in microseconds, not floored; a single instant gets one bin of a day."""
    if statistics.total == 0:
        return AxisBins((0.0, DAY_MICROSECONDS))
    if statistics.distinct == 1:
        return AxisBins((float(statistics.values[0]), float(statistics.values[0]) + DAY_MICROSECONDS))
    return AxisBins(tuple(float(edge) for edge in np.unique(_search_edges(statistics, bins))))


def _search_edges(statistics: OrderStatistics, bins: int) -> np.ndarray:
    edges = np.zeros(0)
    for positions in candidate_positions(statistics.total, bins):
        edges = np.unique(statistics.at(positions))
        if len(edges) >= bins + 1:
            break
    return edges


def _floored(edges: np.ndarray) -> np.ndarray:
    for digits in range(20):
        scale = 10**digits
        floored = np.true_divide(np.floor(edges * scale), scale)
        if len(np.unique(floored)) == len(edges):
            return np.append(floored[:-1], edges[-1])
    return edges


def fit_category_bins(values: Sequence[str | None], counts: Sequence[int], *, bins: int) -> CategoryBins:
    """The `bins` most frequent classes that occur at least 5 times.

    Missing and empty compete for a place like any value; equal counts are ordered by text.
    """
    named = [MISSING if value is None else (value or EMPTY) for value in values]
    ranked = sorted(zip(named, counts, strict=True), key=lambda item: (-item[1], item[0]))[:bins]
    kept = sorted(name for name, count in ranked if count >= MIN_CATEGORY_ROWS and name not in _SPECIAL)
    return CategoryBins((*kept, *_SPECIAL))
