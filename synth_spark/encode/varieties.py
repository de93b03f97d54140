"""Which fields' histories repeat themselves, and how many different codes they hold. [spark]"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import variety
from synth_spark.encode import statistics as st
from synth_spark.encode.codes import field_codes
from synth_spark.encode.fields import FieldPlan

REPEATED = 0.7  # of the different codes that independent events would have, for a field's variety to be learned


def fit_varieties(
    subjects: DataFrame,
    events: DataFrame,
    fields: Sequence[FieldPlan],
    specs: Sequence[FieldSpec],
    thresholds: Sequence[int],
) -> dict[FieldPlan, FieldSpec]:
    """Field -> its variety, for fields whose histories repeat codes far more than chance would.

    Args:
        specs, thresholds: one for each of `fields`, in its order.
    """
    if not fields:
        return {}
    codes, rows = field_codes(events, fields, specs)
    columns = [st.Measured("events", own[0], threshold) for own, threshold in zip(codes, thresholds, strict=True)]
    values = st.weighted_values(subjects, rows, columns, "int").persist()
    weights = st.histograms(values)
    sizes: dict[int, list[tuple[int, int]]] = {f: [] for f in range(len(fields))}
    different = values.groupBy("f", "n").agg(F.count("v").alias("d")).groupBy("f", "d").agg(F.count("n").alias("s"))
    for row in different.orderBy("f", "d").collect():
        sizes[row["f"]].append((row["d"], row["s"]))
    values.unpersist()
    lengths = st.length_counts(subjects)
    return {
        field: variety.fit(specs[f], sizes[f], threshold=thresholds[f])
        for f, field in enumerate(fields)
        if sum(d * s for d, s in sizes[f]) < REPEATED * variety.expected(weights.get(f, {}), lengths)
    }
