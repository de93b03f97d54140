"""Which fields a source has, in model order, and how each is encoded. [plain]"""

from __future__ import annotations

from dataclasses import dataclass

from synth_spark.codebook import SourceTable
from synth_spark.codecs.units import is_number
from synth_spark.config import ColumnSettings, Config
from synth_spark.errors import ConfigError

START, ELAPSED = "start", "elapsed"


@dataclass(frozen=True)
class FieldPlan:
    """One field before fitting.

    column: its column in the numbered frames: s0, s1, ... of subjects, e0, e1, ... of events.
    """

    name: str
    source_type: str
    column: str
    family: str


def plan_fields(table: SourceTable | None, settings: dict[str, ColumnSettings], prefix: str) -> list[FieldPlan]:
    """The attribute columns of a table in source order: neither key nor order column.

    Raises:
        ConfigError: a family that the column's type does not allow.
    """
    if table is None:
        return []
    attributes = [column for column in table.columns if column.name not in (table.key, table.order_by)]
    return [
        FieldPlan(column.name, column.type, f"{prefix}{i}", _family(column.name, column.type, settings))
        for i, column in enumerate(attributes)
    ]


def order_type(events: SourceTable) -> str:
    """Type of the column that orders events."""
    return next(column.type for column in events.columns if column.name == events.order_by)


def settings_of(config: Config) -> tuple[dict[str, ColumnSettings], dict[str, ColumnSettings]]:
    """Column overrides of subjects and of events."""
    subjects = config.source.subjects.columns if config.source.subjects else {}
    return subjects, config.source.events[0].columns


def _family(name: str, source_type: str, settings: dict[str, ColumnSettings]) -> str:
    asked = settings[name].family if name in settings else "auto"
    if asked == "number" and not is_number(source_type):
        raise ConfigError(
            f"columns.{name}.family: number: the column has type {source_type}; "
            "allowed: auto, category; or cast the column to a number with select"
        )
    if asked != "auto":
        return asked
    return "number" if is_number(source_type) else "category"
