"""Which subjects train together: batches planned from lengths. [plain]"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """Subjects held in memory at once. Row i's events are event_codes[offsets[i]:offsets[i + 1]]."""

    subject_numbers: NDArray[np.int64]  # (subjects,)
    static_codes: NDArray[np.int16]  # (subjects, S)
    num_events: NDArray[np.int64]  # (subjects,)
    event_codes: NDArray[np.int16]  # (all events, E)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """First row of each subject's events, and the end of the last: (subjects + 1,)."""
        return np.concatenate([[0], np.cumsum(self.num_events)])


def plan_batches(
    num_events: NDArray[np.int64], *, batch_events: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Rows of a window as batches of similar length, in random order; rows without events are in none.

    Each batch holds at most `batch_events` padded events (a single longer history is a batch of its own), and
    every row with events is in exactly one.
    """
    order = generator.permutation(len(num_events))
    order = order[num_events[order] > 0]
    order = order[np.argsort(num_events[order], kind="stable")]
    batches, start = [], 0
    lengths = num_events[order]
    while start < len(order):
        stop = start + _largest_count(lengths[start:], batch_events)
        batches.append(order[start:stop])
        start = stop
    return [batches[i] for i in generator.permutation(len(batches))]


def _largest_count(lengths: NDArray[np.int64], batch_events: int) -> int:
    """How many rows from the front of ascending lengths fit: count * longest <= batch_events, at least one."""
    head = lengths[:batch_events]
    fits = np.arange(1, len(head) + 1) * head <= batch_events
    return max(1, int(fits.sum()))


def padded_events(window: Window, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """event_codes_BTE of some rows, zero after each history's end."""
    counts = window.num_events[rows]
    steps = np.arange(int(counts.max()))
    positions = window.offsets[rows][:, None] + steps[None, :]
    valid = steps[None, :] < counts[:, None]
    codes = window.event_codes[np.where(valid, positions, 0)].astype(np.int64)
    codes[~valid] = 0
    return codes
