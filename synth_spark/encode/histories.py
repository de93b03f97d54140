"""Values of whole subjects -> their codes, as Arrow batches: the mirror of decode. [plain]"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from synth_spark.codebook import Codebook, FieldSpec
from synth_spark.codecs import calendar, category, length, number, place, variety
from synth_spark.codecs.units import BoolArray, IntArray, Units
from synth_spark.encode.batches import Batches, first_rows, whole_subjects

MOST_CODES = 256  # of a sub-column of a value

Encode = Callable[[pa.Array], list[IntArray]]


def encoder_of(spec: FieldSpec) -> Encode:
    """Values of a field that stands for columns -> codes of each sub-column."""
    if spec.family == "place":
        return number.encoder(place.cells(spec))
    return {"category": category, "number": number}[spec.family].encoder(spec)


class AttributeEncoder:
    """Rows of subjects -> n, split and the codes of their attributes."""

    SCHEMA = "n BIGINT, split STRING, attributes ARRAY<SMALLINT>"

    def __init__(self, codebook: Codebook) -> None:
        self._encoders = [encoder_of(spec) for spec in codebook.static_fields if spec.columns]

    def __call__(self, batches: Batches) -> Iterator[pa.RecordBatch]:
        """Of batches of n, split and the values of each attribute."""
        for batch in batches:
            values = zip(self._encoders, batch.columns[2:], strict=True)
            codes = [code for encode, column in values for code in encode(column)]
            lists = _lists(_matrix(codes, batch.num_rows), np.ones(batch.num_rows, dtype=np.int64))
            columns = [batch.column(0), batch.column(1), lists]
            yield pa.RecordBatch.from_arrays(columns, names=["n", "split", "attributes"])


class HistoryEncoder:
    """Rows of events -> per subject n, how many events are kept, the plan of the history, the codes of the events."""

    SCHEMA = "n BIGINT, kept INT, plan ARRAY<SMALLINT>, events ARRAY<SMALLINT>"

    def __init__(self, codebook: Codebook) -> None:
        self._book = codebook
        self._encoders = [encoder_of(spec) for spec in codebook.value_fields]
        self._lasting = [event_column for event_column, _, _ in codebook.lasting_columns]
        if codebook.time is not None:
            assert codebook.start and codebook.period and codebook.elapsed, "there is a clock"
            self._start, self._end = number.UnitsEncoder(codebook.start), int(codebook.time["end"])
            self._begin = int(codebook.time["low"])
            self._as_first = codebook.period.cardinalities[0]
            self._clock = _clock(codebook.period, codebook.elapsed)
            self._per_day = int(codebook.elapsed.params["per_day"]) if codebook.elapsed.family == "calendar" else None

    def __call__(self, batches: Batches) -> Iterator[pa.RecordBatch]:
        """Of batches of n, with a clock the time u, and the values of each field; subject by subject, in order."""
        for batch in whole_subjects(batches):
            kept, lengths = self._cut(batch)
            if len(lengths):
                yield self._encoded(kept, lengths)

    def plan_of_none(self) -> list[int]:
        """The plan of a subject without events."""
        none = np.zeros(1, dtype=np.int64)
        codes = [none] * len(self._lasting)
        codes += [variety.encode(spec, none) for _, _, spec in self._book.planned_varieties]
        if self._book.time is not None:
            codes += [*self._start(Units(none, none == 0)), none + self._as_first]
        return [int(code[0]) for code in [*codes, length.encode(self._book.length, none)]]

    def _cut(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, IntArray]:
        """The events that are kept, and of each subject that keeps any how many it had."""
        lengths = _lengths(first_rows(batch))
        kept = length.kept(self._book.length, lengths)
        if (kept == lengths).all():
            return batch, lengths
        step = np.arange(batch.num_rows) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return batch.filter(pa.array(step < np.repeat(kept, lengths))), lengths[kept > 0]

    def _encoded(self, batch: pa.RecordBatch, had: IntArray) -> pa.RecordBatch:
        is_first = first_rows(batch)
        columns = batch.columns[1:]
        times = None if self._book.time is None else np.clip(columns.pop(0).to_numpy(), self._begin, self._end)
        lengths, codes = _lengths(is_first), self._event_codes(times, columns, is_first)
        plan = self._plan(times, codes, is_first, had)
        lists = [_lists(plan, np.ones_like(lengths)), _lists(codes, lengths)]
        found = [batch.column(0).filter(pa.array(is_first)), pa.array(lengths.astype(np.int32)), *lists]
        return pa.RecordBatch.from_arrays(found, names=["n", "kept", "plan", "events"])

    def _event_codes(self, times: IntArray | None, values: list[pa.Array], is_first: BoolArray) -> IntArray:
        codes = [] if times is None else self._clock(times, is_first)
        codes += [code for encode, column in zip(self._encoders, values, strict=True) for code in encode(column)]
        return _matrix(codes, len(is_first))

    def _plan(self, times: IntArray | None, codes: IntArray, is_first: BoolArray, had: IntArray) -> IntArray:
        """The codes of what is known before a subject's first event; `had` counts those that were cut, too."""
        first, subject = np.flatnonzero(is_first), np.cumsum(is_first) - 1
        plan = [codes[first, position] for position in self._lasting]
        for position, _, spec in self._book.planned_varieties:
            different = np.unique(subject * MOST_CODES + codes[:, position]) // MOST_CODES
            plan.append(variety.encode(spec, np.bincount(different)))
        if times is not None:
            begin = times[first]
            plan += self._start(Units(calendar.weeks_of(begin, self._per_day) if self._per_day else begin))
            last = codes[np.append(first[1:], len(codes)) - 1, 0]
            plan.append(np.where(last != codes[first, 0], last, self._as_first))
        return _matrix([*plan, length.encode(self._book.length, had)], len(first))


def _clock(period: FieldSpec, elapsed: FieldSpec) -> Callable[[IntArray, BoolArray], list[IntArray]]:
    """Times, and whether each is the first of its history -> codes of both fields."""
    if elapsed.family == "calendar":
        return calendar.DateEncoder(period, elapsed)
    of_period, of_gap = number.UnitsEncoder(period), number.UnitsEncoder(elapsed)

    def encode(times: IntArray, is_first: BoolArray) -> list[IntArray]:
        gaps = np.where(is_first, 0, times - np.roll(times, 1))
        return [*of_period(Units(times)), *of_gap(Units(gaps))]

    return encode


def _lengths(is_first: BoolArray) -> IntArray:
    """Events of each subject."""
    return np.diff(np.flatnonzero(np.append(is_first, True)))


def _matrix(codes: Sequence[IntArray], rows: int) -> IntArray:
    """N x sub-columns."""
    return np.stack(codes, axis=1) if codes else np.empty((rows, 0), dtype=np.int64)


def _lists(codes: IntArray, rows: IntArray) -> pa.Array:
    """A list of so many rows of codes for each subject, row by row."""
    offsets = np.concatenate([[0], np.cumsum(rows)]) * codes.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(codes.ravel().astype(np.int16)))
