"""Planned steps as tensors. [torch]

R random subjects, B batch subjects, T steps of a window, E event and S static sub-columns, as in model/network.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synth_spark.model.network import ModelConfig
from synth_spark.train.plan import Step, Window, padded_events

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Batch:
    """Tensors of one step, on the CPU, and how much of them is real."""

    static_codes: Tensor  # B S
    event_codes: Tensor  # B T E, zero after each history's end
    num_events: Tensor  # B, of the whole history
    random_static_codes: Tensor  # R S
    first_event: int = 0  # of the window; above 0 the batch goes on with the first B subjects of the one before
    random_weight: float = 1.0  # 0 in a batch that only keeps other ranks company

    def inputs(self, device: torch.device = _CPU) -> list[Tensor]:
        """What the model's forward takes, in order, before the past, on its device."""
        parts = [self.static_codes, self.event_codes, self.num_events, self.random_static_codes]
        if device.type == "cuda":  # from pinned memory they are copied while the GPU still works on the step before
            parts = [part.pin_memory() for part in parts]
        return [part.to(device, non_blocking=True) for part in parts]

    @property
    def num_trained(self) -> int:
        """Events that this batch trains."""
        return int((self.num_events - self.first_event).clamp(0, self.event_codes.shape[1]).sum())


def make_batch(window: Window, step: Step) -> Batch:
    """Tensors of one planned step."""
    random_static_codes = _codes(window, step.random_rows)
    if len(step.rows) == 0:
        return _without_events(random_static_codes, window.event_codes.shape[1], random_weight=1.0)
    return Batch(
        static_codes=_codes(window, step.rows),
        event_codes=torch.from_numpy(padded_events(window, step)),
        num_events=torch.from_numpy(window.num_events[step.rows]),
        random_static_codes=random_static_codes,
        first_event=step.first_event,
    )


def company(config: ModelConfig) -> Batch:
    """A batch of weight zero, for a rank that has fewer than the others."""
    static_codes = torch.zeros(1, len(config.static_cardinalities), dtype=torch.int64)
    return _without_events(static_codes, len(config.event_cardinalities), random_weight=0.0)


def _without_events(random_static_codes: Tensor, num_columns: int, *, random_weight: float) -> Batch:
    """One subject of no events stands in, so that every parameter takes part."""
    return Batch(
        static_codes=torch.zeros(1, random_static_codes.shape[1], dtype=torch.int64),
        event_codes=torch.zeros(1, 1, num_columns, dtype=torch.int64),
        num_events=torch.zeros(1, dtype=torch.int64),
        random_static_codes=random_static_codes,
        random_weight=random_weight,
    )


def _codes(window: Window, rows: np.ndarray) -> Tensor:
    return torch.from_numpy(window.static_codes[rows].astype(np.int64))
