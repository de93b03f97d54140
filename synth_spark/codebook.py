"""The codebook: all that fitting learned, and nothing that protection removed. [plain]

It is the only thing that encode, train, sample, decode and qa share about the meaning of codes. Its
fingerprint (a digest of canonical JSON) travels on every table, manifest and checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from synth_spark.columns import EVENTS_TABLE, SUBJECTS_TABLE
from synth_spark.errors import ContractError
from synth_spark.files import replace_text
from synth_spark.json_file import read_json

FORMAT = 6


@dataclass(frozen=True)
class SourceColumn:
    """One column of a source table, in the source's order."""

    name: str
    type: str  # Spark's simpleString: "bigint", "decimal(10,2)", "date", ...


@dataclass(frozen=True)
class SourceTable:
    """What decode must rebuild: the schema that was read."""

    columns: tuple[SourceColumn, ...]
    key: str | None  # None: flat data without a key
    order_by: str | None = None  # of events: the clock, which is learned
    stored_order: str | None = None  # of events without a clock: 1, 2, ... in synthetic histories

    @property
    def attributes(self) -> tuple[SourceColumn, ...]:
        """Columns that are learned as values: neither key nor order."""
        return tuple(c for c in self.columns if c.name not in (self.key, self.order_by, self.stored_order))

    def type_of(self, name: str | None) -> str:
        """Spark type of a column."""
        return next(column.type for column in self.columns if column.name == name)


def synthetic_tables(subjects: SourceTable | None, events: SourceTable | None) -> dict[str, SourceTable]:
    """What the synthetic tables look like: without subjects in the source theirs holds the events' key only."""
    if subjects is None:
        assert events is not None, "a source has at least one table"
        subjects = SourceTable(tuple(c for c in events.columns if c.name == events.key), events.key)
    return {SUBJECTS_TABLE: subjects} | ({EVENTS_TABLE: events} if events is not None else {})


