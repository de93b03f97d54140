"""How much each event sub-column may make of its past: as much as helps with subjects who did not train. [torch]

What an event makes of its history is learned in part by heart: a history names its subject. Of some columns all of it
is (a departure's minutes), of others little (the airport). So after training each column's use of the past is scaled
down to the share at which validation events cost least. Weights are scaled, the network stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth_spark.model.network import EventNetwork

SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
TRIALS = 2 * len(SHARES)  # how often costs are asked for


@torch.no_grad()
def shrink_past(events: EventNetwork, costs: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Scale what leads from the past to each sub-column; the share of it that was kept, shape (E,).

    First all of the past, then once more what comes of a history's first event, which names its subject best.

    Args:
        costs: of validation events under the weights as they are, in nats, shape (E,). A column's depend on no weights
            but its own, so all columns are tried at once.
    """
    kept = best_shares(events.past_maps(), costs)
    best_shares(events.first_maps(), costs)
    return kept


def best_shares(maps: list[Tensor], costs: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Leave maps, whose first axis are the sub-columns, scaled by the share of SHARES that costs each column least."""
    whole = [part.clone() for part in maps]
    found = []
    for share in SHARES:
        _scale(maps, whole, np.full(len(maps[0]), share))
        found.append(costs())
    best = np.array(SHARES)[np.argmin(found, axis=0)]
    _scale(maps, whole, best)
    return best


def _scale(maps: list[Tensor], whole: list[Tensor], shares: NDArray[np.float64]) -> None:
    for part, of_all in zip(maps, whole, strict=True):
        own = torch.from_numpy(shares).to(of_all).view(-1, *[1] * (of_all.ndim - 1))
        part.copy_(of_all * own)
