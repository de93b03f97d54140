"""Fields of a frame -> their values as columns, and these -> codes. [spark]"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import category, number, place
from synth_spark.encode.batches import Batches
from synth_spark.encode.fields import FieldPlan
from synth_spark.encode.histories import Encode, encoder_of


def value_columns(fields: Sequence[FieldPlan], specs: Sequence[FieldSpec]) -> list[Column]:
    """What is coded of each spec that stands for columns, as x0, x1, ...: a BIGINT in units, or a text."""
    plans = {field.columns: field for field in fields}
    texts = [_value_sql(plans[spec.columns], spec) for spec in specs if spec.columns]
    return [F.expr(text).alias(f"x{i}") for i, text in enumerate(texts)]


def first_codes(rows: DataFrame, fields: Sequence[FieldPlan], specs: Sequence[FieldSpec]) -> DataFrame:
    """n, and of each field the first sub-column's code as c0, c1, ...; rows stay where they are."""
    schema = ", ".join(["n BIGINT", *(f"c{i} INT" for i in range(len(specs)))])
    encode = partial(_first_codes, [encoder_of(spec) for spec in specs])
    return rows.select("n", *value_columns(fields, specs)).mapInArrow(encode, schema)


def _first_codes(encoders: Sequence[Encode], batches: Batches) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        values = zip(encoders, batch.columns[1:], strict=True)
        codes = [pa.array(encode(column)[0].astype("int32")) for encode, column in values]
        yield pa.RecordBatch.from_arrays([batch.column(0), *codes], names=["n", *(f"c{i}" for i in range(len(codes)))])


def _value_sql(field: FieldPlan, spec: FieldSpec) -> str:
    if spec.family == "place":
        return place.units_sql(field.inputs[0], field.inputs[1], spec.params["scale"])
    return number.units_sql(spec, field.key) if spec.family == "number" else category.text_sql(field.key)
