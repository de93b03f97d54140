"""Codes of whole subjects: what is cut, what a plan holds, and that the cut of batches changes nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from synth_spark.codebook import Codebook, FieldSpec, SourceTable
from synth_spark.codecs import length, variety
from synth_spark.encode import batches
from synth_spark.encode.clock import end_of
from synth_spark.encode.histories import HistoryEncoder

DAYS = {7: [3, 3, 10], 2: [0], 9: [1, 2, 3, 4, 5, 6]}  # subject -> times; kept are at most four events
VALUES = {7: [5, 5, 6], 2: [6], 9: [5, 6, 5, 6, 5, 6]}


def _counted(name: str, top: int, *, missing: bool = False) -> FieldSpec:
    """A number field with a code for each unit below `top`."""
    params = {"unit": {}, "missing": missing, "atoms": list(range(top)), "lows": [], "highs": []}
    return FieldSpec(name, "number", "bigint", (missing + top,), params)


def _codebook(longest: int) -> Codebook:
    period, elapsed, value = _counted("period", 12), _counted("elapsed", 9), _counted("value", 9)
    own = FieldSpec("variety of value", variety.NAME, "int", (2,), {"lows": [1, 2], "highs": [1, 9]})
    lengths = length.fit([(n, 99) for n in range(longest + 1)], longest, threshold=5)
    return Codebook(
        None,
        SourceTable((), "k", "at"),
        (own, _counted("start", 12, missing=True), end_of(period), lengths),
        (period, elapsed, value),
        {},
        {},
        seed=1,
        varieties=(2,),
        time={"type": "bigint", "unit": {}, "low": 0, "end": 11},
    )


def _rows() -> pa.RecordBatch:
    rows = [(n, time, value) for n in DAYS for time, value in zip(DAYS[n], VALUES[n], strict=True)]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in zip(*rows, strict=True)], names=["n", "u", "x0"])


def _encoded(codebook: Codebook, size: int) -> dict[int, tuple[int, list[int], list[list[int]]]]:
    rows = _rows()
    parts = [rows.slice(first, size) for first in range(0, rows.num_rows, size)]
    told = [row for part in HistoryEncoder(codebook)(parts) for row in part.to_pylist()]
    return {row["n"]: (row["kept"], row["plan"], np.reshape(row["events"], (-1, 3)).tolist()) for row in told}


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize("limit", [1, 5])
def test_codes_of_histories(monkeypatch: pytest.MonkeyPatch, size: int, limit: int) -> None:
    monkeypatch.setattr(batches, "ROWS", limit)
    codebook = _codebook(longest=4)
    same = codebook.event_fields[0].cardinalities[0]  # the end is the period of the first event
    assert _encoded(codebook, size) == {
        # variety, start (after a code for none), end, length; then period, gap and value of each event
        7: (3, [1, 4, 10, 3], [[3, 0, 5], [3, 0, 5], [10, 7, 6]]),
        2: (1, [0, 1, same, 1], [[0, 0, 6]]),
        9: (4, [1, 2, 4, 4], [[1, 0, 5], [2, 1, 6], [3, 1, 5], [4, 1, 6]]),
    }


def test_where_no_event_is_kept_nobody_has_any() -> None:
    codebook = _codebook(longest=0)
    assert _encoded(codebook, 100) == {}
    assert HistoryEncoder(codebook).plan_of_none() == [0, 0, codebook.event_fields[0].cardinalities[0], 0]


def test_batches_end_where_rows_are_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subject 3 has a third of all rows."""
    monkeypatch.setattr(batches, "BYTES", 3_000)
    n = np.repeat(np.arange(10), [5, 5, 5, 30, 5, 5, 5, 5, 5, 5])
    text = pa.array([f"{'x' * 200}{row}" for row in range(len(n))])
    parts = [
        pa.record_batch([pa.array(n[a : a + 7]), text.slice(a, 7)], names=["n", "e0"]) for a in range(0, len(n), 7)
    ]
    found = list(batches.whole_subjects(parts))
    assert 3 <= len(found) <= 6
    assert pa.Table.from_batches(found).to_pydict() == {"n": n.tolist(), "e0": text.to_pylist()}
    seen = [set(batch.column(0).to_pylist()) for batch in found]
    assert sum(len(subjects) for subjects in seen) == 10, "no subject is in two batches"
