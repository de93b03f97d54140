"""Codes -> the rows of a served answer, by the decode stage's own decoder. [plain]"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synth_spark.codebook import Codebook, SourceTable
from synth_spark.columns import NUM_EVENTS, SUBJECT_NUMBER
from synth_spark.decode.rows import RowDecoder
from synth_spark.serving.answer import TEXT, answer_columns, events_column, json_types


def decode_answer(drawn: pa.Table, codebook: Codebook, *, seed: int) -> pd.DataFrame:
    """One row per subject of `drawn` (rows of sampled_sequences), by subject number; columns as answer_columns tells.

    Values are Python's own, None where one is missing, so that they pass through JSON as they are.
    """
    decoder = RowDecoder(codebook, seed=seed)
    records: list[dict[str, Any]] = []
    for batch in drawn.sort_by(SUBJECT_NUMBER).combine_chunks().to_batches():
        subjects = _records(decoder.subjects(batch), decoder.subjects_table)
        name = events_column(codebook)
        if name is not None and codebook.events is not None:
            events = [event for part in decoder.events(batch) for event in _records(part, codebook.events)]
            first = 0
            for subject, number in zip(subjects, batch.column(NUM_EVENTS).to_pylist(), strict=True):
                subject[name] = events[first : first + number]
                first += number
        records += subjects
    return pd.DataFrame(records, columns=list(answer_columns(codebook)), dtype=object)


def _records(rows: pa.RecordBatch, table: SourceTable) -> list[dict[str, Any]]:
    """Rows of a source table, with text where JSON has no type."""
    texts = {name for name, kind in json_types(table).items() if kind == TEXT}
    columns = {
        column.name: _text(rows.column(column.name)) if column.name in texts else _value(rows.column(column.name))
        for column in table.columns
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _value(values: pa.Array) -> list[Any]:
    """Python's values; a float of 32 bits is the shortest number that it rounds from, as where it is printed."""
    exact = values.cast(pa.string()).cast(pa.float64()) if pa.types.is_float32(values.type) else values
    return list(exact.to_pylist())


def _text(values: pa.Array) -> list[Any]:
    """As Spark writes them: times without a zone and without zeros that say nothing."""
    if pa.types.is_timestamp(values.type):
        whole = values.cast(pa.timestamp("us")).cast(pa.string())
        return list(pc.replace_substring_regex(whole, r"\.0+$|(\.\d*[1-9])0+$", r"\1").to_pylist())
    if pa.types.is_decimal(values.type):  # Arrow writes small ones with an exponent
        return [None if value is None else format(value, "f") for value in values.to_pylist()]
    return list(values.cast(pa.string()).to_pylist())
