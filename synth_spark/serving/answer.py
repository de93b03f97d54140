"""The columns of a served answer, told by the codebook alone. [plain]

One row per synthetic subject: the subject's columns, and its events as a list of rows with the source's event columns.
What JSON has no type for (dates, timestamps, decimals) is text, as Spark writes it.
"""

from __future__ import annotations

from synth_spark.codebook import Codebook, SourceTable
from synth_spark.columns import EVENTS_TABLE
from synth_spark.decode.rows import subjects_table

TEXT = "string"
_JSON_TYPES = {  # Spark's type -> MLflow's; whatever is not named here becomes TEXT
    "boolean": "boolean",
    "tinyint": "integer",
    "smallint": "integer",
    "int": "integer",
    "bigint": "long",
    "float": "float",
    "double": "double",
}


def json_types(table: SourceTable) -> dict[str, str]:
    """The type of each column of a table in an answer, by MLflow's names of types."""
    return {column.name: _JSON_TYPES.get(column.type, TEXT) for column in table.columns}


def events_column(codebook: Codebook) -> str | None:
    """The column with a subject's events: `events`, and an underscore more where a subject's own column is called so.

    None for flat data.
    """
    if codebook.events is None:
        return None
    taken = {column.name.casefold() for column in subjects_table(codebook).columns}
    name = EVENTS_TABLE
    while name in taken:
        name += "_"
    return name


def answer_columns(codebook: Codebook) -> dict[str, str | dict[str, str]]:
    """Every column of an answer with its type; the events' column with the types of an event's columns."""
    columns: dict[str, str | dict[str, str]] = {**json_types(subjects_table(codebook))}
    name = events_column(codebook)
    if name is not None and codebook.events is not None:
        columns[name] = json_types(codebook.events)
    return columns
