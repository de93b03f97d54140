"""Keyed random numbers, so that any draw can be made alone and again. [plain]

`uniforms` are independent: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3" (SC 2011), checked in the tests against the authors' known-answer vectors. `stratified` are spread evenly over
subjects: Sobol's sequence with a random linear scramble and shift (Matousek, "On the L2-discrepancy for anchored
boxes", 1998), as scipy has it.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)

_BITS = 32  # of a subject's number

Words = NDArray[np.uint64]


def philox4x32(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Ten rounds over arrays of 32-bit words (held in uint64); four arrays of 32-bit words of the same shape."""
    x0, x1, x2, x3 = counter
    key0, key1 = key
    for _ in range(10):
        product0, product1 = x0 * _MULTIPLIERS[0], x2 * _MULTIPLIERS[1]
        x0, x1, x2, x3 = (
            (product1 >> _SHIFT) ^ x1 ^ np.uint64(key0),
            product1 & _LOW,
            (product0 >> _SHIFT) ^ x3 ^ np.uint64(key1),
            product0 & _LOW,
        )
        key0, key1 = (key0 + _WEYL[0]) & 0xFFFFFFFF, (key1 + _WEYL[1]) & 0xFFFFFFFF
    return x0, x1, x2, x3


def uniforms(seed: int, subjects: NDArray[np.int64], steps: NDArray[np.int64], num_columns: int) -> NDArray[np.float32]:
    """uniform_NC in [0, 1), keyed by (seed, subject, step, column) and by nothing else.

    Args:
        seed: run seed, 0 <= seed < 2**64.
        subjects: subject number of each row, shape N.
        steps: step of each row, shape N, below 2**32.
        num_columns: C.
    """
    subject_words = subjects.astype(np.uint64)
    key = (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF)
    out = np.empty((len(subjects), num_columns), dtype=np.float32)
    for first in range(0, num_columns, 4):
        block = np.full(len(subjects), first // 4, dtype=np.uint64)
        counter = (subject_words & _LOW, subject_words >> _SHIFT, steps.astype(np.uint64), block)
        for lane, words in enumerate(philox4x32(counter, key)[: num_columns - first]):
            out[:, first + lane] = (words >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    return out


def stratified(seed: int, first_subject: int, num_subjects: int, num_columns: int) -> NDArray[np.float32]:
    """uniform_NC in [0, 1) of consecutive subjects, keyed by (seed, subject, column) and by nothing else.

    Each number is uniform, but those of many subjects lie more evenly than independent ones: shares that subjects
    bring about come out closer to their probabilities.

    Args:
        first_subject: number of the first row's subject; all below 2**32.
        num_columns: C, at most 21,201.

    Raises:
        ValueError: there are no more than 2**32 subjects.
    """
    if first_subject + num_subjects > 2**_BITS:
        raise ValueError(f"{num_subjects} subjects from {first_subject} on: at most 2**{_BITS} have even draws")
    points = qmc.Sobol(num_columns, scramble=True, bits=_BITS, rng=np.random.default_rng(seed))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The balance properties of Sobol'")  # any prefix serves us
        if first_subject:
            _go_to(points, first_subject)
        found = points.random(num_subjects)
    return np.minimum(found.astype(np.float32), np.float32(1 - 2.0**-24))


def _go_to(points: qmc.Sobol, number: int) -> None:
    """As points.fast_forward(number), which takes as long as drawing all of them: number may be a billion.

    Point i is the shift and the direction numbers of the bits that are set in i's Gray code; scipy keeps the last one.
    """
    last = number - 1
    gray = last ^ last >> 1
    for bit in range(_BITS):
        if gray >> bit & 1:
            points._quasi ^= points._sv[:, bit]
    points.num_generated = number
