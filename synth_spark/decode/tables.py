"""Sequences and codebook -> subjects and events in the source's columns and types. [spark]"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from synth_spark.codebook import Codebook, SourceTable
from synth_spark.columns import EVENT_CODES, EVENT_INDEX, NUM_EVENTS, STATIC_CODES, SUBJECT_NUMBER
from synth_spark.decode.keys import key_numbers
from synth_spark.decode.rows import RowDecoder, subjects_table
from synth_spark.histories import quoted

_PLACE = "__place"


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
    decoder = RowDecoder(codebook, seed=seed)

    def subjects(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return map(decoder.subjects, batches)

    def events(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from decoder.events(batch)

    own = f"{SUBJECT_NUMBER} BIGINT"
    static = sequences.select(SUBJECT_NUMBER, STATIC_CODES)
    decoded = static.mapInArrow(subjects, _schema(own, subjects_table(codebook)))
    if codebook.events is None:
        return Decoded(decoded, None)
    needed = sequences.select(SUBJECT_NUMBER, NUM_EVENTS, STATIC_CODES, EVENT_CODES)
    return Decoded(decoded, needed.mapInArrow(events, _schema(f"{own}, {EVENT_INDEX} INT", codebook.events)))


def in_key_order(sequences: DataFrame, codebook: Codebook, *, seed: int, files: int) -> DataFrame:
    """The sequences in so many partitions, each a range of keys in ascending order; without keys as they are."""
    table = subjects_table(codebook)
    if table.key is None:
        return sequences
    placed = sequences.withColumn(_PLACE, _place(table.type_of(table.key), seed))
    return placed.repartitionByRange(files, _PLACE).sortWithinPartitions(_PLACE).drop(_PLACE)


def _place(key_type: str, seed: int) -> Column:
    def place(numbers: pd.Series) -> pd.Series:
        return pd.Series(key_numbers(numbers.to_numpy(), key_type, seed))

    return pandas_udf(place, "bigint")(F.col(SUBJECT_NUMBER))  # type: ignore[call-overload]


def _schema(own: str, table: SourceTable) -> str:
    return ", ".join([own, *(f"{quoted(column.name)} {column.type}" for column in table.columns)])
