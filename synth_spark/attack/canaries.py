"""Secrets that are planted among the training subjects, and how well a model that saw them knows them. [plain]

Exposure after Carlini et al., "The Secret Sharer: Evaluating and Testing Unintended Memorization in Neural Networks"
(USENIX Security 2019): how far a planted secret is ahead of secrets of the same kind that nobody saw.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from synth_spark.codebook import Codebook
from synth_spark.errors import ConfigError
from synth_spark.rates import attack

OTHERS = 1_000  # secrets that are not planted; exposure is at most the binary logarithm of this and one
_TIME_FIELDS = 2


def secret_columns(codebook: Codebook) -> tuple[list[int], list[int]]:
    """Static and event sub-columns that can hold any code: neither time nor length, nor bound to other codes.

    Raises:
        ConfigError: there are none.
    """
    starts = list(accumulate((len(spec.cardinalities) for spec in codebook.event_fields), initial=0))
    bound = (
        set(range(_TIME_FIELDS if codebook.time is not None else 0)) | set(codebook.lasting) | set(codebook.varieties)
    )
    fields = [number for number in range(len(codebook.event_fields)) if number not in bound]
    event = [column for number in fields for column in range(starts[number], starts[number + 1])]
    attributes = len(codebook.static_fields) - len(codebook.varieties) - (3 if codebook.time is not None else 1)
    own = 0 if codebook.event_fields else attributes
    static = list(range(sum(len(spec.cardinalities) for spec in codebook.static_fields[:own])))
    if not static and not event:
        raise ConfigError(
            "qa.canaries: no column of these data can hold a secret, since all are bound to the clock or to the "
            "subject; set it to 0"
        )
    return static, event


def with_secrets(
    codes: np.ndarray, columns: list[int], cardinalities: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """A copy with every code of some columns drawn anew, each as likely as the other; columns are the last axis."""
    found = codes.copy()
    for column in columns:
        found[..., column] = rng.integers(0, cardinalities[column], found.shape[:-1])
    return found


def exposure_figures(planted: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """canaries.*: of nats of planted secrets and of others under the model that saw the planted ones.

    canaries.exposure: mean over planted secrets of log2(others + 1) - log2(rank), in bits, ties counted half;
    canaries.exposure.max: of the best known; canaries.exposure.expected: the mean where nothing was learned by heart;
    canaries.auc with its interval: planted against others.
    """
    ranks = 1 + (others < planted[:, None]).sum(1) + (others == planted[:, None]).sum(1) / 2
    exposure = np.log2(len(others) + 1) - np.log2(ranks)
    chance = np.log2(len(others) + 1) - np.log2(np.arange(1, len(others) + 2))
    scores = -np.concatenate([planted, others])
    found = attack(np.repeat([1, 0], [len(planted), len(others)]), scores)
    return {
        "canaries.count": float(len(planted)),
        "canaries.exposure": float(exposure.mean()),
        "canaries.exposure.max": float(exposure.max()),
        "canaries.exposure.expected": float(chance.mean()),
        **found.auc.named("canaries.auc"),
    }
