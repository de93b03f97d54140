"""What fitting asks of Spark, on rows that can be counted by hand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_the_lightest_values_beyond_the_limit_are_rare(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    from synth_spark.encode import statistics as st

    monkeypatch.setattr(st, "MAX_VALUES", 3)
    events = spark.range(60).selectExpr("id AS n", "concat('v', CAST(sqrt(id) AS INT)) AS e0")  # v7 has none but 49-59
    columns = [st.Measured("events", "e0", 5), st.Measured("events", "IF(n < 4, 'lone', NULL)", 5)]
    counted = st.Tally({"events": events}, columns, "string")
    found = st.summarize_categories(counted)
    counted.release()
    assert [value for value, _ in found[0].kept] == ["v6", "v5", "v7"]
    assert (found[0].rare_values, found[0].rare_rows, found[0].rare_subjects) == (5, 25, 25)
    assert found[1].kept == () and found[1].rare_subjects == 4


def test_no_value_stands_in_a_query_plan(spark: SparkSession) -> None:
    """Spark writes plans into its event log, and shows them to whoever opens its pages."""
    from synth_spark.encode import statistics as st

    base = 918_273_645_000_000
    events = spark.range(400).selectExpr("id AS n", f"{base // 1000}L * 1000L + id * id AS e0")
    counted = st.Tally({"events": events}, [st.Measured("events", "e0", 5, clustered=True)], "bigint")
    (summary,) = st.summarize_numbers(counted, counted.facts())
    counted.release()
    assert (summary.low, summary.high) == (base + 4**2, base + 395**2)
    plans: list[str] = []
    for _ in range(100):  # they come in a moment later
        executions = spark._jsparkSession.sharedState().statusStore().executionsList()
        plans = [executions.apply(i).physicalPlanDescription() for i in range(executions.size())]
        if sum(str(base // 1000) in plan for plan in plans) >= 2:
            break
        time.sleep(0.1)
    assert any(str(base // 1000) in plan for plan in plans), "the plans that were run are among them"
    assert not [plan for plan in plans if str(summary.low) in plan or str(summary.high) in plan]


def test_a_decimal_that_is_rounded_up_stays_one_of_its_type(spark: SparkSession) -> None:
    """Whole numbers, and some 9.99 or 99.99 that say nothing is known."""
    from synth_spark.codecs.units import Units, from_units, to_units

    for kind, scale, largest in (("decimal(3,2)", 0, 9), ("decimal(4,2)", 1, 999), ("decimal(5,2)", 2, 99_999)):
        precision = int(kind[8])
        value = f"CAST({'9' * (precision - 2)}.99 AS {kind.upper()})"
        row = spark.sql(
            f"SELECT {to_units(kind, {'scale': scale}, value)}, {to_units(kind, {'scale': scale}, '-' + value)}"
        )
        units = list(row.first())
        assert units == [largest, -largest]
        back = from_units(kind, {"scale": scale}, Units(np.array(units)))
        assert str(back.type).startswith(f"decimal128({precision}, 2)") and back.null_count == 0
