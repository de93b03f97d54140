"""Sequences and codebook -> subjects and events in the source's columns and types. [spark]

Works for every sequences table: synthetic ones, and training rows (that is the codecs' round trip).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook, FieldSpec, SourceColumn, SourceTable, synthetic_tables
from synth_spark.codecs import CODECS, category, place
from synth_spark.codecs.units import from_units
from synth_spark.columns import EVENT_CODES, EVENT_INDEX, NUM_EVENTS, STATIC_CODES, SUBJECT_NUMBER, SUBJECTS_TABLE
from synth_spark.decode.clock import FIRST, KEY, STEP, TIME, Coded, start_sql, with_time
from synth_spark.decode.keys import key_sql
from synth_spark.lookups import join_values, value_column
from synth_spark.seeds import derive

NO_STEP = -1  # stands for the step in the draws of static fields


@dataclass(frozen=True)
class Decoded:
    """subjects: SUBJECT_NUMBER and the source's columns; events: SUBJECT_NUMBER, EVENT_INDEX and the source's columns.

    Without a subjects table in the source, subjects hold the key only; for flat data there are no events.
    """

    subjects: DataFrame
    events: DataFrame | None


def to_tables(sequences: DataFrame, codebook: Codebook, *, seed: int) -> Decoded:
    """Decode every subject; the result depends on codes, subject number and seed alone.

    Within its partition each subject's events lie together, in order.
    """
    events = _events(sequences, codebook, codebook.events, seed) if codebook.events is not None else None
    return Decoded(_subjects(sequences, codebook, seed), events)


def subjects_table(codebook: Codebook) -> SourceTable:
    """What the subjects table looks like: without one in the source it holds the events' key only."""
    return synthetic_tables(codebook.subjects, codebook.events)[SUBJECTS_TABLE]


def _subjects(sequences: DataFrame, codebook: Codebook, seed: int) -> DataFrame:
    table = subjects_table(codebook)
    fields = _coded(codebook.static_fields, lambda i: f"{STATIC_CODES}[{i}]", seed, str(NO_STEP))
    values, rows = _values(sequences, fields)
    return rows.select(SUBJECT_NUMBER, *(_column(c, table, values, SUBJECT_NUMBER, seed) for c in table.columns))


def _events(sequences: DataFrame, codebook: Codebook, table: SourceTable, seed: int) -> DataFrame:
    events = _steps(sequences, codebook, seed)
    fields = _coded(codebook.event_fields, lambda i: f"__code{i}", seed, STEP)
    if codebook.time is not None:
        when, since, *fields = fields
        key = key_sql(SUBJECT_NUMBER, table.type_of(table.key), derive(seed, "keys"))
        # the fresh key and not the subject number: the table is written clustered by it
        events = with_time(events.withColumn(KEY, F.expr(key)), codebook, when, since)
    values, events = _values(events, fields)
    if codebook.time is not None:
        time = from_units(str(codebook.time["type"]), codebook.time["unit"], TIME)
        values[table.order_by or ""] = time
    if table.stored_order is not None:
        values[table.stored_order] = f"CAST({STEP} + 1 AS {table.type_of(table.stored_order).upper()})"
    columns = [_column(column, table, values, SUBJECT_NUMBER, seed) for column in table.columns]
    return events.select(SUBJECT_NUMBER, F.col(STEP).alias(EVENT_INDEX), *columns)


def _steps(sequences: DataFrame, codebook: Codebook, seed: int) -> DataFrame:
    """One row per event: SUBJECT_NUMBER, STEP, __code0, __code1, ... and, with a clock, FIRST."""
    width = sum(len(spec.cardinalities) for spec in codebook.event_fields)
    codes = "".join(f", '__code{j}', {EVENT_CODES}[t * {width} + {j}]" for j in range(width))
    indices = f"IF({NUM_EVENTS} > 0, sequence(0, {NUM_EVENTS} - 1), CAST(array() AS ARRAY<INT>))"
    steps = f"inline(transform({indices}, t -> named_struct('{STEP}', t{codes})))"
    kept = [SUBJECT_NUMBER, NUM_EVENTS, EVENT_CODES]
    if codebook.time is None:
        return sequences.select(SUBJECT_NUMBER, F.expr(steps))
    fields = _coded(codebook.static_fields, lambda i: f"{STATIC_CODES}[{i}]", seed, str(NO_STEP))
    start = next(field for field in fields if field.spec is codebook.start)
    first = start_sql(start.spec, start.codes, start.draw)
    return sequences.select(*kept, F.expr(first).alias(FIRST)).select(SUBJECT_NUMBER, FIRST, F.expr(steps))


def _column(column: SourceColumn, table: SourceTable, values: dict[str, str], number_sql: str, seed: int) -> Column:
    if column.name == table.key:
        text = key_sql(number_sql, column.type, derive(seed, "keys"))
    else:
        text = values[column.name]
    return F.expr(text).alias(column.name)


def _values(rows: DataFrame, fields: Sequence[Coded]) -> tuple[dict[str, str], DataFrame]:
    """Expression of each source column, and the rows with what these need."""
    values: dict[str, str] = {}
    large: dict[str, tuple[FieldSpec, str]] = {}
    for position, field in enumerate(fields):
        spec, codes, draw = field.spec, field.codes, field.draw
        if not spec.columns:
            continue  # start and length say nothing that a column holds
        if spec.family == "category" and category.is_large(spec):
            name = f"__value{position}"
            large[name] = (spec, category.decode_positions(spec, codes, draw))
            values[spec.columns[0]] = category.from_text(spec, value_column(name))
        elif spec.family == "place":
            values |= dict(zip(spec.columns, place.decode(spec, codes, draw), strict=True))
        else:
            values[spec.columns[0]] = CODECS[spec.family].decode(spec, codes, draw)
    return values, join_values(rows, large)


def _coded(fields: Sequence[FieldSpec], code: Callable[[int], str], seed: int, step: str) -> list[Coded]:
    found, first = [], 0
    for position, spec in enumerate(fields):
        stop = first + len(spec.cardinalities)
        found.append(Coded(spec, [code(i) for i in range(first, stop)], _draw(seed, step, position)))
        first = stop
    return found


def _draw(seed: int, step: str, field: int) -> Callable[[int], str]:
    """A non-negative BIGINT hash of seed, subject, step, field and the number of the draw."""
    purpose = derive(seed, "decode", "static" if step == str(NO_STEP) else "event")
    return lambda i: f"(xxhash64({purpose}L, {SUBJECT_NUMBER}, {step}, {field}, {i}) & 9223372036854775807L)"
