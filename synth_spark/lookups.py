"""Categories with more values than SQL text should hold: their values are found by a broadcast join. [spark]

The counterpart of the literals in codecs/category.py: value -> position for encode, position -> value for decode.
Order and partitioning of the rows stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import category

_POSITION, _VALUE = "__lookup_position", "__lookup_value"


def position_column(column: str) -> str:
    """Name of the INT column with a value's place among the kept ones, from 1; null for none of them."""
    return f"{column}__position"


def value_column(name: str) -> str:
    """Name of the STRING column with the text that a field shows."""
    return f"{name}__value"


def join_positions(rows: DataFrame, specs: Mapping[str, FieldSpec]) -> DataFrame:
    """The rows with a position column for each column of a large category."""
    for column, spec in specs.items():
        held = _values(rows.sparkSession, spec.params["values"], first=1)
        held = held.withColumnRenamed(_POSITION, position_column(column))
        same = F.expr(category.text_sql(column)) == F.col(_VALUE)
        rows = rows.join(F.broadcast(held), same, "left").drop(_VALUE)
    return rows


def join_values(rows: DataFrame, fields: Mapping[str, tuple[FieldSpec, str]]) -> DataFrame:
    """The rows with a value column for each field: name -> (its large category, expression of the position, from 0)."""
    for name, (spec, position_sql) in fields.items():
        shown = _values(rows.sparkSession, category.shown_values(spec), first=0)
        shown = shown.withColumnRenamed(_VALUE, value_column(name))
        rows = rows.join(F.broadcast(shown), F.expr(position_sql) == F.col(_POSITION), "left").drop(_POSITION)
    return rows


def _values(spark: SparkSession, values: Sequence[str], *, first: int) -> DataFrame:
    """One row per value: _POSITION, counted from `first`, and _VALUE."""
    held = pd.DataFrame({_POSITION: range(first, first + len(values)), _VALUE: list(values)})
    return spark.createDataFrame(held, f"{_POSITION} int, {_VALUE} string")
