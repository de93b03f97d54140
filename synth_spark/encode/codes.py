"""Fields of a frame -> expressions of their codes. [spark]"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import CODECS, category, place
from synth_spark.encode.fields import FieldPlan
from synth_spark.lookups import join_positions, position_column


def field_codes(
    rows: DataFrame, fields: Sequence[FieldPlan], specs: Sequence[FieldSpec]
) -> tuple[list[list[str]], DataFrame]:
    """For each spec that stands for columns, expressions of its codes; and the rows with what these need."""
    plans = {field.columns: field for field in fields}
    planned = [(plans[spec.columns], spec) for spec in specs if spec.columns]
    large = {field.key: spec for field, spec in planned if spec.family == "category" and category.is_large(spec)}
    codes = []
    for field, spec in planned:
        if field.key in large:
            codes.append(category.encode_positions(spec, field.key, position_column(field.key)))
        elif spec.family == "place":
            codes.append(place.encode(spec, field.inputs[0], field.inputs[1]))
        else:
            codes.append(CODECS[spec.family].encode(spec, field.key))
    return codes, join_positions(rows, large)
