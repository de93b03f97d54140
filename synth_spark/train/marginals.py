"""Marginals of every sub-column. [torch]"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth_spark.model.network import ModelConfig


class Marginals:
    """Counts per code. Static codes count one; an event's codes one, or one over its subject's events."""

    def __init__(self, config: ModelConfig, *, by_subject: bool) -> None:
        """by_subject: each subject has the same weight, however many events it has."""
        self.by_subject = by_subject
        self.static = [np.zeros(cardinality) for cardinality in config.static_cardinalities]
        self.event = [np.zeros(cardinality) for cardinality in config.event_cardinalities]

    def add(
        self, static_codes: NDArray[np.int16], num_events: NDArray[np.int64], event_codes: NDArray[np.int16]
    ) -> None:
        """Count more subjects: static_codes_NS, their numbers of events, and all their event_codes in order."""
        for column, counts in enumerate(self.static):
            counts += np.bincount(static_codes[:, column], minlength=len(counts))
        weights = np.repeat(1.0 / np.maximum(num_events, 1), num_events) if self.by_subject else None
        for column, counts in enumerate(self.event):
            counts += np.bincount(event_codes[:, column], weights=weights, minlength=len(counts))

    def tensors(self) -> list[Tensor]:
        """Static sub-columns, then event ones."""
        return [torch.from_numpy(counts) for counts in (*self.static, *self.event)]
