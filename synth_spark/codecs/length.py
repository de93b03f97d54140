"""How many events a subject has: single lengths where enough subjects share one, ranges elsewhere. [plain]"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synth_spark.codebook import FieldSpec
from synth_spark.codecs.rounding import roundest
from synth_spark.codecs.units import IntArray

NAME = "length"
MAX_CODES = 250


def fit(counts: Sequence[tuple[int, int]], longest: int | None, *, threshold: int) -> FieldSpec:
    """The length field.

    Args:
        counts: (length, subjects), ascending; long ones may be grouped into cells by their first length.
        longest: length of the k-th longest subject; None if there are fewer.
        threshold: subjects that every code must have.
    """
    known = dict(counts)
    limit = longest if longest is not None else 0
    if known.get(limit, 0) < threshold and limit > 1:
        limit = roundest(max(1, limit * 9 // 10), limit, near=limit)
    kept = [(length, subjects) for length, subjects in counts if length <= limit]
    single = sorted(length for length, subjects in sorted(kept, key=lambda item: -item[1]) if subjects >= threshold)
    ranges = _ranges(kept, set(single), limit, threshold)
    if not ranges:
        ranges = [(0, 0)] if known.get(0) and len(known) == 1 else [(1, 1)]
    while len(ranges) > MAX_CODES:  # keep the short ones exact, pair up the long ones
        tail = ranges[MAX_CODES // 2 :]
        pairs = [(tail[i][0], tail[min(i + 1, len(tail) - 1)][1]) for i in range(0, len(tail), 2)]
        ranges = ranges[: MAX_CODES // 2] + pairs
    params = {"lows": [low for low, _ in ranges], "highs": [high for _, high in ranges]}
    return FieldSpec(NAME, "length", "int", (len(ranges),), params)


def longest_kept(spec: FieldSpec) -> int:
    """Events beyond this position are cut."""
    return int(spec.params["highs"][-1])


def encode(spec: FieldSpec, lengths: IntArray) -> IntArray:
    """The code of the range that each length lies in, or of the next shorter one."""
    return np.searchsorted(np.array(spec.params["lows"][1:], dtype=np.int64), lengths, side="right")


def kept(spec: FieldSpec, lengths: IntArray) -> IntArray:
    """The lengths that remain, at most the end of the range that encode chose."""
    return np.minimum(lengths, np.array(spec.params["highs"])[encode(spec, lengths)])


def _ranges(kept: Sequence[tuple[int, int]], single: set[int], limit: int, threshold: int) -> list[tuple[int, int]]:
    """Ranges that each hold at least `threshold` subjects, ending at single lengths or at round numbers."""
    found: list[tuple[int, int]] = []
    held, low = 0, None
    end = limit + 1
    lengths = [length for length, _ in kept]
    for i, (length, subjects) in enumerate(kept):
        if length in single:
            found.append((length, length))
            held, low = 0, None
            continue
        if length == 0:
            continue  # ranges begin at one event: these few subjects must not count for one that leaves them out
        if found and length <= found[-1][1]:
            continue  # the range before was extended to a round number beyond this length
        low = low if low is not None else (found[-1][1] + 1 if found else _round_begin(length))
        held += subjects
        if held >= threshold:
            following = next((other for other in lengths[i + 1 :] if other in single), end)
            reach = min(following - 1, length + max(1, (length - low) // 2), limit)
            found.append((low, max(length, _round_end(length, reach, following))))
            held, low = 0, None
    return found


def _round_begin(length: int) -> int:
    """First length of all ranges: below the shortest history, which may be one subject's, and round."""
    return roundest(max(1, length // 4), max(1, length // 2))


def _round_end(length: int, reach: int, following: int) -> int:
    """Last length of a range: just before a round number, or just before a single length."""
    if reach >= following - 1:
        return following - 1
    return max(length, roundest(length + 1, reach + 1) - 1)
