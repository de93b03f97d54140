"""A learned embedding in which two parts of one history lie close together. [torch]

The attack of Vamosi, Platzer and Reutterer, "AI-based re-identification of behavioral clickstream data" (2022): a
network learns from pairs of parts of the same history, with parts of others as negatives, what stays the same when
no event is shared; then the closest profile is taken for the same person.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

HIDDEN, WIDTH = 256, 32
EPOCHS = 30
BATCH = 256
MARGIN = 0.2
LEARNING_RATE = 1e-3
DROPOUT = 0.2
_SHARPNESS = 20.0
_OUT_OF_REACH = 4.0  # likenesses are within -1 and 1


def fit_profiles(first: np.ndarray, second: np.ndarray, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Learn from two parts of each history; returns what turns points into profiles of length one.

    The loss is that of triplets: an anchor, the other part of its history, and the hardest other history of the batch.

    Args:
        first, second: points of the parts, row by row of the same subjects, shape (subjects, coordinates).
    """
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        points = np.vstack([first, second])
        mean, spread = points.mean(0), points.std(0) + 1e-9
        network = _learned(*(_scaled(part, mean, spread) for part in (first, second))).eval()
    finally:
        torch.random.set_rng_state(state)

    @torch.no_grad()
    def profiles(parts: np.ndarray) -> np.ndarray:
        return _unit(network(_scaled(parts, mean, spread))).double().numpy()

    return profiles


def _learned(first: Tensor, second: Tensor) -> nn.Module:
    network = nn.Sequential(nn.Linear(first.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, WIDTH))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(first)).split(BATCH):
            if len(rows) < 2:
                continue
            optimizer.zero_grad()
            _triplet_loss(_unit(network(first[rows])), _unit(network(second[rows]))).backward()
            optimizer.step()
    return network


def _triplet_loss(anchors: Tensor, others: Tensor) -> Tensor:
    """Mean over anchors of how much closer the hardest stranger is than the own other part, softened at zero."""
    likeness = anchors @ others.T
    strangers = likeness - _OUT_OF_REACH * torch.eye(len(likeness), device=likeness.device)
    # a soft maximum: the very hardest stranger alone lets everything collapse into one point
    hardest = torch.logsumexp(_SHARPNESS * strangers, 1) / _SHARPNESS
    return nn.functional.softplus(_SHARPNESS * (hardest - likeness.diagonal() + MARGIN)).mean()


def _unit(profiles: Tensor) -> Tensor:
    return nn.functional.normalize(profiles, dim=1)


def _scaled(points: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> Tensor:
    return torch.from_numpy((points - mean) / spread).float()
