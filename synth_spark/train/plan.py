"""Which events train together: steps planned from lengths. [plain]

Subjects of similar length make a batch; a batch whose histories are long is trained in windows of events, one step
after the other, in the order of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

ABREAST = 24
MIN_BATCH_EVENTS, MAX_BATCH_EVENTS = 256, 4096
ENOUGH_STEPS, MAX_PLENTIFUL_EVENTS = 1000, 8192  # a pass of more steps has larger ones, up to so many events
MIN_SHARE_EVENTS = 64  # of a rank
_RANDOM_ROWS = 8  # a step trains a multiple of this many random subjects (or none): one alone says little
_EVENTS_PER_SUBJECT = 2  # that a subject counts for where nobody has any


@dataclass(frozen=True)
class Window:
    """Subjects held in memory at once. Row i's events are event_codes[offsets[i]:offsets[i + 1]]."""

    subject_numbers: NDArray[np.int64]  # (subjects,)
    static_codes: NDArray[np.int16]  # (subjects, S)
    num_events: NDArray[np.int64]  # (subjects,)
    event_codes: NDArray[np.int16]  # (all events, E)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """First row of each subject's events, and the end of the last: (subjects + 1,)."""
        return np.concatenate([[0], np.cumsum(self.num_events)])

    def first(self, num_subjects: int) -> Window:
        """The foremost subjects alone."""
        rows, events = slice(num_subjects), slice(self.offsets[: num_subjects + 1][-1])
        return Window(
            self.subject_numbers[rows], self.static_codes[rows], self.num_events[rows], self.event_codes[events]
        )


@dataclass(frozen=True)
class Step:
    """What one step trains: a window of events of some subjects, and the static codes of others."""

    rows: Rows  # subjects that have events in the window, by falling length
    first_event: int  # where the window begins; 0 begins a new batch
    num_events: int  # that the longest of them has in the window
    random_rows: Rows  # plain random subjects


def batch_events_for(
    num_events: NDArray[np.int64], window_events: int, *, pass_events: float, num_ranks: int, most_rows: int
) -> int:
    """Padded events of a rank's batch where nobody has set them: ABREAST histories of mean length side by side, more
    where data are plentiful, shared among the ranks.

    Small batches generalise better, and a step costs much that does not depend on its size: a recurrence over long
    histories, the optimizer, small products. Where a pass has steps enough, batches can be larger. All ranks together
    take the batch that one would, so that the learning rate need not know how many they are.

    Args:
        num_events: of the subjects at hand.
        pass_events: events of a pass over the training data, of all ranks.
        most_rows: that a rank has memory for, see model/chunks.py.
    """
    mean = float(np.minimum(num_events, window_events).mean()) if len(num_events) else 0.0
    abreast = np.clip(ABREAST * mean, MIN_BATCH_EVENTS, MAX_BATCH_EVENTS)
    plentiful = min(pass_events / ENOUGH_STEPS, MAX_PLENTIFUL_EVENTS)
    return max(MIN_SHARE_EVENTS, min(int(max(abreast, plentiful)) // num_ranks, most_rows))


def plan_steps(
    num_events: NDArray[np.int64], *, batch_events: int, window_events: int, generator: np.random.Generator
) -> list[Step]:
    """All steps of the subjects held: every event is in exactly one, every subject once in `random_rows`.

    The steps of a batch follow one another and lose the subjects whose history has ended. Where nobody has an event,
    steps hold none.
    """
    batches = plan_batches(num_events, batch_events=batch_events, window_events=window_events, generator=generator)
    parts = [
        (rows[num_events[rows] > first], first, length)
        for rows in batches
        for first, length in even_windows(int(num_events[rows[0]]), window_events)
    ]
    if not parts:
        num_steps = max(1, -(-len(num_events) * _EVENTS_PER_SUBJECT // batch_events))
        parts = [(np.empty(0, dtype=np.int64), 0, 0)] * num_steps
    random_rows = _dealt(generator.permutation(len(num_events)), len(parts))
    return [Step(*part, random) for part, random in zip(parts, random_rows, strict=True)]


def even_windows(num_events: int, most: int) -> list[tuple[int, int]]:
    """(first event, events) of the fewest windows of at most so many events, all but the last equally long.

    Each is a step that counts as much as any other: a short last one would weigh its few events too much.
    """
    length = -(-num_events // -(-num_events // most))
    return [(first, min(length, num_events - first)) for first in range(0, num_events, length)]


def plan_batches(
    num_events: NDArray[np.int64], *, batch_events: int, window_events: int, generator: np.random.Generator
) -> list[Rows]:
    """Rows of similar length, longest first, the batches in random order; rows without events are in none.

    A window of each batch holds at most `batch_events` padded events (one subject alone may exceed it), and every
    row with events is in exactly one batch.
    """
    order = generator.permutation(len(num_events))
    order = order[num_events[order] > 0]
    order = order[np.argsort(num_events[order], kind="stable")]
    batches, start = [], 0
    lengths = np.minimum(num_events[order], window_events)
    while start < len(order):
        stop = start + _largest_count(lengths[start:], batch_events)
        batches.append(order[start:stop][::-1])
        start = stop
    return [batches[i] for i in generator.permutation(len(batches))]


def _largest_count(lengths: NDArray[np.int64], batch_events: int) -> int:
    """How many rows from the front of ascending lengths fit: count * longest <= batch_events, at least one."""
    head = lengths[:batch_events]
    fits = np.arange(1, len(head) + 1) * head <= batch_events
    return max(1, int(fits.sum()))


def _dealt(rows: Rows, num_parts: int) -> list[Rows]:
    """Rows in even parts, each (but the last) of a multiple of _RANDOM_ROWS, or empty where they are too few."""
    cuts = np.arange(1, num_parts) * len(rows) // num_parts
    return np.split(rows, cuts // _RANDOM_ROWS * _RANDOM_ROWS)


def padded_events(window: Window, step: Step) -> NDArray[np.int64]:
    """event_codes_BTE of a step, zero after each history's end."""
    events = step.first_event + np.arange(step.num_events)
    positions = window.offsets[step.rows][:, None] + events
    valid = events < window.num_events[step.rows][:, None]
    codes = window.event_codes[np.where(valid, positions, 0)].astype(np.int64)
    codes[~valid] = 0
    return codes
