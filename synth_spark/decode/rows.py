"""Codes of subjects -> rows of the source's columns and types, as Arrow batches: the mirror of encode. [plain]

What comes out depends on codes, subject number and seed alone. Works for every sequences table: synthetic ones, and
training rows (that is the codecs' round trip).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synth_spark.codebook import Codebook, FieldSpec, SourceTable, synthetic_tables
from synth_spark.codecs import category, number, place, units
from synth_spark.codecs.draws import Codes, Draw, Draws
from synth_spark.codecs.units import IntArray, Units
from synth_spark.columns import EVENT_CODES, EVENT_INDEX, NUM_EVENTS, STATIC_CODES, SUBJECT_NUMBER, SUBJECTS_TABLE
from synth_spark.decode.clock import ClockDecoder, Steps
from synth_spark.decode.keys import key_numbers, keys_of
from synth_spark.seeds import derive

BATCH_EVENTS = 65_536  # decoded at a time, as far as single histories allow: what they need stays in a cache

Decode = Callable[[Codes, Draw], tuple[pa.Array, ...]]


@dataclass(frozen=True)
class _Field:
    """A field with the place of its codes and the decoder of its columns; without columns it decodes to nothing."""

    spec: FieldSpec
    position: int
    codes: slice
    decode: Decode | None

    def values(self, codes: Codes, draws: Draws) -> dict[str, pa.Array]:
        """Its source columns, out of the codes of all fields."""
        if self.decode is None:
            return {}
        found = self.decode(codes[self.codes], draws.of(self.position))
        return dict(zip(self.spec.columns, found, strict=True))


class RowDecoder:
    """Decodes batches of sequences."""

    def __init__(self, codebook: Codebook, *, seed: int) -> None:
        self.subjects_table = subjects_table(codebook)
        self.events_table = codebook.events
        self._seeds = {name: derive(seed, "decode", name) for name in ("static", "event")}
        self._seed = seed
        self._static, self._event = _fields(codebook.static_fields), _fields(codebook.event_fields)
        self._width = len(codebook.event_cardinalities)
        self._clock = ClockDecoder(codebook) if codebook.time is not None else None
        self._time = codebook.time or {}
        self._start = next((field for field in self._static if field.spec is codebook.start), None)

    def subjects(self, sequences: pa.RecordBatch) -> pa.RecordBatch:
        """One row per subject: SUBJECT_NUMBER and the source's columns; no more than the key without such a table."""
        subjects, draws, codes = self._static_codes(sequences)
        values = self._values(self._static, codes, draws)
        if self.subjects_table.key is not None:
            values[self.subjects_table.key] = self._keys(subjects)
        return _batch({SUBJECT_NUMBER: pa.array(subjects)}, self.subjects_table, values)

    def events(self, sequences: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """One row per event: SUBJECT_NUMBER, EVENT_INDEX and the source's columns, subject by subject, in order."""
        lengths = sequences.column(NUM_EVENTS).to_numpy().astype(np.int64)
        for first, stop in _pieces(lengths):
            if lengths[first:stop].any():
                yield self._events(sequences.slice(first, stop - first), lengths[first:stop])

    def _events(self, sequences: pa.RecordBatch, lengths: IntArray) -> pa.RecordBatch:
        table = self.events_table
        assert table is not None and table.key is not None, "flat data have no events"
        steps = Steps.of(lengths)
        codes = _columns(sequences, EVENT_CODES, len(steps.step), self._width)
        subjects, static_draws, static_codes = self._static_codes(sequences)
        draws = Draws(self._seeds["event"], subjects[steps.subject], steps.step)
        values = self._values(self._event, codes, draws)
        if self._clock is not None and self._start is not None and table.order_by is not None:
            starts = self._clock.starts(static_codes[self._start.codes], static_draws.of(self._start.position))
            since = self._event[1].codes.stop
            times = self._clock.times(starts, steps, codes[:since], draws.of(0), draws.of(1))
            values[table.order_by] = units.from_units(self._time["type"], self._time["unit"], Units(times))
        if table.stored_order is not None:
            values[table.stored_order] = units.from_units(table.type_of(table.stored_order), {}, Units(steps.step + 1))
        values[table.key] = self._keys(subjects).take(pa.array(steps.subject))
        own = {
            SUBJECT_NUMBER: pa.array(subjects[steps.subject]),
            EVENT_INDEX: pa.array(steps.step.astype(np.int32)),
        }
        return _batch(own, table, values)

    def _static_codes(self, sequences: pa.RecordBatch) -> tuple[IntArray, Draws, Codes]:
        """Subject numbers, the draws of static fields, and their codes."""
        subjects = sequences.column(SUBJECT_NUMBER).to_numpy()
        width = self._static[-1].codes.stop
        return subjects, Draws(self._seeds["static"], subjects), _columns(sequences, STATIC_CODES, len(subjects), width)

    def _keys(self, subjects: IntArray) -> pa.Array:
        key_type = self.subjects_table.type_of(self.subjects_table.key)
        return keys_of(key_numbers(subjects, key_type, self._seed), key_type)

    @staticmethod
    def _values(fields: Sequence[_Field], codes: Codes, draws: Draws) -> dict[str, pa.Array]:
        return {name: values for field in fields for name, values in field.values(codes, draws).items()}


def subjects_table(codebook: Codebook) -> SourceTable:
    """What the subjects table looks like: without one in the source it holds the events' key only."""
    return synthetic_tables(codebook.subjects, codebook.events)[SUBJECTS_TABLE]


def _fields(specs: Sequence[FieldSpec]) -> list[_Field]:
    found, first = [], 0
    for position, spec in enumerate(specs):
        stop = first + len(spec.cardinalities)
        found.append(_Field(spec, position, slice(first, stop), _decoder(spec) if spec.columns else None))
        first = stop
    return found


def _decoder(spec: FieldSpec) -> Decode:
    if spec.family == "place":
        return place.decoder(spec)
    single = {"category": category, "number": number}[spec.family].decoder(spec)
    return lambda codes, draw: (single(codes, draw),)


def _pieces(lengths: IntArray) -> Iterator[tuple[int, int]]:
    """Runs [first, stop) of rows with BATCH_EVENTS events at most, or a single row with more."""
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        before = ends[first] - lengths[first]
        stop = max(first + 1, int(np.searchsorted(ends, before + BATCH_EVENTS, side="right")))
        yield first, stop
        first = stop


def _columns(sequences: pa.RecordBatch, name: str, rows: int, width: int) -> Codes:
    """The codes of each sub-column, out of lists that hold them row by row."""
    held = sequences.column(name).flatten().to_numpy()
    return list(np.ascontiguousarray(held.reshape(rows, width).T, dtype=np.intp))


def _batch(own: dict[str, pa.Array], table: SourceTable, values: dict[str, pa.Array]) -> pa.RecordBatch:
    names = [column.name for column in table.columns]
    return pa.RecordBatch.from_arrays([*own.values(), *(values[name] for name in names)], names=[*own, *names])
