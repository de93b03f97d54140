"""What fitting asks of Spark, on rows that can be counted by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
