"""Where a table is: at a path, or under a name in a catalog. [plain]

A folder of tables is a Path, and `folder / "events"` the path of one of them; a schema of a catalog is a CatalogSchema,
and `schema / "events"` the name of one of them. Whoever reads or writes a table takes either: synth_spark/tables.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from synth_spark.columns import EVENTS_TABLE, SUBJECTS_TABLE
from synth_spark.errors import ConfigError
from synth_spark.variables import expand_variables

LOCAL_CATALOG = "spark_catalog"  # the one that every Spark session has
DEFAULT_SCHEMA = "synthetic"
# the views have the plain names; the tables below them hold the rows of all runs
_BELOW_VIEWS = {table: f"all_{table}" for table in (SUBJECTS_TABLE, EVENTS_TABLE)}
# what a config may hold, variables among it, and what a name may be
CATALOG_PATTERN, _CATALOG = r"^[A-Za-z0-9_${}-]+$", re.compile(r"[A-Za-z0-9_-]+")
SCHEMA_PATTERN, _SCHEMA = r"^[A-Za-z_$][A-Za-z0-9_${}]*$", re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class TableName:
    """A table or a view in a catalog."""

    catalog: str | None  # None: the session's current one
    schema_name: str
    table: str

    @property
    def parts(self) -> tuple[str, ...]:
        """Two names, or three."""
        return (*((self.catalog,) if self.catalog else ()), self.schema_name, self.table)

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True)
class CatalogSchema:
    """A schema of a catalog, such as main.synthetic; both names without variables."""

    catalog: str | None  # None: the session's current one
    schema_name: str = DEFAULT_SCHEMA

    def __truediv__(self, table: str) -> TableName:
        """The table that holds the rows of all runs."""
        return TableName(self.catalog, self.schema_name, _BELOW_VIEWS.get(table, table))

    def view(self, table: str) -> TableName:
        """The view of the newest publication."""
        return TableName(self.catalog, self.schema_name, table)

    @property
    def parts(self) -> tuple[str, ...]:
        """One name, or two."""
        return (*((self.catalog,) if self.catalog else ()), self.schema_name)

    def __str__(self) -> str:
        return ".".join(self.parts)


IN_SESSION = CatalogSchema(None)

Place: TypeAlias = Path | str | TableName  # of one table
Places: TypeAlias = Path | CatalogSchema  # of several


def schema_at(catalog: str | None, schema_name: str) -> CatalogSchema:
    """The schema of these names; ${NAME} in them is a variable of the environment.

    Raises:
        ConfigError: a variable is not set, or its value is no part of a name.
    """
    return CatalogSchema(
        None if catalog is None else _expanded(catalog, "output.catalog", _CATALOG),
        _expanded(schema_name, "output.schema_name", _SCHEMA),
    )


def _expanded(text: str, setting: str, allowed: re.Pattern[str]) -> str:
    name = expand_variables(text, what=setting, problem=ConfigError)
    if not allowed.fullmatch(name):
        raise ConfigError(f"{setting} {text}: {name[:100]!r} is no name; it must match {allowed.pattern}")
    return name
