"""The manifest's files as windows of subjects, each row once an epoch, whichever reader reads them. [plain]"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Protocol
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa

from synth_spark.columns import EVENT_CODES, NUM_EVENTS, STATIC_CODES, SUBJECT_NUMBER
from synth_spark.errors import ContractError
from synth_spark.manifest import DataFile
from synth_spark.seeds import derive
from synth_spark.train.plan import Window
from synth_spark.train.row_groups import READERS, FlatColumns

_MAX_CODES = 16_000_000  # of subjects and events in a shuffle window: 32 MB, and a minute or two of training
_UNREADABLE = (OSError, pa.ArrowException, KeyError)  # missing, truncated, without one of our columns


class SequenceReader(Protocol):
    """What training needs of a reader: the windows of one epoch, each row exactly once, in an order set by the seed."""

    @property
    def num_events(self) -> int:
        """Of one epoch; whoever trains has read it once."""
        ...

    @property
    def num_subjects(self) -> int:
        """Of one epoch."""
        ...

    def windows(self, *, seed: int, shuffle: bool = True) -> Iterator[Window]:
        """One epoch."""
        ...


@dataclass
class ManifestReader:
    """Reads this rank's files, one row group at a time, and joins them into windows.

    files: this rank's share of the manifest, sorted by path.
    reader: name of what reads the files, a key of READERS; rows and their order do not depend on it.
    window_subjects: a window closes once it holds at least this many subjects, or _MAX_CODES codes.
    num_static, num_event: sub-columns.
    num_events: of the last epoch read; 0 before it.
    """

    files: Sequence[DataFile]
    reader: str
    window_subjects: int
    num_static: int
    num_event: int
    num_events: int = 0

    @property
    def num_subjects(self) -> int:
        """Rows of the files."""
        return sum(file.rows for file in self.files)

    def windows(self, *, seed: int, shuffle: bool = True) -> Iterator[Window]:
        """One epoch: each row exactly once, files in an order set by the seed, or as they are listed.

        Raises:
            ContractError: a file cannot be read, or what was read is not what the manifest lists (rows, or checksum
                of subject numbers).
        """
        pending: list[Window] = []
        num_rows = num_events = checksum = 0
        for part in self._row_groups(shuffled(self.files, seed=seed) if shuffle else self.files):
            num_rows += len(part.num_events)
            num_events += len(part.event_codes)
            checksum += int(part.subject_numbers.sum())
            pending.append(part)
            if self._is_full(pending):
                yield _joined(pending)
                pending = []
        expected_checksum = sum(file.subject_number_sum for file in self.files)
        if (num_rows, checksum) != (self.num_subjects, expected_checksum):
            raise ContractError(
                f"manifest lists {self.num_subjects} rows (checksum {expected_checksum}), the reader delivered "
                f"{num_rows} (checksum {checksum}): the sequences table was changed under the manifest; "
                "run encode again"
            )
        self.num_events = num_events
        if pending:
            yield _joined(pending)

    def _is_full(self, parts: list[Window]) -> bool:
        num_codes = sum(part.static_codes.size + part.event_codes.size for part in parts)
        return num_codes >= _MAX_CODES or sum(len(part.num_events) for part in parts) >= self.window_subjects

    def _row_groups(self, files: Sequence[DataFile]) -> Iterator[Window]:
        """As many as the manifest lists: the reader may begin anew after the last one."""
        paths = [_local_path(file) for file in files if file.rows]
        if not paths:
            return
        num_row_groups = sum(file.row_groups for file in files if file.rows)
        try:
            with closing(READERS[self.reader](paths)) as row_groups:
                for columns in islice(row_groups, num_row_groups):
                    yield _window(columns, self.num_static, self.num_event)
        except _UNREADABLE as error:
            raise ContractError(_explained(paths, self.reader, error)) from error


def shuffled(files: Sequence[DataFile], *, seed: int) -> list[DataFile]:
    """In an order set by the seed and places in the list alone; a generator's stream may change with its library."""
    places = sorted(range(len(files)), key=lambda place: derive(seed, "file", place))
    return [files[place] for place in places]


def files_of_rank(files: Sequence[DataFile], *, rank: int, num_ranks: int) -> list[DataFile]:
    """This rank's share: every num_ranks-th file of the sorted list.

    Raises:
        ContractError: no file, or fewer than ranks; a rank without data could only wait for the others.
    """
    if not files:
        raise ContractError(
            "the manifest lists no file of a split that training needs: nobody fell into it; raise split.validation, "
            "lower split.holdout, or bring more subjects"
        )
    if len(files) < num_ranks:
        raise ContractError(
            f"train.num_ranks is {num_ranks}, the split has {len(files)} files and a file is read by one rank only; "
            f"set train.num_ranks to {max(1, len(files))} or less"
        )
    return sorted(files, key=lambda file: file.path)[rank::num_ranks]


def _local_path(file: DataFile) -> str:
    return unquote(urlsplit(file.path).path)


def _explained(paths: Sequence[str], reader: str, error: Exception) -> str:
    """With the file's name, which the libraries' own errors do not always give."""
    reason = f"({type(error).__name__}: {error})"
    for path in paths:
        try:
            for _ in READERS["arrow"]([path]):
                pass
        except _UNREADABLE:
            return (
                f"file {path} of the manifest cannot be read by {reader} {reason}: the sequences table was changed "
                "under the manifest, or the file is damaged; run encode again"
            )
    way_out = "run again" if reader == "arrow" else "set train.reader: arrow"
    return f"{reader} cannot read the manifest's files {reason}, plain pyarrow can; {way_out}"


def _window(columns: FlatColumns, num_static: int, num_event: int) -> Window:
    num_events = columns[NUM_EVENTS]
    return Window(
        subject_numbers=columns[SUBJECT_NUMBER],
        static_codes=columns[STATIC_CODES].reshape(len(num_events), num_static),
        num_events=num_events,
        event_codes=columns[EVENT_CODES].reshape(int(num_events.sum()), num_event),
    )


def _joined(parts: list[Window]) -> Window:
    return Window(
        subject_numbers=np.concatenate([part.subject_numbers for part in parts]),
        static_codes=np.concatenate([part.static_codes for part in parts]),
        num_events=np.concatenate([part.num_events for part in parts]),
        event_codes=np.concatenate([part.event_codes for part in parts]),
    )
