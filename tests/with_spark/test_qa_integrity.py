"""Keys, references, order and identical histories."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from synth_spark.qa.integrity import check_integrity, history_digests, identical_share, order_violations
from tests.with_spark.qa_data import histories, random_tables


def test_counts_what_is_wrong(spark: SparkSession) -> None:
    subjects = spark.createDataFrame([("a",), ("b",), ("b",), (None,)], "`the key` string")
    rows = [("a", 1), ("a", 3), ("a", 2), ("b", 5), ("b", 5), ("x", 9), (None, 1)]
    events = spark.createDataFrame(rows, "`the key` string, at int").coalesce(1)
    found = check_integrity(subjects, events, key="the key", order_by="at", planned_subjects=3, planned_events=9)
    assert (found.subjects, found.events, found.planned_subjects, found.planned_events) == (4, 7, 3, 9)
    assert found.duplicate_keys == 2
    assert found.orphans == 2
    assert found.order_violations == 1


def test_order_is_that_of_storage(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(key, at) for key in range(200) for at in (1, 2, 2, 7)]
    good = spark.createDataFrame(rows, "key int, at int").repartition(3, "key").sortWithinPartitions("key", "at")
    good.write.parquet(str(tmp_path / "good"))
    bad = good.sortWithinPartitions("key", good["at"].desc())
    bad.write.parquet(str(tmp_path / "bad"))
    assert order_violations(spark.read.parquet(str(tmp_path / "good")), key="key", order_by="at") == 0
    assert order_violations(spark.read.parquet(str(tmp_path / "bad")), key="key", order_by="at") == 400


def test_order_is_seen_across_batches(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "1")
    try:
        events = spark.createDataFrame([(1, 3), (1, 2), (1, 1), (2, 0)], "key int, at int").coalesce(1)
        assert order_violations(events, key="key", order_by="at") == 2
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")


def test_histories_are_identical_only_in_every_value(spark: SparkSession) -> None:
    people, events = random_tables(1, subjects=60)
    real = histories(spark, people, events)
    renamed = histories(spark, people.replace(r"^k", "z", regex=True), events.replace(r"^k", "z", regex=True))
    changed = events.copy()
    changed["am.ount"] = changed["am.ount"].fillna(0) + 0.01
    other = histories(spark, people.assign(age=people["age"] + 1), changed)
    digests = [history_digests(data) for data in (real, renamed, other)]
    assert identical_share(digests[1], digests[0]) == 1.0
    assert identical_share(digests[2], digests[0]) == 0.0
