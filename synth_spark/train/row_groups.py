"""Parquet files as row groups in memory, by petastorm or by plain pyarrow. [plain; petastorm loads where it reads]

Both take the files in the order of the list, so an epoch's order is ours and no library's. Petastorm 0.13.1 loses row
groups when `num_epochs` is finite and mixes epochs when several workers read an infinite stream, both silently. One
worker and an infinite stream that the caller leaves in time is exact (docs/decisions/petastorm-reader.md).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from synth_spark.columns import EVENT_CODES, NUM_EVENTS, STATIC_CODES, SUBJECT_NUMBER

FIELDS = {
    SUBJECT_NUMBER: np.int64,
    STATIC_CODES: np.int16,
    NUM_EVENTS: np.int64,
    EVENT_CODES: np.int16,
}

FlatColumns = dict[str, NDArray[Any]]  # of one row group: by name in FIELDS, lists laid end to end
# Row groups of these local files, in order; after the last one it may begin anew. Closing it frees threads and files.
RowGroups = Callable[[Sequence[str]], Generator[FlatColumns, None, None]]


def _by_petastorm(paths: Sequence[str]) -> Generator[FlatColumns, None, None]:
    from petastorm import make_batch_reader
    from petastorm.transform import TransformSpec

    packed = [(name, np.bytes_, (), False) for name in FIELDS]
    reader = make_batch_reader(
        ["file://" + path for path in paths],  # not percent-encoded: petastorm takes URLs for plain paths
        schema_fields=list(FIELDS),
        num_epochs=None,
        workers_count=1,
        reader_pool_type="thread",
        results_queue_size=2,  # row groups read ahead; one of long histories takes some hundred MB
        shuffle_row_groups=False,
        transform_spec=TransformSpec(_packed, edit_fields=packed),
    )
    try:
        for batch in reader:
            yield {name: np.frombuffer(getattr(batch, name)[0], dtype=dtype) for name, dtype in FIELDS.items()}
    finally:
        reader.stop()
        reader.join()


def _packed(rows: Any) -> Any:
    """One row group as one row of bytes: lists of unequal length do not pass petastorm, bytes do."""
    import pandas as pd

    flat = {
        SUBJECT_NUMBER: rows[SUBJECT_NUMBER].to_numpy(),
        NUM_EVENTS: rows[NUM_EVENTS].to_numpy(),
        STATIC_CODES: _concatenated(rows[STATIC_CODES]),
        EVENT_CODES: _concatenated(rows[EVENT_CODES]),
    }
    return pd.DataFrame({name: [flat[name].astype(dtype).tobytes()] for name, dtype in FIELDS.items()})


def _concatenated(lists: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=np.int16), *lists.to_numpy()])


def _by_arrow(paths: Sequence[str]) -> Generator[FlatColumns, None, None]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            for index in range(file.num_row_groups):
                # one thread: reading is a small part of an epoch, and the other processors belong to torch
                rows = file.read_row_group(index, columns=list(FIELDS), use_threads=False)
                yield {name: _flat(rows[name]).astype(dtype) for name, dtype in FIELDS.items()}


def _flat(column: pa.ChunkedArray) -> NDArray[Any]:
    values = column.combine_chunks()
    return (values.flatten() if pa.types.is_list(column.type) else values).to_numpy(zero_copy_only=False)


READERS: dict[str, RowGroups] = {"petastorm": _by_petastorm, "arrow": _by_arrow}
