"""Which fields a source has, in model order, and how each is encoded. [plain]"""

from __future__ import annotations

from dataclasses import dataclass

from synth_spark.codebook import SourceColumn, SourceTable
from synth_spark.codecs.place import find_places
from synth_spark.codecs.units import is_number
from synth_spark.config import ColumnSettings, Config, TableSource
from synth_spark.errors import ConfigError


@dataclass(frozen=True)
class FieldPlan:
    """One field before fitting.

    columns: the source columns that it stands for: one, or latitude and longitude of a place.
    types: their Spark types.
    inputs: the same columns in the numbered frames: s0, s1, ... of subjects, e0, e1, ... of events.
    """

    family: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    inputs: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the field is called."""
        return " + ".join(self.columns)

    @property
    def key(self) -> str:
        """Its first frame column, unique over both tables."""
        return self.inputs[0]

    @property
    def frame(self) -> str:
        """The frame that holds it."""
        return "subjects" if self.key[0] == "s" else "events"


def plan_fields(table: SourceTable | None, settings: TableSource | None, prefix: str) -> list[FieldPlan]:
    """The attributes of a table in source order; a place stands where the first of its columns stood.

    Raises:
        ConfigError: a family that the column's type does not allow, or half a place.
    """
    if table is None or settings is None:
        return []
    numbered = {column.name: (f"{prefix}{i}", column) for i, column in enumerate(table.attributes)}
    partners = {name: pair for pair in find_places(table.attributes, settings.columns) for name in pair}
    fields: dict[tuple[str, ...], FieldPlan] = {}
    for name, (_, column) in numbered.items():
        members = partners.get(name, (name,))
        family = "place" if name in partners else _family(column, settings.columns)
        inputs, columns = zip(*(numbered[member] for member in members), strict=True)
        fields.setdefault(members, FieldPlan(family, members, tuple(c.type for c in columns), inputs))
    return list(fields.values())


def plan_tables(
    config: Config, subjects: SourceTable | None, events: SourceTable | None
) -> tuple[list[FieldPlan], list[FieldPlan]]:
    """Fields of subjects and of events."""
    return (
        plan_fields(subjects, config.source.subjects, "s"),
        plan_fields(events, config.source.event_table, "e"),
    )


def _family(column: SourceColumn, settings: dict[str, ColumnSettings]) -> str:
    asked = settings[column.name].family if column.name in settings else "auto"
    if asked == "number" and not is_number(column.type):
        raise ConfigError(
            f"columns.{column.name}.family: number: the column has type {column.type}; "
            "allowed: auto, category; or cast the column to a number with select"
        )
    if asked != "auto":
        return asked
    return "number" if is_number(column.type) else "category"
