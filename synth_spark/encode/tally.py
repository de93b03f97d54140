"""Values counted by subject, in arrays: what fitting asks of the rows themselves. [plain]

Weights are SUBJECT_WEIGHT spread evenly over a subject's values of a field, so that everybody weighs the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth_spark.codecs.edges import SUBJECT_WEIGHT
from synth_spark.codecs.units import IntArray
from synth_spark.encode.batches import Batches, first_rows, whole_subjects

MOST_EXTREME = 8  # subjects: the highest threshold that seeds.keyed_threshold gives

# what a row of a tally tells, of field f; `v` is the value that it is about, null where it is about none
VALUE = "value"  # rows c, weight w and subjects s of a value
MISSING = "missing"  # rows c without a value, and subjects s with such a row
HOLDERS = "holders"  # subjects s with any value, and weight w of all
LOW, HIGH = "low", "high"  # subjects s whose smallest, greatest value is v: of the most extreme subjects only
DIFFERENT = "different"  # subjects s with d different values
CONSTANT = "constant"  # subjects s of several rows that all have one value, or none
NAMES = ("what", "f", "v", "d", "c", "w", "s")

IsKept = Callable[[pa.Array], pa.Array]  # values -> booleans


def counted(batches: Batches, fields: Sequence[int], value_type: pa.DataType) -> Iterator[pa.RecordBatch]:
    """Rows of a tally (NAMES), each value of a field once for each part of the rows.

    Args:
        batches: `n`, subject by subject, then a column for each of `fields`.
    """
    for part in whole_subjects(batches):
        subject = np.cumsum(first_rows(part), dtype=np.int64) - 1
        for f, values in zip(fields, part.columns[1:], strict=True):
            for told in _told(subject, values):
                yield told.as_rows(f, value_type)


def strays(batches: Batches, fields: Sequence[int], is_kept: Sequence[IsKept]) -> Iterator[pa.RecordBatch]:
    """Field f, rows c and subjects s with a value that is not kept; in parts, as `counted` has it."""
    for part in whole_subjects(batches):
        subject = np.cumsum(first_rows(part), dtype=np.int64) - 1
        for f, values, kept in zip(fields, part.columns[1:], is_kept, strict=True):
            holder, present = _present(subject, values)
            away = holder[~kept(present).to_numpy(zero_copy_only=False)]
            found = {"f": np.array([f], dtype=np.int32), "c": np.array([len(away)]), "s": np.array([_kinds(away)])}
            yield pa.RecordBatch.from_arrays([pa.array(each) for each in found.values()], names=list(found))


@dataclass(frozen=True)
class _Told:
    """Some rows of a tally, as many as `s` is long; what is None is null."""

    what: str
    s: IntArray
    v: pa.Array | None = None
    d: IntArray | None = None
    c: IntArray | None = None
    w: IntArray | None = None

    def as_rows(self, f: int, value_type: pa.DataType) -> pa.RecordBatch:
        number = len(self.s)
        numbers = [pa.nulls(number, pa.int64()) if n is None else pa.array(n) for n in (self.d, self.c, self.w, self.s)]
        values = pa.nulls(number, value_type) if self.v is None else self.v
        field = pa.array(np.full(number, f, dtype=np.int32))
        return pa.RecordBatch.from_arrays([pa.array([self.what] * number), field, values, *numbers], names=NAMES)


def _told(subject: IntArray, values: pa.Array) -> Iterator[_Told]:
    all_rows = np.bincount(subject)
    holder, present = _present(subject, values)
    held_rows = np.bincount(holder, minlength=len(all_rows))
    never = np.count_nonzero((all_rows > 1) & (held_rows == 0))
    lacking = np.count_nonzero(held_rows < all_rows)
    yield _Told(MISSING, np.array([lacking]), c=np.array([len(values) - len(present)]))
    yield _Told(CONSTANT, np.array([never]))
    if not len(present):
        return
    coded = present.dictionary_encode()
    kinds = len(coded.dictionary)
    pairs, rows = np.unique(holder * kinds + coded.indices.to_numpy(), return_counts=True)
    holder, kind = np.divmod(pairs, kinds)
    weights = SUBJECT_WEIGHT // held_rows[holder] * rows
    # sums below 2**53 are exact
    rows_of, weight_of = (np.bincount(kind, weights=each).astype(np.int64) for each in (rows, weights))
    yield _Told(VALUE, np.bincount(kind), v=coded.dictionary, c=rows_of, w=weight_of)
    holders, first, different = np.unique(holder, return_index=True, return_counts=True)
    yield _Told(HOLDERS, np.array([len(holders)]), w=np.array([weights.sum()]))
    always = (different == 1) & (held_rows[holders] == all_rows[holders]) & (all_rows[holders] > 1)
    yield _Told(CONSTANT, np.array([np.count_nonzero(always)]))
    numbers, subjects = np.unique(different, return_counts=True)
    yield _Told(DIFFERENT, subjects, d=numbers)
    if not pa.types.is_string(present.type):
        held = coded.dictionary.to_numpy()[kind]
        yield _most_extreme(LOW, np.minimum.reduceat(held, first))
        yield _most_extreme(HIGH, np.maximum.reduceat(held, first))


def _most_extreme(what: str, values: NDArray[np.generic]) -> _Told:
    """Of the values of subjects."""
    number = min(MOST_EXTREME, len(values))
    ordered = np.partition(values, number - 1 if what == LOW else len(values) - number)
    found, subjects = np.unique(ordered[:number] if what == LOW else ordered[-number:], return_counts=True)
    return _Told(what, subjects, v=pa.array(found))


def _present(subject: IntArray, values: pa.Array) -> tuple[IntArray, pa.Array]:
    """Subject and value of the rows that have one."""
    if not values.null_count:
        return subject, values
    return subject[values.is_valid().to_numpy(zero_copy_only=False)], values.drop_null()


def _kinds(ascending: IntArray) -> int:
    return int(np.count_nonzero(np.diff(ascending))) + bool(len(ascending))
