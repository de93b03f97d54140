"""Arrow batches of events, subject by subject, cut between subjects. [plain]"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from synth_spark.codecs.units import BoolArray

ROWS = 262_144  # of a batch, and as many as the last subject has more
BYTES = 2**28  # likewise: rows may be wide, or their texts long

Batches = Iterable[pa.RecordBatch]


def whole_subjects(batches: Batches) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of whole subjects; the first column numbers the subject, whose rows lie together."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in filter(len, batches):
        held.append(batch)
        rows, size = rows + len(batch), size + batch.nbytes
        # a subject longer than a batch is joined once, when the next one begins
        if (rows >= ROWS or size >= BYTES) and held[0].column(0)[0] != batch.column(0)[-1]:
            whole = _joined(held)
            n = whole.column(0).to_numpy()
            last = int(np.flatnonzero(n != n[-1])[-1]) + 1
            yield whole.slice(0, last)
            held = [whole.slice(last)]
            rows, size = len(held[0]), held[0].nbytes
    if held:
        yield _joined(held)


def first_rows(batch: pa.RecordBatch) -> BoolArray:
    """Whether a row is its subject's first."""
    n = batch.column(0).to_numpy()
    is_first = np.ones(len(n), dtype=bool)
    is_first[1:] = n[1:] != n[:-1]
    return is_first


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches)
    return pa.RecordBatch.from_arrays([pa.concat_arrays(c.chunks) for c in table.columns], names=table.column_names)
