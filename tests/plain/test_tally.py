"""Values counted by subject, against the plainest count of the same rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from synth_spark.codecs.edges import SUBJECT_WEIGHT
from synth_spark.encode import batches, tally

SUBJECTS = some.lists(some.lists(some.one_of(some.none(), some.integers(-3, 9)), min_size=1, max_size=6), max_size=30)


def _batches(subjects: list[list[Any]], kind: pa.DataType, size: int) -> Iterator[pa.RecordBatch]:
    rows = [(n, value) for n, values in enumerate(subjects) for value in values]
    for first in range(0, len(rows), size):
        n, values = zip(*rows[first : first + size], strict=True)
        yield pa.RecordBatch.from_arrays([pa.array(n, pa.int64()), pa.array(values, kind)], names=["n", "v7"])


def _told(parts: Iterator[pa.RecordBatch], what: str) -> list[dict[str, Any]]:
    return [row for part in parts for row in part.to_pylist() if row["what"] == what]


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()], ids=str)
@settings(deadline=None)
@given(subjects=SUBJECTS, size=some.integers(1, 7), rows=some.integers(1, 40))
def test_like_a_naive_count(kind: pa.DataType, subjects: list[list[Any]], size: int, rows: int) -> None:
    held = [[v if v is None or kind == pa.int64() else str(v) for v in values] for values in subjects]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "ROWS", rows)
        parts = list(tally.counted(_batches(held, kind, size), [7], kind))
        (kept,) = [lambda values: pc.is_in(values, value_set=pa.array([0, 1, 2]).cast(kind))]
        strays = list(tally.strays(_batches(held, kind, size), [7], [kept]))
    assert all(part.schema.names == list(tally.NAMES) and set(part["f"].to_pylist()) == {7} for part in parts)
    present = [[v for v in values if v is not None] for values in held]
    present = [values for values in present if values]
    sums: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in _told(parts, tally.VALUE):
        sums[row["v"]].update({name: row[name] for name in "cws"})
    assert sums == {
        value: {
            "c": sum(values.count(value) for values in present),
            "w": sum(SUBJECT_WEIGHT // len(values) * values.count(value) for values in present),
            "s": sum(value in values for values in present),
        }
        for value in {v for values in present for v in values}
    }
    assert sum(row["c"] for row in _told(parts, tally.MISSING)) == sum(values.count(None) for values in held)
    assert sum(row["s"] for row in _told(parts, tally.MISSING)) == sum(None in values for values in held)
    holders = _told(parts, tally.HOLDERS)
    assert sum(row["s"] for row in holders) == len(present)
    assert sum(row["w"] for row in holders) == sum(total["w"] for total in sums.values())
    different: Counter[int] = Counter()
    for row in _told(parts, tally.DIFFERENT):
        different[row["d"]] += row["s"]
    assert different == Counter(len(set(values)) for values in present)
    for what, of in ((tally.LOW, min), (tally.HIGH, max)):
        found = [row["v"] for row in _told(parts, what) for _ in range(row["s"])]
        expected = sorted(map(of, present), reverse=what == tally.HIGH) if kind == pa.int64() else []
        assert sorted(found, reverse=what == tally.HIGH)[: tally.MOST_EXTREME] == expected[: tally.MOST_EXTREME]
    constant = sum(len(values) > 1 and len(set(values)) == 1 for values in held)
    assert sum(row["s"] for row in _told(parts, tally.CONSTANT)) == constant
    away = [[v for v in values if v not in (0, 1, 2, "0", "1", "2")] for values in present]
    assert sum(part["c"][0].as_py() for part in strays) == sum(map(len, away))
    assert sum(part["s"][0].as_py() for part in strays) == sum(map(bool, away))
