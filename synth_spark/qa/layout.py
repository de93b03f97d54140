"""Which columns the metrics look at, and as what. [plain]"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "instant", "category"]
Part = Literal["tgt", "nxt", "ctx", "trait"]  # trait: of a whole history, see behaviour.py
LENGTH_ID, LENGTH_NAME = "length", "Sequence Length"
MAX_COLUMNS = 300  # of events and of subjects each, in order of their names
KEY_TEXT = "__key_text"  # the subject's key as text
SET = "__set"  # smallint: position in SETS
SETS = ("training", "holdout", "synthetic")

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")


@dataclass(frozen=True)
class MetricColumn:
    """One column of the table of pairs."""

    id: str  # its name in the table of pairs: free of dots, spaces and quotes
    part: Part
    name: str  # its name in the source
    kind: Kind

    @property
    def label(self) -> str:
        """Name with its part, such as tgt::amount; unique."""
        return f"{self.part}::{self.name}"


@dataclass(frozen=True)
class Layout:
    """Columns of the table of pairs.

    `sequential`: whether subjects have histories, so that there are successors, lengths and coherence. Flat data
    (no events, or one event for every subject) is not.
    """

    events: tuple[MetricColumn, ...]  # part tgt; empty without events
    subjects: tuple[MetricColumn, ...]  # part ctx, or tgt if there are no events
    sequential: bool

    @property
    def targets(self) -> tuple[MetricColumn, ...]:
        """Columns of the event (or subject, for flat data) itself."""
        if not self.events:
            return self.subjects
        return (*self.events, LENGTH) if self.sequential else self.events

    @property
    def contexts(self) -> tuple[MetricColumn, ...]:
        """Attributes of the subject that has events."""
        return self.subjects if self.events else ()

    @property
    def successors(self) -> tuple[MetricColumn, ...]:
        """The same order as events."""
        if not self.sequential:
            return ()
        return tuple(MetricColumn("n" + column.id[1:], "nxt", column.name, column.kind) for column in self.events)

    @property
    def all(self) -> tuple[MetricColumn, ...]:
        """Every column of the table of pairs, in its order."""
        return (*self.targets, *self.successors, *self.contexts)


LENGTH = MetricColumn(LENGTH_ID, "tgt", LENGTH_NAME, "number")


def kind_of(spark_type: str) -> Kind:
    """From Spark's simpleString: decimals, integers and floats are numbers; booleans and texts are categories."""
    base = spark_type.split("(")[0]
    if base in _NUMBERS:
        return "number"
    return "instant" if base in ("date", "timestamp", "timestamp_ntz") else "category"


def plan_layout(*, events: dict[str, str], subjects: dict[str, str], sequential: bool) -> Layout:
    """From the learned columns (name -> Spark type) of both tables."""
    return Layout(
        events=tuple(
            MetricColumn(f"t{number}", "tgt", name, kind_of(events[name]))
            for number, name in enumerate(sorted(events)[:MAX_COLUMNS])
        ),
        subjects=tuple(
            MetricColumn(f"c{number}", "ctx" if events else "tgt", name, kind_of(subjects[name]))
            for number, name in enumerate(sorted(subjects)[:MAX_COLUMNS])
        ),
        sequential=sequential,
    )


def categories_of(columns: Sequence[MetricColumn]) -> list[str]:
    """Ids of those that hold categories."""
    return [column.id for column in columns if column.kind == "category"]
