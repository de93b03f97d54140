"""Keys, references, order and identical histories."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories
from synth_spark.qa.integrity import (
    check_integrity,
    history_digests,
    identical_figures,
    identical_share,
    order_violations,
)
from tests.with_spark.qa_data import codebook_of, histories, random_tables, table_of


def test_counts_what_is_wrong(spark: SparkSession) -> None:
    subjects = spark.createDataFrame([("a",), ("b",), ("b",), (None,)], "`the key` string")
    rows = [("a", 1), ("a", 3), ("a", 2), ("b", 5), ("b", 5), ("x", 9), (None, 1)]
    events = spark.createDataFrame(rows, "`the key` string, at int").coalesce(1)
    events_table = table_of("the key", "at", key="the key", order_by="at")
    book = codebook_of(subjects=None, events=events_table, time={"type": "int"})
    found = check_integrity(subjects, events, book, planned_subjects=3, planned_events=9)
    assert found == {
        "rows.subjects": 4.0,
        "rows.subjects.planned": 3.0,
        "duplicate_keys": 2.0,
        "rows.events": 7.0,
        "rows.events.planned": 9.0,
        "orphans": 2.0,
        "order_violations": 1.0,
    }


def test_stored_positions_count_from_one(spark: SparkSession) -> None:
    rows = [("a", 2), ("a", 1), ("a", 3), ("b", 1), ("b", 3), ("c", 0), ("c", 1), ("d", None), ("d", 1), ("e", 1)]
    events = spark.createDataFrame(rows, "id string, place bigint")
    subjects = spark.createDataFrame([(key,) for key in "abcde"], "id string")
    events_table = table_of("id", "place", key="id", stored_order="place")
    book = codebook_of(subjects=table_of("id", key="id"), events=events_table)
    found = check_integrity(subjects, events, book, planned_subjects=5, planned_events=10)
    # b: 3 stands at place 2; c: both are one too low; d: null sorts first, so that both are wrong
    assert found["order_violations"] == 5.0 and found["orphans"] == 0.0


def test_what_a_shape_has_no_place_for_is_not_counted(spark: SparkSession) -> None:
    subjects = spark.createDataFrame([("a", 1), ("a", 1), ("b", 2)], "id string, x int")
    planned = {"planned_subjects": 3, "planned_events": 0}
    keyed = codebook_of(subjects=table_of("id", "x", key="id"), events=None)
    rows = {"rows.subjects": 3.0, "rows.subjects.planned": 3.0}
    assert check_integrity(subjects, None, keyed, **planned) == {**rows, "duplicate_keys": 1.0}
    keyless = codebook_of(subjects=table_of("id", "x"), events=None)
    assert check_integrity(subjects, None, keyless, **planned) == rows


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


def digests(spark: SparkSession, numbers: list[int], prefix: str) -> DataFrame:
    rows = [(f"{prefix}{place}", number) for place, number in enumerate(numbers)]
    people = spark.createDataFrame(rows, f"{SUBJECT_KEY} string, number int")
    nothing = spark.createDataFrame([], f"{SUBJECT_KEY} string, {EVENT_INDEX} int")
    return history_digests(Histories(people, nothing))


def test_a_history_that_many_have_counts_once_and_chance_decides(spark: SparkSession) -> None:
    training, holdout = list(range(40)), list(range(20, 60))
    copies = digests(spark, [*range(15), *[0] * 50, 20, 45, 99], "s")
    sides = digests(spark, training, "t"), digests(spark, holdout, "h")
    found = identical_figures(*sides, copies)
    assert (found["identical_share.only_training"], found["identical_share.only_holdout"]) == (15, 1)
    assert found["identical_share.p"] == pytest.approx(17 / 2**16)  # 15 or 16 heads of 16
    assert found["identical_share.training"] == pytest.approx(66 / 68)
    assert found["identical_share.control"] == 0.5
    nothing = identical_figures(*sides, digests(spark, [77, 78], "s"))
    assert nothing["identical_share.p"] == 1.0
    assert "identical_share.p" not in identical_figures(sides[0], digests(spark, [], "h"), copies)


def test_the_larger_of_training_and_holdout_is_cut(spark: SparkSession) -> None:
    training, holdout = digests(spark, list(range(900)), "t"), digests(spark, list(range(900, 1200)), "h")
    found = identical_figures(training, holdout, digests(spark, list(range(1200)), "s"))
    assert found["identical_share.only_holdout"] == 300
    assert 240 < found["identical_share.only_training"] < 360
    assert found["identical_share.p"] > 0.001
