"""Subjects as points, so that copies of a history lie close to it. [plain]

A point holds, for the first few events of the history, the start (first event) or the time since the event before,
and every other column; then mean and spread of every column over its first events (samples.py: a hundred, fewer of
wide tables), the length, and the attributes. Numbers and times are replaced by their rank among the real values
(0 .. 1,000), a text by eight signs from a hash of it (so that any two texts are about equally far apart). All
coordinates are whole numbers: distances are exact, and equal points are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_spark.columns import EVENT_INDEX
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID, Layout, MetricColumn

MAX_SLOTS = 10  # events that a point holds one by one
MAX_SLOT_COORDINATES = 160
SCALE = 1000
_SIGNS = 8
_GAP = "__gap"


@dataclass(frozen=True)
class SubjectFrame:
    """Subjects (KEY_TEXT, LENGTH_ID, attributes by id) and their first events (KEY_TEXT, EVENT_INDEX, by id)."""

    subjects: pd.DataFrame
    events: pd.DataFrame


@dataclass(frozen=True)
class PointSpace:
    """What turns subjects into points; fitted on real subjects only."""

    layout: Layout
    order_id: str | None
    ranks: dict[str, np.ndarray]  # column id -> sorted real values
    flagged: frozenset[str]  # columns that real data miss somewhere
    slots: int

    def points(self, frame: SubjectFrame) -> np.ndarray:
        """Shape (subjects, coordinates), float64 with whole numbers, in the order of frame.subjects."""
        parts = [self._column(column, frame.subjects[column.id]) for column in self.layout.subjects]
        if self.layout.events:
            parts += self._history(frame)
        return np.hstack(parts)

    def _history(self, frame: SubjectFrame) -> list[np.ndarray]:
        events = with_gaps(frame.events, self.order_id)
        owner = pd.Index(frame.subjects[KEY_TEXT]).get_indexer(pd.Index(events[KEY_TEXT]))
        blocks = np.hstack([self._event_column(column, events) for column in self.layout.events])
        blocks = np.hstack([blocks, np.full((len(events), 1), float(SCALE))])
        slot = events[EVENT_INDEX].to_numpy()
        first = slot < self.slots
        cells = np.zeros((len(frame.subjects), self.slots, blocks.shape[1]))
        cells[owner[first], slot[first]] = blocks[first]
        length = np.rint(SCALE / 2 * np.log2(1 + frame.subjects[LENGTH_ID].to_numpy(dtype=np.float64)))
        return [cells.reshape(len(cells), -1), *_moments(blocks[:, :-1], owner, len(cells)), length[:, None]]

    def _event_column(self, column: MetricColumn, events: pd.DataFrame) -> np.ndarray:
        if column.id != self.order_id:
            return self._column(column, events[column.id])
        first = (events[EVENT_INDEX] == 0).to_numpy()
        start = _rank(self.ranks[column.id], events[column.id].to_numpy(dtype=np.float64))
        gap = _rank(self.ranks[_GAP], events[_GAP].to_numpy(dtype=np.float64))
        return np.where(first, start, gap)[:, None]

    def _column(self, column: MetricColumn, values: pd.Series) -> np.ndarray:
        if column.kind == "category":
            return _signs(values)
        coordinates = _rank(self.ranks[column.id], values.to_numpy(dtype=np.float64))[:, None]
        if column.id not in self.flagged:
            return coordinates
        return np.hstack([coordinates, values.isna().to_numpy(dtype=np.float64)[:, None] * SCALE])


def fit_space(layout: Layout, order_by: str | None, real: Sequence[SubjectFrame]) -> PointSpace:
    """From samples of real subjects."""
    order_id = next((column.id for column in layout.events if column.name == order_by), None)
    subjects = pd.concat([frame.subjects for frame in real])
    events = pd.concat([with_gaps(frame.events, order_id) for frame in real]) if layout.events else pd.DataFrame()
    ranks, flagged = {}, set()
    axes = [(c, subjects[c.id]) for c in layout.subjects] + [(c, events[c.id]) for c in layout.events]
    for column, values in axes:
        if column.kind != "category":
            ranks[column.id] = np.sort(values.dropna().to_numpy(dtype=np.float64))
            if values.isna().any() and column.id != order_id:
                flagged.add(column.id)
    if order_id is not None:
        ranks[_GAP] = np.sort(events[_GAP].dropna().to_numpy(dtype=np.float64))
    widths = [most_coordinates(c) - (c.kind != "category" and c.id not in flagged) for c in layout.events]
    slots = int(np.clip(MAX_SLOT_COORDINATES // (sum(widths) + 1), 1, MAX_SLOTS))
    return PointSpace(layout, order_id, ranks, frozenset(flagged), slots)


def most_coordinates(column: MetricColumn) -> int:
    """Of one value: a text's signs; a number's rank, and whether it is missing."""
    return _SIGNS if column.kind == "category" else 2


def with_gaps(events: pd.DataFrame, order_id: str | None) -> pd.DataFrame:
    """Adds the difference to the event before, in units of the order column."""
    if order_id is None:
        return events
    gaps = events[order_id].diff().where((events[EVENT_INDEX] > 0).to_numpy())
    return events.assign(**{_GAP: gaps})


def _rank(real: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mid-rank among real values, 0 .. SCALE; the middle for missing."""
    if not len(real):
        return np.full(len(values), SCALE // 2, dtype=np.float64)
    low, high = np.searchsorted(real, values, side="left"), np.searchsorted(real, values, side="right")
    return np.where(np.isnan(values), SCALE // 2, np.floor(SCALE * (low + high) / (2 * len(real))))


def _signs(values: pd.Series) -> np.ndarray:
    """Eight coordinates of 0 or SCALE / 8 per text; missing is a text of its own."""
    codes, texts = pd.factorize(values.fillna("\x00missing"))
    table = np.array([list(hashlib.sha256(text.encode("utf-8")).digest()[:_SIGNS]) for text in texts])
    if not len(table):
        return np.zeros((len(values), _SIGNS))
    return ((table[codes] & 1) * (SCALE // _SIGNS)).astype(np.float64)


def _moments(blocks: np.ndarray, owner: np.ndarray, count: int) -> list[np.ndarray]:
    """Rounded mean and spread of each coordinate over a subject's events; 0 without events."""
    weight = np.maximum(np.bincount(owner, minlength=count), 1)[:, None]
    mean = _sums(blocks, owner, count) / weight
    spread = np.sqrt(np.maximum(_sums(blocks**2, owner, count) / weight - mean**2, 0))
    return [np.rint(mean), np.rint(spread)]


def _sums(blocks: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    return np.stack([np.bincount(owner, weights=column, minlength=count) for column in blocks.T], axis=1)
