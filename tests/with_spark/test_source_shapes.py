"""Sources without a clock, without events, without a key; published splits; texts that nobody may learn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synth_spark.errors import SourceError
from tests.with_spark.small_source import events_config, flat_config, write

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SALT = b"fixed salt of thirty-two bytes!!"
PEOPLE = [(i, f"kind {i % 3}", None if i % 10 == 9 else i % 5 < 2) for i in range(400)]


def test_a_stored_position_orders_events_and_is_not_learned(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.source.read import read_source

    rows = [(1, 30, "c"), (2, 7, "x"), (1, 10, "a"), (1, 20, "b"), (2, None, "y")]
    write(spark, tmp_path, rows, "id int, `the place` int, what string")
    stored = {"order_by": None, "stored_order": "the place"}
    with pytest.raises(SourceError, match=r"'the place': 1 events without a value that orders them"):
        read_source(spark, events_config(tmp_path, events=stored))
    source = read_source(spark, events_config(tmp_path, events=stored, null_order="drop"))
    assert source.histories.events.columns == ["__subject_key", "__event_index", "what"]
    found = {tuple(row) for row in source.histories.events.collect()}
    assert found == {(1, 0, "a"), (1, 1, "b"), (1, 2, "c"), (2, 0, "x")}
    table = source.events_table
    assert table is not None and (table.stored_order, table.order_by) == ("the place", None)
    assert [column.name for column in table.attributes] == ["what"]
    cast = {**stored, "select": {"id": "id", "the place": "CAST(`the place` AS DOUBLE)"}}
    with pytest.raises(SourceError, match=r"stored_order: a position is one of tinyint, smallint, int, bigint"):
        read_source(spark, events_config(tmp_path, events=cast))


@pytest.mark.parametrize("placed", ["anyhow", "one partition", "held"])
def test_events_are_placed_before_they_are_put_in_order(spark: SparkSession, placed: str) -> None:
    """Placed anew afterwards, for the merge with their subjects' numbers, they would be sorted by their key alone."""
    from pyspark.sql import functions as F

    from synth_spark.columns import SPLIT, SUBJECT_KEY, SUBJECT_NUMBER
    from synth_spark.encode.frames import number_events
    from synth_spark.histories import Histories, with_event_index

    rows = spark.range(1000).select((F.col("id") % 50).cast("string").alias(SUBJECT_KEY), F.rand(1).alias("at"))
    if placed == "one partition":
        rows = rows.limit(999)
    elif placed == "held":
        rows = rows.repartition(3, SUBJECT_KEY).persist()
    events = with_event_index(rows, order_by="at", tie_break=None)
    keys = spark.range(50).repartition(7, "id").select(F.col("id").cast("string").alias(SUBJECT_KEY))
    assignment = keys.withColumn(SUBJECT_NUMBER, F.col(SUBJECT_KEY).cast("bigint")).withColumn(SPLIT, F.lit("training"))
    plan = number_events(Histories(keys, events), assignment, None, ())._jdf.queryExecution().executedPlan().toString()
    ordered_then_merged = plan[plan.index("SortMergeJoin") : plan.index("Window")]
    assert "Exchange" not in ordered_then_merged, plan


