"""What a subject's whole history costs under a released model. [torch]"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from synth_spark.model.checkpoint import load_checkpoint
from synth_spark.model.chunks import most_rows_for

_BATCH_EVENTS = 8192  # padded events at once


@torch.no_grad()
def subject_nats(
    model_folder: Path, static_codes: np.ndarray, num_events: np.ndarray, event_codes: np.ndarray
) -> np.ndarray:
    """Negative log likelihoods of histories, in nats, shape (subjects,).

    Args:
        static_codes: shape (subjects, static sub-columns).
        num_events: of whole histories, shape (subjects,).
        event_codes: the first events of every subject, padded, shape (subjects, events, event sub-columns); events
            beyond a history's end count nothing.

    Raises:
        ContractError: the model is missing or damaged.
    """
    model = load_checkpoint(model_folder).model.eval()
    batch_events = min(
        _BATCH_EVENTS, most_rows_for(model.config.static_cardinalities, model.config.event_cardinalities)
    )
    found = np.empty(len(static_codes))
    order = np.argsort(num_events, kind="stable")
    start = 0
    while start < len(order):
        rows = order[start : start + max(1, batch_events // max(1, event_codes.shape[1]))]
        steps = max(1, min(event_codes.shape[1], int(num_events[rows].max(initial=0))))
        static = torch.from_numpy(static_codes[rows].astype(np.int64))
        nats = model.static_nats(static).sum(1).double()
        if event_codes.shape[1] and event_codes.shape[2]:
            events = torch.from_numpy(event_codes[rows, :steps].astype(np.int64))
            lengths = torch.from_numpy(num_events[rows].astype(np.int64))
            nats += model.event_nats(static, events, lengths)[0].double().sum((1, 2))
        found[rows] = nats.numpy()
        start += len(rows)
    return found
