"""What the columns of synthetic tables mean, as comments that the tables and views carry. [plain]"""

from __future__ import annotations

from collections.abc import Sequence

from synth_spark.codebook import FieldSpec, SourceTable
from synth_spark.columns import RUN_ID

_FAMILIES = {
    "category": "learned as a category",
    "number": "learned in order (number, date or time)",
    "place": "learned as a place",
}


def column_comments(table: SourceTable, fields: Sequence[FieldSpec], *, grain: str) -> dict[str, str]:
    """Column name -> comment, for every column of a synthetic table and RUN_ID.

    Args:
        fields: those that decode to the table's columns.
        grain: what one row of the table is: "subject" or "event".
    """
    learned = {column: spec for spec in fields for column in spec.columns}
    comments = {RUN_ID: "Run that generated the row; the views show the rows of one run."}
    for column in table.columns:
        if column.name == table.key:
            comments[column.name] = (
                "Key of a synthetic subject, made from a counter and no real key; subjects and events join by it."
            )
        elif column.name == table.order_by:
            comments[column.name] = "When the synthetic event is; a subject's events are ordered by it."
        elif column.name == table.stored_order:
            comments[column.name] = "Position of the event in its subject's synthetic history: 1, 2, ..."
        else:
            spec = learned[column.name]
            comments[column.name] = f"Of the synthetic {grain}, {_FAMILIES[spec.family]}{_together(spec, column.name)}."
    return comments


def _together(spec: FieldSpec, name: str) -> str:
    others = [other for other in spec.columns if other != name]
    return f" together with {', '.join(others)}" if others else ""
