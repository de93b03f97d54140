"""The manifest's files, streamed through petastorm into windows of subjects; only this module knows it. [torch]

Petastorm 0.13.1 loses row groups when `num_epochs` is finite and mixes epochs when several workers read an
infinite stream, both silently. One worker, an infinite stream, a new reader per epoch and a stop after exactly the
manifest's rows is exact and in a reproducible order (docs/decisions/petastorm-reader.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns import EVENT_CODES, NUM_EVENTS, STATIC_CODES, SUBJECT_NUMBER
from synth_spark.errors import ContractError
from synth_spark.manifest import DataFile
from synth_spark.train.plan import Window

_MAX_CODES = 64_000_000  # of subjects and events in a shuffle window: 128 MB, and as much again while it is joined

_FIELDS = {
    SUBJECT_NUMBER: np.int64,
    STATIC_CODES: np.int16,
    NUM_EVENTS: np.int64,
    EVENT_CODES: np.int16,
}


class SequenceReader(Protocol):
    """What training needs of a reader: the windows of one epoch, each row exactly once, in an order set by the seed."""

    num_events: int  # of one epoch, for progress; 0 if not known

    def windows(self, *, seed: int, shuffle: bool = True) -> Iterator[Window]:
        """One epoch."""
        ...


@dataclass
class PetastormReader:
    """Reads this rank's files, one row group at a time, and joins them into windows.

    files: this rank's share of the manifest.
    window_subjects: a window closes once it holds at least this many subjects, or _MAX_CODES codes.
    num_static, num_event: sub-columns.
    num_events: of the last epoch read; 0 before it.
    """

    files: Sequence[DataFile]
    window_subjects: int
    num_static: int
    num_event: int
    num_events: int = 0

    def windows(self, *, seed: int, shuffle: bool = True) -> Iterator[Window]:
        """One epoch.

        Raises:
            ContractError: what was read is not what the manifest lists (rows, or checksum of subject numbers).
        """
        expected_rows = sum(file.rows for file in self.files)
        pending: list[Window] = []
        num_rows = num_events = checksum = 0
        for part in self._row_groups(expected_rows, seed=seed, shuffle=shuffle):
            num_rows += len(part.num_events)
            num_events += len(part.event_codes)
            checksum += int(part.subject_numbers.sum())
            pending.append(part)
            if self._is_full(pending):
                yield _joined(pending)
                pending = []
        expected_checksum = sum(file.subject_number_sum for file in self.files)
        if (num_rows, checksum) != (expected_rows, expected_checksum):
            raise ContractError(
                f"manifest lists {expected_rows} rows (checksum {expected_checksum}), the reader delivered {num_rows} "
                f"(checksum {checksum}): the sequences table was changed under the manifest; run encode again"
            )
        self.num_events = num_events
        if pending:
            yield _joined(pending)

    def _is_full(self, parts: list[Window]) -> bool:
        num_codes = sum(part.static_codes.size + part.event_codes.size for part in parts)
        return num_codes >= _MAX_CODES or sum(len(part.num_events) for part in parts) >= self.window_subjects

    def _row_groups(self, num_rows: int, *, seed: int, shuffle: bool) -> Iterator[Window]:
        if num_rows == 0:
            return
        reader = _open(self.files, seed=seed, shuffle=shuffle)
        try:
            delivered = 0
            while delivered < num_rows:
                row_group = _unpacked(next(reader), self.num_static, self.num_event)
                delivered += len(row_group.num_events)
                yield row_group
        finally:
            reader.stop()
            reader.join()


def files_of_rank(files: Sequence[DataFile], *, rank: int, num_ranks: int) -> list[DataFile]:
    """This rank's share: every num_ranks-th file of the sorted list.

    Raises:
        ContractError: fewer files than ranks; a rank without data could only wait for the others.
    """
    if len(files) < num_ranks:
        raise ContractError(
            f"train.num_ranks is {num_ranks}, the split has {len(files)} files and a file is read by one rank only; "
            f"set train.num_ranks to {max(1, len(files))} or less"
        )
    return sorted(files, key=lambda file: file.path)[rank::num_ranks]


def _open(files: Sequence[DataFile], *, seed: int, shuffle: bool) -> Any:
    import pyarrow  # noqa: F401  before petastorm: with torch loaded first some builds crash
    from petastorm import make_batch_reader
    from petastorm.transform import TransformSpec

    packed = [(name, np.bytes_, (), False) for name in _FIELDS]
    return make_batch_reader(
        [unquote(file.path) for file in files],  # the manifest has URLs, petastorm takes them for plain paths
        schema_fields=list(_FIELDS),
        num_epochs=None,
        workers_count=1,
        reader_pool_type="thread",
        results_queue_size=2,  # row groups read ahead; one of long histories takes some hundred MB
        shuffle_row_groups=shuffle,
        seed=seed % 2**32,
        transform_spec=TransformSpec(_packed, edit_fields=packed),
    )


def _packed(rows: Any) -> Any:
    """One row group as one row of bytes: lists of unequal length do not pass petastorm, bytes do."""
    import pandas as pd

    flat = {
        SUBJECT_NUMBER: rows[SUBJECT_NUMBER].to_numpy(),
        NUM_EVENTS: rows[NUM_EVENTS].to_numpy(),
        STATIC_CODES: _concatenated(rows[STATIC_CODES]),
        EVENT_CODES: _concatenated(rows[EVENT_CODES]),
    }
    return pd.DataFrame({name: [flat[name].astype(dtype).tobytes()] for name, dtype in _FIELDS.items()})


def _concatenated(lists: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=np.int16), *lists.to_numpy()])


def _unpacked(batch: Any, num_static: int, num_event: int) -> Window:
    flat = {name: np.frombuffer(getattr(batch, name)[0], dtype=dtype) for name, dtype in _FIELDS.items()}
    num_events = flat[NUM_EVENTS]
    return Window(
        subject_numbers=flat[SUBJECT_NUMBER],
        static_codes=flat[STATIC_CODES].reshape(len(num_events), num_static),
        num_events=num_events,
        event_codes=flat[EVENT_CODES].reshape(int(num_events.sum()), num_event),
    )


def _joined(parts: list[Window]) -> Window:
    return Window(
        subject_numbers=np.concatenate([part.subject_numbers for part in parts]),
        static_codes=np.concatenate([part.static_codes for part in parts]),
        num_events=np.concatenate([part.num_events for part in parts]),
        event_codes=np.concatenate([part.event_codes for part in parts]),
    )
