"""Which fields' histories repeat themselves, and how many different codes they hold. [spark]"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import variety
from synth_spark.encode import statistics as st
from synth_spark.encode.codes import first_codes
from synth_spark.encode.fields import FieldPlan

REPEATED = 0.7  # of the different codes that independent events would have, for a field's variety to be learned


def fit_varieties(
    events: DataFrame,
    lengths: Sequence[tuple[int, int]],
    fields: Sequence[FieldPlan],
    specs: Sequence[FieldSpec],
    thresholds: Sequence[int],
) -> dict[FieldPlan, FieldSpec]:
    """Field -> its variety, for fields whose histories repeat codes far more than chance would.

    Args:
        lengths: (events, subjects).
        specs, thresholds: one for each of `fields`, in its order.
    """
    if not fields:
        return {}
    columns = [st.Measured("events", f"c{i}", threshold) for i, threshold in enumerate(thresholds)]
    counted = st.Tally({"events": first_codes(events, fields, specs)}, columns, "int")
    weights, sizes = counted.weights(), [facts.different for facts in counted.facts()]
    counted.release()
    return {
        field: variety.fit(specs[f], sizes[f], threshold=thresholds[f])
        for f, field in enumerate(fields)
        if sum(d * s for d, s in sizes[f]) < REPEATED * variety.expected(weights.get(f, {}), lengths)
    }
