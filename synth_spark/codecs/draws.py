"""Keyed draws of decoding, as arrays: any of them can be made alone and again. [plain]

A hash of seed, subject, step, field and number of the draw. It mixes as SplitMix64 does: Steele, Lea and Flood, "Fast
splittable pseudorandom number generators" (OOPSLA 2014), with the constants of its reference implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Codes = Sequence[NDArray[np.intp]]  # of each sub-column of a field, N each
Draw = Callable[[int], Words]  # number of the draw -> 64 random bits for each row

_GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_DRAWS = 16  # of a field at most


def mixed(words: Words) -> Words:
    """A bijection of 64-bit words in which every bit of the result depends on every bit of the word."""
    words = (words ^ (words >> np.uint64(30))) * _MULTIPLIERS[0]
    words = (words ^ (words >> np.uint64(27))) * _MULTIPLIERS[1]
    return words ^ (words >> np.uint64(31))


class Draws:
    """The draws of rows: of subjects, or of their events.

    Args:
        seed: 0 <= seed < 2**64.
        numbers: what numbers a row, from the widest to the narrowest: subject numbers, steps; N each, not negative.
    """

    def __init__(self, seed: int, *numbers: NDArray[np.int64]) -> None:
        self._rows = mixed(np.full(len(numbers[0]), seed, dtype=np.uint64))
        for number in numbers:
            self._rows = mixed(self._rows + number.astype(np.uint64))

    def of(self, field: int) -> Draw:
        """Those of one field, by its position."""

        def draw(i: int) -> Words:
            assert i < _DRAWS, "the draws of the next field begin there"
            return mixed(self._rows + np.uint64((field * _DRAWS + i + 1) * _GAMMA & 0xFFFFFFFFFFFFFFFF))

        return draw
