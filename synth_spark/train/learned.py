"""What the model learned of each sub-column: bits of validation rows, beside those by marginals alone. [torch]"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def learned_bits(
    nats: Sequence[float], training: Sequence[Tensor], validation: Sequence[Tensor]
) -> list[dict[str, float]]:
    """Per sub-column, in bits per validation row (subject or event): `model`, and `marginal`.

    The latter is the cross-entropy of the validation rows under the training rows' marginal, half a row added to each
    code: what a code costs those who know how often each is and nothing else.

    Args:
        nats: of the model, sums over all validation rows.
        training, validation: rows per code.
    """
    found = []
    for by_model, seen, met in zip(nats, training, validation, strict=True):
        smoothed = seen.double() + 0.5
        by_marginal = -float((met.double() * torch.log(smoothed / smoothed.sum())).sum())
        bits = max(float(met.sum()), 1.0) * math.log(2)
        found.append({"model": by_model / bits, "marginal": by_marginal / bits})
    return found
