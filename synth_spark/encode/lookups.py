"""Categories with more values than SQL text should hold: their values are found by a broadcast join. [spark]

The counterpart of the literals in codecs/category.py: value -> position.
Order and partitioning of the rows stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import category

_POSITION, _VALUE = "__lookup_position", "__lookup_value"


def position_column(column: str) -> str:
    """Name of the INT column with a value's place among the kept ones, from 1; null for none of them."""
    return f"{column}__position"


def join_positions(rows: DataFrame, specs: Mapping[str, FieldSpec]) -> DataFrame:
    """The rows with a position column for each column of a large category."""
    for column, spec in specs.items():
        values = spec.params["values"]
        table = pd.DataFrame({_POSITION: range(1, len(values) + 1), _VALUE: values})
        held = rows.sparkSession.createDataFrame(table, f"{_POSITION} int, {_VALUE} string")
        held = held.withColumnRenamed(_POSITION, position_column(column))
        same = F.expr(category.text_sql(column)) == F.col(_VALUE)
        rows = rows.join(F.broadcast(held), same, "left").drop(_VALUE)
    return rows
