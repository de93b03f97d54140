"""Where bins begin and end: weighted quantiles moved to round numbers, every bin with enough subjects. [plain]"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate, pairwise

from synth_spark.codecs.rounding import roundest

SUBJECT_WEIGHT = 2**20  # what one subject weighs in all statistics together
MAX_ATOMS = 100
ATOM_SHARE = 1000  # an atom holds at least one part in so many of the weight
MAX_CODE_ATOMS = 220  # of a column of codes: a number with few values, that hold nearly all of its weight
CODE_SHARE = 0.95  # nearly all
MAX_BINS = 128
SUBJECTS_PER_BIN = 12  # on average
SIGNIFICANT_DIGITS = 4
LINEAR_CELLS = 100_000
EMPTY_SHARE = 8  # a stretch without values that is longer than one part in so many of its bin belongs to none
MAX_CODES = 250  # of atoms and bins together
MAX_TAILS = 24  # bins that halving the outermost ones may add

Cells = Sequence[tuple[int, int]]


def linear_width(low: int, high: int) -> int:
    """Cell width, a power of ten, that divides [low, high] into at most LINEAR_CELLS cells."""
    width = 1
    while (high - low) // width > LINEAR_CELLS:
        width *= 10
    return width


def bins(
    cells: Cells,
    atoms: dict[int, int],
    support: Mapping[int, int],
    low: int | None,
    high: int | None,
    *,
    frequent: Set[int],
    threshold: int,
    steps: Sequence[int],
    most: int = MAX_BINS,
    units: int = 0,
) -> list[tuple[int, int]]:
    """Bins [low, high) for the weight that the atoms leave over; none if too few subjects hold it.

    Long stretches without values lie between bins, not inside: what is decoded lies where values are.

    Args:
        cells: (first unit, weight), ascending, of what lies inside the kept range.
        atoms: unit -> weight, part of the cells' weight.
        support: first unit of a cell -> most subjects that share one value in it.
        low, high: the kept range, as observed; the bins' ends are rounded inward, unless enough subjects share them.
        frequent: values that enough subjects share, atoms or not; `support` tells more of them where cells are narrow.
        threshold: subjects per bin.
        steps: round numbers, descending.
        most: bins of equal weight; halved tails and long empty stretches add to them.
        units: where the kept range has at most so many, each is a bin instead, if enough subjects are in it.
    """
    rest = _without(cells, atoms)
    total = sum(weight for _, weight in rest)
    if low is None or high is None or low > high or total < threshold * SUBJECT_WEIGHT:
        return []
    occupied = Occupied.by(rest, low, high)
    margin = threshold * SUBJECT_WEIGHT
    first, last = _kept_range(occupied, low, high, margin, steps)
    first = low if low in frequent or occupied.is_shared(low, support, threshold) else first
    last = high + 1 if high in frequent or occupied.is_shared(high, support, threshold) else last
    if last - first <= units:
        return _merge(list(range(first, last + 1)), occupied, margin)
    room = MAX_CODES - MAX_TAILS - len(atoms)
    number = max(1, min(most, room, total // (SUBJECTS_PER_BIN * SUBJECT_WEIGHT)))
    found = {first, last}
    for target, slack in _targets(total, number):
        lower, upper, near = _window(occupied, target, slack, margin)
        edge = roundest(lower, upper, steps, near=near)
        if first < edge < last:
            found.add(edge)
    first_merged = _merge(sorted(found), occupied, margin)
    most_codes = MAX_CODES - len(atoms)
    strong = _edges_in_gaps(first_merged, occupied, steps, most=most_codes - len(first_merged))
    merged = _merge(sorted(found | strong), occupied, margin, strong=strong)
    return _part_at_gaps(merged, occupied, margin, steps, most=most_codes)


@dataclass(frozen=True)
class Occupied:
    """The cells that hold values.

    starts: first unit of each; before: weight before each, and of all; linear: greatest width of a cell; high: largest
    unit kept.
    """

    starts: list[int]
    before: list[int]
    linear: int
    high: int

    @classmethod
    def by(cls, cells: Cells, low: int, high: int) -> Occupied:
        """(first unit, weight) of cells of the kept range [low, high], ascending; the outer ones may reach past it."""
        return cls(
            [max(start, low) for start, _ in cells],
            [0, *accumulate(weight for _, weight in cells)],
            linear_width(low, high),
            high,
        )

    def gaps(self, low: int, high: int) -> list[tuple[int, int]]:
        """Stretches [from, to) of a bin between two occupied cells, or beside the first or last one, ascending."""
        inside = self.between(low, high)
        first = bisect_left(self.starts, low)
        ends = [low, *(min(self.end(first + i), high) for i in range(len(inside)))]
        return [(end, start) for end, start in zip(ends, [*inside, high], strict=True) if end < start]

    def long_gaps(self, low: int, high: int) -> list[tuple[int, int]]:
        """Those gaps that are long for the bin."""
        return [(gap, end) for gap, end in self.gaps(low, high) if (end - gap) * EMPTY_SHARE > high - low]

    def weight(self, low: int, high: int) -> int:
        """Weight of the cells that lie in a bin with their whole width: no less than this lies in it."""
        first, last = self._whole(low, high)
        return self.before[last] - self.before[first]

    def between(self, low: int, high: int) -> list[int]:
        """First units of the cells that begin in a bin."""
        return self.starts[bisect_left(self.starts, low) : bisect_left(self.starts, high)]

    def inward(self, low: int, high: int, margin: int, *, down: bool) -> tuple[int, bool]:
        """From the upper end of a stretch of values (`down`), or its lower one, on: the border of the cell with which
        `margin` of weight is reached, or of the last one; and whether that cell has so much by itself.
        """
        first, last = bisect_left(self.starts, low), bisect_left(self.starts, high)
        if first == last:
            return (high if down else low), False
        if down:
            cell = max(first, bisect_right(self.before, self.before[last] - margin) - 1)
        else:
            cell = min(last, bisect_left(self.before, self.before[first] + margin)) - 1
        heavy = self.before[cell + 1] - self.before[cell] >= margin
        return (min(self.end(cell), high) if down else max(self.starts[cell], low)), heavy

    def subjects(self, low: int, high: int, support: Sequence[int]) -> int:
        """No less than this many are in a bin: of the cells that lie in it whole. `support` is that of each cell."""
        first, last = self._whole(low, high)
        return max([self.weight(low, high) // SUBJECT_WEIGHT, *support[first:last]])

    def is_shared(self, unit: int, support: Mapping[int, int], threshold: int) -> bool:
        """Whether a single unit is a cell of its own, of so many subjects at least."""
        i = bisect_left(self.starts, unit)
        alone = i < len(self.starts) and self.starts[i] == unit and self.end(i) == unit + 1
        return alone and support.get(unit, 0) >= threshold

    def _whole(self, low: int, high: int) -> tuple[int, int]:
        """Indices [first, last) of the cells that lie in a bin with their whole width."""
        first, last = bisect_left(self.starts, low), bisect_left(self.starts, high)
        return first, last - (last > first and self.end(last - 1) > high)

    def end(self, i: int) -> int:
        """Where the cell ends; some cells are narrower than `linear`, but none reaches into the next one."""
        start = self.starts[i]
        width = int(min(10 ** max(0, len(str(abs(start))) - SIGNIFICANT_DIGITS), self.linear))
        end = start - start % width + width
        return min(end, self.starts[i + 1] if i + 1 < len(self.starts) else self.high + 1)


def _edges_in_gaps(found: list[tuple[int, int]], occupied: Occupied, steps: Sequence[int], *, most: int) -> set[int]:
    """A round number in each long empty stretch inside a bin; the longest stretches if there are many."""
    gaps = [gap for low, high in found for gap in occupied.long_gaps(low, high) if gap[0] > low and gap[1] < high]
    chosen = sorted(gaps, key=lambda gap: gap[0] - gap[1])[: max(0, most)]
    return {roundest(gap, end, steps) for gap, end in chosen}


def _part_at_gaps(
    found: list[tuple[int, int]], occupied: Occupied, margin: int, steps: Sequence[int], *, most: int
) -> list[tuple[int, int]]:
    """The bins without their long empty stretches; each part keeps `margin` of weight, and there are at most `most`."""
    parted: list[tuple[int, int]] = []
    spare = most - len(found)
    for low, high in found:
        begin = low
        for lasts, firsts in _holes(low, high, occupied, margin, steps):
            last = next((edge for edge in lasts if occupied.weight(begin, edge) >= margin), lasts[-1])
            first = next((edge for edge in firsts if occupied.weight(edge, high) >= margin), firsts[-1])
            if last == low:
                begin = first
            elif first == high:
                parted.append((begin, last))
                begin = high
            elif spare > 0 and min(occupied.weight(begin, last), occupied.weight(first, high)) >= margin:
                parted.append((begin, last))
                begin, spare = first, spare - 1
        if begin < high:
            parted.append((begin, high))
    return parted


def _holes(
    low: int, high: int, occupied: Occupied, margin: int, steps: Sequence[int]
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Where a bin is long empty, ascending: numbers where it may begin, and end, the better first.

    The outermost value beside it may be one subject's. So it is best that the end lies on the values' side, no further
    than `margin` of weight: where one cell has so much beside that cell, else at a round number. Where that leaves too
    little, it is a round number in the empty stretch, no further away than an eighth of what the values beside it
    cover.
    """
    gaps = occupied.long_gaps(low, high)
    covered = [
        start - end for end, start in zip([low, *(e for _, e in gaps)], [*(g for g, _ in gaps), high], strict=True)
    ]
    holes = []
    for i, (gap, end) in enumerate(gaps):
        before, after = (min((end - gap) // 4, max(1, width // 8)) for width in covered[i : i + 2])
        lasts: tuple[int, ...] = (low,)
        firsts: tuple[int, ...] = (high,)
        if gap > low:
            inward, heavy = occupied.inward(gap - covered[i], gap, margin, down=True)
            lasts = (
                inward if heavy else roundest(inward, gap + before, steps, near=gap),
                roundest(min(gap + 1, gap + before), gap + before, steps, near=gap),
            )
        if end < high:
            inward, heavy = occupied.inward(end, end + covered[i + 1], margin, down=False)
            firsts = (
                inward if heavy else roundest(end - after, inward, steps, near=end),
                roundest(end - after, max(end - 1, end - after), steps, near=end),
            )
        holes.append((lasts, firsts))
    return holes


def slice_counts(
    found: Sequence[tuple[int, int]],
    cells: Cells,
    atoms: dict[int, int],
    support: Mapping[int, int],
    low: int | None,
    high: int | None,
    *,
    most: int,
    subjects: int,
) -> list[int]:
    """Into how many equal slices each bin may be cut so that each slice that holds values has enough subjects.

    Counted is no more than is there: the subjects of a slice's most common value, or its weight in subjects.

    Args:
        cells, atoms, support, low, high: as for `bins`.
        most: slices; then half of them, and so on.
        subjects: per slice.
    """
    if low is None or high is None:
        return [1] * len(found)
    rest = _without(cells, atoms)
    occupied = Occupied.by(rest, low, high)
    held = sorted(atoms)
    known = [
        0 if bisect_left(held, start) < bisect_left(held, occupied.end(i)) else support.get(start, 0)
        for i, (start, _) in enumerate(rest)
    ]

    def fits(first: int, last: int, count: int) -> bool:
        width = -(-(last - first) // count)
        return all(
            occupied.subjects(start, min(start + width, last), known) >= subjects
            for start in sorted({first + (unit - first) // width * width for unit in occupied.between(first, last)})
        )

    counts = [most >> i for i in range(most.bit_length())]
    return [next((n for n in counts if n == 1 or fits(low, high, n)), 1) for low, high in found]


def without_empty(found: list[tuple[int, int]], atoms: Sequence[int]) -> list[tuple[int, int]]:
    """The bins that hold at least one unit that is no atom; what an empty one covers, its atoms cover."""
    return [(low, high) for low, high in found if high - low > bisect_left(atoms, high) - bisect_left(atoms, low)]


def _without(cells: Cells, atoms: dict[int, int]) -> list[tuple[int, int]]:
    weights = dict(cells)
    starts = [start for start, _ in cells]
    for unit, weight in atoms.items():
        weights[starts[max(bisect_right(starts, unit) - 1, 0)]] -= weight
    return [(start, weights[start]) for start in starts if weights[start] > 0]


def _kept_range(occupied: Occupied, low: int, high: int, margin: int, steps: Sequence[int]) -> tuple[int, int]:
    """Round numbers inside [low, high + 1], each at most `margin` of weight, or a cell, away from its end.

    `low` and `high` are values of subjects, of single ones perhaps.
    """
    starts, before = occupied.starts, occupied.before
    lowest = bisect_left(starts, low)
    inward = starts[min(max(bisect_right(before, before[lowest] + margin) - 1, 0), len(starts) - 1)]
    if lowest < len(starts) and (end := occupied.end(lowest)) > low + 1:
        inward = max(inward, end)
    first = roundest(low, max(low, min(inward, high)), steps, near=low)
    position = bisect_right(starts, high)
    outward = starts[min(max(bisect_left(before, before[position] - margin), 0), len(starts) - 1)]
    last = roundest(max(first + 1, min(outward, high)), max(first + 1, high + 1), steps, near=high + 1)
    return first, last


def _targets(total: int, number: int) -> list[tuple[int, int]]:
    """(weight below the edge, slack on either side): equal bins, the outermost halved again while subjects suffice."""
    share = total // number
    found = [(total * i // number, share // 4) for i in range(1, number)]
    tail = share // 2
    while tail >= SUBJECTS_PER_BIN * SUBJECT_WEIGHT and len(found) + 2 <= number - 1 + MAX_TAILS:
        found += [(tail, tail // 4), (total - tail, tail // 4)]
        tail //= 2
    return found


def choose_atoms(ranked: Sequence[tuple[int, int]], total: int) -> list[tuple[int, int]]:
    """The frequent exact values of a column, as (unit, weight).

    Args:
        ranked: values with enough subjects, heaviest first, at most MAX_CODE_ATOMS + 1 of them.
        total: weight of all values.
    """
    if len(ranked) <= MAX_CODE_ATOMS and sum(weight for _, weight in ranked) >= CODE_SHARE * total:
        return list(ranked)
    return [(unit, weight) for unit, weight in ranked[:MAX_ATOMS] if weight * ATOM_SHARE >= total]


def _window(occupied: Occupied, target: int, slack: int, margin: int) -> tuple[int, int, int]:
    """Units between which an edge has `target` of the weight below it, give or take `slack`; and the best unit."""
    starts, before = occupied.starts, occupied.before
    last = len(starts) - 1
    nearest = min(max(bisect_left(before, target), 0), last)
    lower = min(bisect_left(before, target - slack), last)
    upper = min(bisect_right(before, target + slack) - 1, last)
    if lower < upper:
        return starts[lower], starts[upper], starts[min(max(nearest, lower), upper)]
    # one border alone will do, beside a heavy cell: the edge lies by that one, for the other may be one subject's value
    border = nearest if lower > upper else lower
    if border == 0:
        return starts[0], starts[0], starts[0]
    end, start = occupied.end(border - 1), starts[border]
    weight_before, weight_after = before[border] - before[border - 1], before[border + 1] - before[border]
    near = start if weight_after > weight_before else end
    if max(weight_before, weight_after) >= margin:  # enough subjects hold that one
        return near, near, near
    return end, start, near


def _merge(
    found: list[int], occupied: Occupied, margin: int, *, strong: Set[int] = frozenset()
) -> list[tuple[int, int]]:
    """Bins of at least `margin` weight each, without what lies outside: an atom may be nearer to that than a bin is.

    Where too little lies before a strong edge for a bin of its own, the bin before it reaches up to it.
    """
    merged: list[int] = [found[0]]
    for edge in found[1:-1]:
        if occupied.weight(edge, found[-1]) < (2 * margin if edge in strong else margin):
            continue
        if occupied.weight(merged[-1], edge) >= margin:
            merged.append(edge)
        elif edge in strong and len(merged) > 1 and merged[-1] not in strong:
            merged[-1] = edge
    merged.append(found[-1])
    return list(pairwise(merged))
