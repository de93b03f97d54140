"""How many different codes of a field a history holds: part of its subject's plan, known before its events. [plain]"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from synth_spark.codebook import FieldSpec
from synth_spark.codecs.units import IntArray

NAME = "variety"
PER_OCTAVE = 4  # ranges of numbers of codes: single up to 7, then by a fifth


def fit(field: FieldSpec, counts: Sequence[tuple[int, int]], *, threshold: int) -> FieldSpec:
    """The variety of a field.

    Args:
        counts: (different codes in a history, subjects), ascending.
        threshold: subjects that every range must have.
    """
    most = field.cardinalities[0]
    grid = sorted({round(2 ** (step / PER_OCTAVE)) for step in range(PER_OCTAVE * most.bit_length())})
    lows = [1]
    for low in grid[1:]:
        below = sum(subjects for number, subjects in counts if lows[-1] <= number < low)
        above = sum(subjects for number, subjects in counts if number >= low)
        if below >= threshold and above >= threshold:
            lows.append(low)
    highs = [*(low - 1 for low in lows[1:]), most]
    return FieldSpec(f"variety of {field.name}", NAME, "int", (len(lows),), {"lows": lows, "highs": highs})


def expected(weights: Mapping[int, int], lengths: Sequence[tuple[int, int]]) -> float:
    """Sum over all subjects of the different codes that they would have if all events were independent draws.

    Args:
        weights: of each code.
        lengths: (events, subjects).
    """
    total = sum(weights.values())
    never = [math.log1p(-min(weight / total, 1 - 1e-12)) for weight in weights.values()]
    return sum(subjects * sum(-math.expm1(length * log) for log in never) for length, subjects in lengths)


def encode(spec: FieldSpec, numbers: IntArray) -> IntArray:
    """The code of the range that each number of different codes lies in."""
    code: IntArray = np.searchsorted(np.array(spec.params["lows"][1:], dtype=np.int64), numbers, side="right")
    return code
