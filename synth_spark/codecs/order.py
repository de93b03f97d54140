"""Which codes lie beside one another: the order of what a sub-column's codes stand for. [plain]"""

from __future__ import annotations

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import calendar, place

UNORDERED = -1  # rank of a code that has no place in an order: names, missing values

Ranks = tuple[int, ...]


def ranks(spec: FieldSpec) -> list[Ranks]:
    """Per sub-column the rank of every code, from 0 for the code of the smallest values, or UNORDERED."""
    others = [tuple(range(codes)) for codes in spec.cardinalities[1:]]  # slices of a bin
    if spec.family == "number":
        return [_of_number(spec), *others]
    if spec.family == "place":
        return [_of_number(place.cells(spec)), *others]
    if spec.family == "end":
        return [(*_of_number(spec), UNORDERED)]
    if spec.family in ("length", "variety"):
        return [tuple(range(spec.cardinalities[0]))]
    names = [(UNORDERED,) * codes for codes in spec.cardinalities]
    if spec.family == "calendar" and len(names) > 1:
        return [names[0], _of_moments(spec), *others[1:]]
    return names


def _of_number(spec: FieldSpec) -> Ranks:
    """By the middle of what a code stands for."""
    params = spec.params
    middles = [2 * unit for unit in params["atoms"]]
    middles += [low + high - 1 for low, high in zip(params["lows"], params["highs"], strict=True)]
    ascending = sorted(range(len(middles)), key=middles.__getitem__)
    return (UNORDERED,) * int(params["missing"]) + tuple(sorted(range(len(middles)), key=ascending.__getitem__))


def _of_moments(spec: FieldSpec) -> Ranks:
    """Times of day, then gaps."""
    times, gaps = (_of_number(calendar.part(spec, name)) for name in ("times", "gaps"))
    after = max(times, default=UNORDERED) + 1
    return times + tuple(rank + after if rank != UNORDERED else UNORDERED for rank in gaps)