def test_flat_rows_without_a_key_are_known_by_their_content(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.source.read import read_source

    exact = "2024-01-01 10:00:00.123456"
    rows = [("x", None, exact), (None, "x", exact), ("x", None, exact), ("x", None, exact[:-1] + "7"), (None,) * 3]
    written = spark.createDataFrame(rows, "a string, b string, at string").selectExpr(
        "a", "b", "CAST(at AS TIMESTAMP_NTZ) AS at"
    )
    keys = []
    for files in (1, 3):
        written.repartition(files).write.mode("overwrite").parquet(str(tmp_path / "subjects"))
        source = read_source(spark, flat_config(tmp_path))
        assert source.histories.subjects.columns == ["__subject_key", "a", "b", "at"]
        assert source.histories.events.columns == ["__subject_key", "__event_index"]
        assert source.histories.events.count() == 0 and source.events_table is None
        assert source.subjects_table is not None and source.subjects_table.key is None
        keys.append(sorted(row[0] for row in source.histories.subjects.collect()))
    assert keys[0] == keys[1] and len(set(keys[0])) == 5
    assert len({key.split("-")[0] for key in keys[0]}) == 4  # two rows are alike to the microsecond


def test_flat_rows_with_a_key_answer_for_it(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.source.read import read_source

    write(spark, tmp_path, [(1, "a"), (1, "b"), (2, "c")], "id int, what string", "subjects")
    with pytest.raises(SourceError, match="duplicate_subject is fail"):
        read_source(spark, flat_config(tmp_path, key="id"))
    with pytest.raises(SourceError, match="no column beside the key"):
        read_source(spark, flat_config(tmp_path, key="id", exclude=["what"]))


def test_a_published_split_is_kept(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.source.read import read_source
    from synth_spark.source.split import split_subjects

    write(spark, tmp_path, PEOPLE, "id int, kind string, held boolean", "subjects")
    write(spark, tmp_path, [(i, i) for i in (1, 2, 999)], "id int, at int")
    split = {"holdout_where": "held AND kind <> 'kind 1'", "validation": 0.25}
    config = events_config(tmp_path, subjects={"exclude": ["held"]}, split=split, unknown_key="adopt")
    source = read_source(spark, config)
    assert source.histories.subjects.columns == ["__subject_key", "kind"]
    assignment = split_subjects(source, salt=SALT, seed=5, split=config.split)
    found = {row[0]: row[1] for row in assignment.collect()}
    marked = {i for i, kind, held in PEOPLE if held and kind != "kind 1"}
    assert {key for key, name in found.items() if name == "holdout"} == marked and found[999] != "holdout"
    validating = sum(name == "validation" for name in found.values())
    assert abs(validating - 0.25 * (401 - len(marked))) < 40


def test_a_mark_that_cannot_be_is_named(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.source.read import read_source

    write(spark, tmp_path, PEOPLE, "id int, kind string, held boolean", "subjects")
    write(spark, tmp_path, [(1, 1)], "id int, at int")
    with pytest.raises(SourceError, match=r"holdout_where \(held\): it is a condition over the subjects table"):
        read_source(spark, events_config(tmp_path, split={"holdout_where": "held"}))
    for wrong in ("nobody", "kind", "kind = "):
        with pytest.raises(SourceError, match=rf"holdout_where \({wrong}\): no condition over source subjects"):
            read_source(spark, flat_config(tmp_path, key="id", split={"holdout_where": wrong}))
    with pytest.raises(SourceError, match=r"UNRESOLVED_COLUMN.*, `kimd`.*; check") as refused:
        read_source(spark, flat_config(tmp_path, key="id", split={"holdout_where": "kimd = 'Robert' OR id = 4711"}))
    assert "Robert" not in str(refused.value) and "4711" not in str(refused.value)


def test_marks_reach_rows_without_a_key(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.source.read import read_source
    from synth_spark.source.split import of_split, split_subjects

    write(spark, tmp_path, [(f"kind {i % 3}", i % 2) for i in range(120)], "kind string, half int", "subjects")
    config = flat_config(tmp_path, exclude=["half"], split={"holdout_where": "half = 1"})
    source = read_source(spark, config)
    held = of_split(source.histories, split_subjects(source, salt=SALT, seed=5, split=config.split), ["holdout"])
    counts = {row[0]: row[1] for row in held.subjects.groupBy("kind").count().collect()}
    assert counts == {f"kind {i}": 20 for i in range(3)}


def test_free_text_and_identifiers_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.encode.stage import preview

    people = [(i, f"secret {i}" if i % 4 else "shared", None if i > 90 else f"few {i}") for i in range(300)]
    write(spark, tmp_path, people, "id int, `a note` string, few string", "subjects")
    visits = [(i, j, f"word {j}", f"mail{i}@example.org", f"{i}/{j}") for i in range(300) for j in range(3)]
    visits += [(0, j, f"one subject's {j}", "", "") for j in range(3, 280)]
    write(spark, tmp_path, visits, "id int, at int, word string, mail string, visit string")

    def check(exclude: list[str], columns: dict[str, Any]) -> None:
        config = events_config(tmp_path, subjects={"columns": columns}, events={"exclude": exclude})
        preview(spark, config, salt=SALT)

    for wanted, exclude in (
        ("source events: column 'mail': 100 % of its values", ["visit"]),
        ("source events: column 'visit': 100 % of its values", ["mail"]),
        ("source subjects: column 'a note': 75 % .* exclude, or set columns.a note.family", ["mail", "visit"]),
    ):
        with pytest.raises(SourceError, match=wanted) as refused:
            check(exclude, {})
        assert "secret" not in str(refused.value) and "example.org" not in str(refused.value)
    # `few` has too few values to judge; of `word` one subject holds many alone, all others share theirs
    check(["mail", "visit"], {"a note": {"family": "category"}})
