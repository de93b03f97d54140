"""Fields of a frame -> expressions of their codes. [spark]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import category, number, place
from synth_spark.encode.fields import FieldPlan
from synth_spark.encode.lookups import join_positions, position_column


def field_codes(
    rows: DataFrame, fields: Sequence[FieldPlan], specs: Sequence[FieldSpec]
) -> tuple[list[list[str]], DataFrame]:
    """For each spec that stands for columns, expressions of its codes; and the rows with what these need."""
    plans = {field.columns: field for field in fields}
    planned = [(plans[spec.columns], spec) for spec in specs if spec.columns]
    large = {field.key: spec for field, spec in planned if spec.family == "category" and category.is_large(spec)}
    numbers = {field.key: _as_number(field, spec) for field, spec in planned if spec.family != "category"}
    rows, found = number_codes(join_positions(rows, large), numbers)
    for field, spec in planned:
        if field.key in large:
            found[field.key] = category.encode_positions(spec, field.key, position_column(field.key))
        elif field.key not in numbers:
            found[field.key] = category.encode(spec, field.key)
    return [found[field.key] for field, _ in planned], rows


def _as_number(field: FieldPlan, spec: FieldSpec) -> tuple[FieldSpec, str]:
    """A number, or the position of a place: the number field, and its value in units."""
    if spec.family == "place":
        return place.cells(spec), place.units_sql(field.inputs[0], field.inputs[1], spec.params["scale"])
    return spec, number.units_sql(spec, field.key)


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
    found = {name: number.encode(spec, f"{name}_u", f"{name}_c") for name, (spec, _) in values.items()}
    return rows.withColumns(code), found