@dataclass(frozen=True)
class FieldSpec:
    """One field: a source column, two of them (a place), or a derived one (start, length, period, elapsed).

    `columns` names the source columns that it decodes to; a derived field has none. `params` are those of the family's
    codec; others read of them what they must know of a field's axis. `protection` counts what was done to the field, in
    subjects and rows.
    """

    name: str
    family: str  # a module of synth_spark.codecs, or what stands for one: the end of a history
    source_type: str
    cardinalities: tuple[int, ...]  # one per sub-column
    params: dict[str, Any]
    columns: tuple[str, ...] = ()
    protection: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Codebook:
    """Fields in model order: static = attributes and a history's plan; event = period, elapsed, then the rest.

    The plan is settled before the first event: lasting, varieties, start, end, length. Without a clock there is neither
    start nor end nor period nor elapsed; without events there are no event fields either, and
    the length is 0 for everybody. `lasting` are those event fields (their positions) that hardly ever change within a
    history: the first event's codes are fields of the subject, too. `varieties` are those whose histories repeat
    themselves: how many different codes a history holds is a field of the subject.
    """

    subjects: SourceTable | None
    events: SourceTable | None
    static_fields: tuple[FieldSpec, ...]
    event_fields: tuple[FieldSpec, ...]
    num_subjects: dict[str, int]  # split -> subjects
    num_events: dict[str, int]  # split -> events
    seed: int
    lasting: tuple[int, ...] = ()
    varieties: tuple[int, ...] = ()
    time: dict[str, Any] | None = None  # the clock: type, unit, protected end; None without one
    format: int = FORMAT

    @property
    def static_cardinalities(self) -> tuple[int, ...]:
        """One per static sub-column, in model order."""
        return tuple(c for spec in self.static_fields for c in spec.cardinalities)

    @property
    def event_cardinalities(self) -> tuple[int, ...]:
        """One per event sub-column, in model order."""
        return tuple(c for spec in self.event_fields for c in spec.cardinalities)

    @property
    def length(self) -> FieldSpec:
        """The length field: last static field, one sub-column; params hold `lows` and `highs` (inclusive) per code."""
        spec = self.static_fields[-1]
        assert spec.family == "length", "the last static field is the sequence length"
        return spec

    @property
    def start(self) -> FieldSpec | None:
        """When a history begins; None without a clock."""
        return self.static_fields[-3] if self.time is not None else None

    @property
    def period(self) -> FieldSpec | None:
        """When an event is: its week, or roughly on a clock that only counts; None without a clock."""
        return self.event_fields[0] if self.time is not None else None

    @property
    def elapsed(self) -> FieldSpec | None:
        """Day and time of an event, or time since the event before where a clock only counts; None without a clock."""
        return self.event_fields[1] if self.time is not None else None

    @property
    def lasting_columns(self) -> list[tuple[int, int, int]]:
        """Where an event's and a subject's codes hold each sub-column of what lasts, and how many codes it has."""
        starts, static = _starts(self.event_fields), _starts(self.static_fields)
        planned = len(self.lasting) + len(self.varieties) + (3 if self.time is not None else 1)
        first = len(self.static_fields) - planned
        return [
            (starts[position] + part, static[place] + part, num_codes)
            for place, position in enumerate(self.lasting, start=first)
            for part, num_codes in enumerate(self.event_fields[position].cardinalities)
        ]

    @property
    def planned_varieties(self) -> list[tuple[int, int, FieldSpec]]:
        """Where an event's codes hold that of a field, where a subject's hold that of its variety, and the variety."""
        starts, static = _starts(self.event_fields), _starts(self.static_fields)
        first = len(self.static_fields) - len(self.varieties) - (3 if self.time is not None else 1)
        return [
            (starts[position], static[place], self.static_fields[place])
            for place, position in enumerate(self.varieties, start=first)
        ]

    @property
    def value_fields(self) -> tuple[FieldSpec, ...]:
        """The event fields that decode to source columns of their own."""
        return self.event_fields[2:] if self.time is not None else self.event_fields

    def to_json(self) -> str:
        """Canonical JSON: equal codebooks give equal text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    @property
    def fingerprint(self) -> str:
        """Digest of the canonical JSON, 32 hex digits."""
        return hashlib.sha256(self.to_json().encode("utf-8")).hexdigest()[:32]

    def save(self, path: Path) -> None:
        """Write atomically."""
        replace_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Codebook:
        """Read and check.

        Raises:
            ContractError: missing, damaged, or of another format.
        """
        try:
            return cls.from_document(read_json(path, finite=True))
        except FileNotFoundError:
            raise ContractError(f"codebook {path}: not found; run the encode stage first") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ContractError(f"codebook {path}: damaged or foreign ({error}); run the encode stage again") from None

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Codebook:
        """The inverse of asdict; ValueError, KeyError or TypeError where it does not fit."""
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}, this version reads {FORMAT}")
        return cls(
            **{
                **document,
                "subjects": _table(document["subjects"]),
                "events": _table(document["events"]),
                "static_fields": tuple(_field(item) for item in document["static_fields"]),
                "event_fields": tuple(_field(item) for item in document["event_fields"]),
                "lasting": tuple(document["lasting"]),
                "varieties": tuple(document["varieties"]),
            }
        )


def _table(document: dict[str, Any] | None) -> Any:
    if document is None:
        return None
    return SourceTable(
        columns=tuple(SourceColumn(**column) for column in document["columns"]),
        key=document["key"],
        order_by=document["order_by"],
        stored_order=document["stored_order"],
    )


def _field(document: dict[str, Any]) -> FieldSpec:
    tuples = {name: tuple(document[name]) for name in ("cardinalities", "columns")}
    return FieldSpec(**{**document, **tuples})


def _starts(fields: tuple[FieldSpec, ...]) -> list[int]:
    """The sub-column that each field begins with."""
    return list(accumulate((len(spec.cardinalities) for spec in fields), initial=0))
