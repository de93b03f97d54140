"""Sequences and codebook -> subjects and events in the source's columns and types. [spark]

Works for every sequences table: synthetic ones, and training rows (that is the codecs' round trip).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook, FieldSpec, SourceTable
from synth_spark.codecs import CODECS, number
from synth_spark.codecs.units import LONG_LIMIT, from_units
from synth_spark.columns import EVENT_CODES, EVENT_INDEX, NUM_EVENTS, STATIC_CODES, SUBJECT_NUMBER
from synth_spark.decode.keys import key_sql
from synth_spark.seeds import derive

NO_STEP = -1  # stands for the step in the draws of static fields


@dataclass(frozen=True)
class Decoded:
    """subjects: SUBJECT_NUMBER and the source's columns; events: SUBJECT_NUMBER, EVENT_INDEX and the source's columns.

    Without a subjects table in the source, subjects hold the key only.
    """

    subjects: DataFrame
    events: DataFrame


def to_tables(sequences: DataFrame, codebook: Codebook, *, seed: int) -> Decoded:
    """Decode every subject; the result depends on codes, subject number and seed alone.

    Within its partition each subject's events lie together, in order.
    """
    return Decoded(_subjects(sequences, codebook, seed), _events(sequences, codebook, seed))


def _subjects(sequences: DataFrame, codebook: Codebook, seed: int) -> DataFrame:
    table = codebook.subjects
    described = table or SourceTable(
        tuple(c for c in codebook.events.columns if c.name == codebook.events.key), codebook.events.key
    )
    fields = iter(
        _split_codes(codebook.static_fields, [f"{STATIC_CODES}[{i}]" for i in range(_width(codebook.static_fields))])
    )
    columns = []
    for column in described.columns:
        if column.name == described.key:
            text = key_sql(SUBJECT_NUMBER, column.type, derive(seed, "keys"))
        else:
            field, spec, codes = next(fields)
            text = _decode(spec, codes, _draw(seed, NO_STEP, field))
        columns.append(F.expr(text).alias(column.name))
    return sequences.select(SUBJECT_NUMBER, *columns)


def _events(sequences: DataFrame, codebook: Codebook, seed: int) -> DataFrame:
    width = _width(codebook.event_fields)
    codes = "".join(f", 'c{j}', {EVENT_CODES}[t * {width} + {j}]" for j in range(width))
    indices = f"IF({NUM_EVENTS} > 0, sequence(0, {NUM_EVENTS} - 1), CAST(array() AS ARRAY<INT>))"
    steps = f"inline(transform({indices}, t -> named_struct('i', t{codes})))"
    fields = _split_codes(codebook.event_fields, [f"c{j}" for j in range(width)])
    _, elapsed, elapsed_codes = next(fields)
    key = next(column for column in codebook.events.columns if column.name == codebook.events.key)
    events = (
        sequences.select(SUBJECT_NUMBER, F.expr(_start_sql(codebook, seed)).alias("first"), NUM_EVENTS, EVENT_CODES)
        .select(SUBJECT_NUMBER, "first", F.expr(steps))
        .withColumn("d", F.expr(_elapsed_sql(codebook, elapsed, elapsed_codes, seed)))
        .withColumn("key", F.expr(key_sql(SUBJECT_NUMBER, key.type, derive(seed, "keys"))))
    )
    history = Window.partitionBy("key").orderBy("i").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    # a sum of many long gaps may leave the long's range before the protected end cuts it
    wide = codebook.length.params["highs"][-1] * _span(codebook) >= LONG_LIMIT
    gaps = F.col("d").cast("decimal(38,0)") if wide else F.col("d")
    end = F.lit(codebook.time["end"]).cast("decimal(38,0)" if wide else "bigint")
    clock = F.least(F.col("first") + F.sum(gaps).over(history), end).cast("bigint")
    events = events.withColumn("u", clock)
    values = {}
    for field, spec, sqls in fields:
        values[spec.name] = _decode(spec, sqls, _draw(seed, "i", field))
    columns = []
    for column in codebook.events.columns:
        if column.name == codebook.events.key:
            expression = F.col("key")
        elif column.name == codebook.events.order_by:
            expression = F.expr(from_units(column.type, codebook.time["unit"], "u"))
        else:
            expression = F.expr(values[column.name])
        columns.append(expression.alias(column.name))
    return events.select(SUBJECT_NUMBER, F.col("i").alias(EVENT_INDEX), *columns)


def _start_sql(codebook: Codebook, seed: int) -> str:
    """Units of the first event, never null and never after the protected end."""
    *_, (field, spec, codes), _ = _split_codes(
        codebook.static_fields, [f"{STATIC_CODES}[{i}]" for i in range(_width(codebook.static_fields))]
    )
    draw = _draw(seed, NO_STEP, field)
    if spec.params["missing"] and spec.cardinalities[0] > 1:
        # the sampler may give events to a subject whose start says that it has none: it gets any start
        others = spec.cardinalities[0] - 1
        codes = [f"IF({codes[0]} = 0, CAST(1 + pmod({draw(9)}, {others}L) AS SMALLINT), {codes[0]})", *codes[1:]]
    end = f"CAST('{codebook.time['end']}' AS BIGINT)"
    return f"least(coalesce({number.decode_units(spec, codes, draw)}, {end}), {end})"


def _elapsed_sql(codebook: Codebook, spec: FieldSpec, codes: Sequence[str], seed: int) -> str:
    units = number.decode_units(spec, list(codes), _draw(seed, "i", 0))
    return f"IF(i = 0, 0L, least(greatest({units}, 0L), {_span(codebook)}L))"


def _span(codebook: Codebook) -> int:
    """Units between the earliest start and the protected end."""
    params = codebook.static_fields[-2].params
    return max(0, int(codebook.time["end"]) - min([*params["atoms"], *params["lows"]], default=0))


def _decode(spec: FieldSpec, codes: Sequence[str], draw: Callable[[int], str]) -> str:
    text: str = CODECS[spec.family].decode(spec, list(codes), draw)
    return text


def _draw(seed: int, step: int | str, field: int) -> Callable[[int], str]:
    """A non-negative BIGINT hash of seed, subject, step, field and the number of the draw."""
    purpose = derive(seed, "decode", "static" if step == NO_STEP else "event")
    return lambda i: f"(xxhash64({purpose}L, {SUBJECT_NUMBER}, {step}, {field}, {i}) & 9223372036854775807L)"


def _width(fields: Sequence[FieldSpec]) -> int:
    return sum(len(spec.cardinalities) for spec in fields)


def _split_codes(fields: Sequence[FieldSpec], codes: Sequence[str]) -> Iterator[tuple[int, FieldSpec, list[str]]]:
    """(position, field, its sub-columns' code expressions)."""
    first = 0
    for position, spec in enumerate(fields):
        yield position, spec, list(codes[first : first + len(spec.cardinalities)])
        first += len(spec.cardinalities)
