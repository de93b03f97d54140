"""Round numbers: where bin edges and clip bounds may lie. [plain]

An edge as observed is somebody's value. Each edge is therefore moved to the roundest number inside a window
that the data leaves open, and a number's roundness depends on the number alone.
"""

from __future__ import annotations

from collections.abc import Sequence

DECIMAL_STEPS: tuple[int, ...] = tuple(sorted((m * 10**e for e in range(19) for m in (1, 2, 5)), reverse=True))

_SECOND = 1_000_000
_CLOCK = [
    *(m * 10**e for e in range(6) for m in (1, 2, 5)),
    *(m * _SECOND for m in (1, 2, 5, 10, 15, 30)),
    *(m * 60 * _SECOND for m in (1, 2, 5, 10, 15, 30)),
    *(m * 3600 * _SECOND for m in (1, 2, 3, 6, 12)),
    *(m * 10**e * 86400 * _SECOND for e in range(6) for m in (1, 2, 5)),
]


def clock_steps(micros: int) -> tuple[int, ...]:
    """Round steps of time, in units of `micros` microseconds, longest first: days, hours, minutes, seconds."""
    return tuple(sorted({step // micros for step in _CLOCK if step % micros == 0}, reverse=True))


def roundest(low: int, high: int, steps: Sequence[int] = DECIMAL_STEPS, *, near: int | None = None) -> int:
    """The number in [low, high] that is a multiple of the longest step, closest to `near`.

    Args:
        steps: descending, ending in 1.
    """
    assert low <= high, "an empty window holds no number"
    near = (low + high) // 2 if near is None else min(max(near, low), high)
    for step in steps:
        first = -(-low // step) * step
        if first > high:
            continue
        below = near // step * step
        candidates = [number for number in (below, below + step, first) if low <= number <= high]
        return min(candidates, key=lambda number: (abs(number - near), number))
    return low
