"""Which random number decides which code of a chunk of subjects. [plain]

What subjects are and how their histories begin decides most shares that anyone will count in the synthetic data. So
static sub-columns and the first events draw from numbers that lie evenly over subjects (docs/decisions/even-draws.md);
later events, which would need more columns than such sequences serve well, draw independent ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.model.keyed_random import stratified, uniforms

STRATIFIED_EVENTS = 2  # first events of each history


class ChunkDraws:
    """Uniform numbers of consecutive subjects, keyed by (seed, subject, step, column)."""

    def __init__(self, seed: int, first_subject: int, num_subjects: int, *, num_static: int, num_event: int) -> None:
        """num_static, num_event: numbers per subject and per event."""
        self.seed, self.num_event = seed, num_event
        self.subjects = np.arange(first_subject, first_subject + num_subjects, dtype=np.int64)
        columns = num_static + STRATIFIED_EVENTS * num_event
        even = stratified(seed, first_subject, num_subjects, columns)
        self.static, early = np.split(even, [num_static], axis=1)  # static: (subjects, num_static)
        self._early = early.reshape(num_subjects, STRATIFIED_EVENTS, num_event)

    def events(self, rows: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.float32]:
        """uniform_NE of events: rows_N positions of subjects in the chunk, steps_N positions in their histories."""
        draws = np.empty((len(rows), self.num_event), dtype=np.float32)
        even = steps < STRATIFIED_EVENTS
        draws[even] = self._early[rows[even], steps[even]]
        draws[~even] = uniforms(self.seed, self.subjects[rows[~even]], steps[~even], self.num_event)
        return draws
