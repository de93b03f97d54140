"""Fields of a frame -> expressions of their codes. [spark]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import CODECS, category, number, place, units
from synth_spark.encode.fields import FieldPlan
from synth_spark.lookups import join_positions, position_column


def field_codes(
    rows: DataFrame, fields: Sequence[FieldPlan], specs: Sequence[FieldSpec]
) -> tuple[list[list[str]], DataFrame]:
    """For each spec that stands for columns, expressions of its codes; and the rows with what these need."""
    plans = {field.columns: field for field in fields}
    planned = [(plans[spec.columns], spec) for spec in specs if spec.columns]
    large = {field.key: spec for field, spec in planned if spec.family == "category" and category.is_large(spec)}
    numbers = {
        field.key: (spec, units.to_units(spec.source_type, spec.params["unit"], field.key))
        for field, spec in planned
        if spec.family == "number"
    }
    rows, of_numbers = number_codes(join_positions(rows, large), numbers)
    codes = []
    for field, spec in planned:
        if field.key in large:
            codes.append(category.encode_positions(spec, field.key, position_column(field.key)))
        elif spec.family == "place":
            codes.append(place.encode(spec, field.inputs[0], field.inputs[1]))
        else:
            codes.append(of_numbers.get(field.key) or CODECS[spec.family].encode(spec, field.key))
    return codes, rows


def number_codes(
    rows: DataFrame, values: Mapping[str, tuple[FieldSpec, str]]
) -> tuple[DataFrame, dict[str, list[str]]]:
    """The rows with what the codes of number fields need, and expressions of these by name.

    Units and codes are columns of their own, one layer over the other: Spark compiles them and computes each once,
    where a lambda (`sql.bind`) would be interpreted.

    Args:
        values: name -> the field, and its value as a BIGINT expression in units.
    """
    rows = rows.withColumns({f"{name}_u": F.expr(value) for name, (_, value) in values.items()})
    code = {f"{name}_c": F.expr(number.code_sql(spec, f"{name}_u")) for name, (spec, _) in values.items()}
    found = {name: number.encode_columns(spec, f"{name}_u", f"{name}_c") for name, (spec, _) in values.items()}
    return rows.withColumns(code), found
