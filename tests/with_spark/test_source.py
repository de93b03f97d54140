"""Reading, policies, split and subject numbers; keys of synthetic subjects."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synth_spark.config import SplitSettings
from synth_spark.errors import SourceError
from tests.with_spark.qa_data import source_of
from tests.with_spark.small_source import events_config, write

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SALT = b"fixed salt of thirty-two bytes!!"


DIRTY = [(1, 1, 1.0), (None, 2, 2.0), (2, None, 3.0), (2, 4, float("nan")), (3, 5, float("inf")), (9, 6, None)]


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ({}, "'id': 1 rows without a key"),
        ({"null_key": "drop"}, "'at': 1 events without"),
        ({"null_key": "drop", "null_order": "drop"}, "'value': 2 values are NaN or infinite"),
    ],
)
def test_dirty_rows_are_refused_by_default(
    spark: SparkSession, tmp_path: Path, policies: dict[str, str], message: str
) -> None:
    from synth_spark.source.read import read_source

    write(spark, tmp_path, DIRTY, "id int, at int, value double")
    with pytest.raises(SourceError, match=message):
        read_source(spark, events_config(tmp_path, **policies))


def test_policies_drop_adopt_and_make_missing(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.source.read import read_source

    write(spark, tmp_path, DIRTY, "id int, at int, value double")
    write(spark, tmp_path, [(1, "a"), (2, "b"), (2, "c"), (3, "d"), (7, "e")], "id int, group string", "subjects")
    lenient = {"null_key": "drop", "null_order": "drop", "duplicate_subject": "drop"}
    with pytest.raises(SourceError, match=r"unknown_key is fail"):
        read_source(spark, events_config(tmp_path, subjects=True, non_finite="drop", **lenient))
    adopted = read_source(
        spark, events_config(tmp_path, subjects=True, non_finite="missing", unknown_key="adopt", **lenient)
    )
    subjects = {tuple(row) for row in adopted.histories.subjects.collect()}
    assert subjects == {(1, "a"), (3, "d"), (7, "e"), (2, None), (9, None)}
    events = {
        tuple(row) for row in adopted.histories.events.select("__subject_key", "__event_index", "value").collect()
    }
    assert events == {(1, 0, 1.0), (2, 0, None), (3, 0, None), (9, 0, None)}
    dropped = read_source(
        spark, events_config(tmp_path, subjects=True, non_finite="drop", unknown_key="drop", **lenient)
    )
    assert [row[0] for row in dropped.histories.events.select("__subject_key").collect()] == [1]
    assert dropped.counts["events_unknown_key"] == 1 and dropped.counts["subjects_duplicate_keys"] == 1


@pytest.mark.parametrize(
    ("schema", "row", "message"),
    [
        ("id double, at int", (1.0, 1), "'id' has type double"),
        ("id int, at string", (1, "x"), "'at' has type string"),
        ("id int, at int, RUN_id int", (1, 1, 1), "'RUN_id': the name is taken"),
        ("id int, at int, __x int", (1, 1, 1), "'__x': the name is taken"),
        ("id int, when int", (1, 1), "order_by: no column 'at'"),
    ],
)
def test_what_cannot_be_learned_is_named(
    spark: SparkSession, tmp_path: Path, schema: str, row: tuple[Any, ...], message: str
) -> None:
    from synth_spark.source.read import read_source

    write(spark, tmp_path, [row], schema)
    with pytest.raises(SourceError, match=re.escape(message)):
        read_source(spark, events_config(tmp_path))


@pytest.mark.parametrize(
    ("expression", "kind", "way"),
    [
        ("array(1, 2)", "array<int>", "size(x)"),
        ("map('a', 1)", "map<string,int>", "x['name']"),
        ("named_struct('part', 1)", "struct<part:int>", "flatten it with select"),
        ("CAST('a' AS BINARY)", "binary", "exclude, or cast"),
        ("INTERVAL '1' DAY", "interval day", "exclude, or cast"),
        ("make_interval(1)", "interval", "exclude, or cast"),
        ("NULL", "void", "exclude, or cast"),
    ],
)
def test_a_type_that_is_not_taken_comes_with_the_way_out(
    spark: SparkSession, tmp_path: Path, expression: str, kind: str, way: str
) -> None:
    from synth_spark.source.read import read_source

    write(spark, tmp_path, [(1, 1)], "id int, at int")
    select = {"id": "id", "at": "at", "odd": expression}
    with pytest.raises(SourceError, match=re.escape(f"'odd' has type {kind}, which")) as refused:
        read_source(spark, events_config(tmp_path, events={"select": select}))
    assert way in str(refused.value)
    taken = read_source(spark, events_config(tmp_path, events={"select": select, "exclude": ["odd"]}))
    assert taken.histories.events.columns == ["__subject_key", "__event_index", "at"]


def test_a_missing_place_is_named(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.source.read import read_source

    for path, message in (("/nowhere/x", "cannot read it"), ("package://no-such-dist/x", "no-such-dist")):
        with pytest.raises(SourceError, match=message):
            read_source(spark, events_config(tmp_path, events={"path": path}))


def test_a_table_with_row_filters_comes_with_the_way_out(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Databricks says it; there is no such table here."""
    from pyspark.errors import PySparkException

    from synth_spark.source.read import read_source

    class Refused(PySparkException):
        def getCondition(self) -> str:
            return "ROW_LEVEL_SECURITY_COLUMN_MASK_FEATURE_NOT_SUPPORTED.DESCRIBE_HISTORY"

    def refuse(*_: Any) -> int:
        raise Refused("secret")

    monkeypatch.setattr("synth_spark.source.table._newest_version", refuse)
    spark.range(3).write.format("delta").save(str(tmp_path / "events"))
    with pytest.raises(SourceError, match=r"row filters or column masks.*DESCRIBE_HISTORY.*CREATE VIEW") as told:
        read_source(spark, events_config(tmp_path, events={"format": "delta"}))
    assert "secret" not in str(told.value)


def test_a_value_that_does_not_fit_its_cast_is_not_told(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark.source.read import read_source

    write(spark, tmp_path, [(1, "12"), (2, "Zanzibar")], "id int, at string")
    config = events_config(tmp_path, events={"select": {"id": "id", "at": "CAST(at AS INT)"}})
    with pytest.raises(SourceError, match=r"CAST_INVALID_INPUT.*try_cast") as refused:
        read_source(spark, config)
    assert "Zanzibar" not in str(refused.value) and refused.value.__cause__ is None


def test_a_path_may_name_a_variable(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synth_spark.source.read import read_source

    write(spark, tmp_path, [(1, 1)], "id int, at int")
    monkeypatch.delenv("MADE_UP_FOLDER", raising=False)
    config = events_config(tmp_path, events={"path": "${MADE_UP_FOLDER}/events"})
    with pytest.raises(SourceError, match="MADE_UP_FOLDER is not set; set it"):
        read_source(spark, config)
    monkeypatch.setenv("MADE_UP_FOLDER", str(tmp_path))
    assert read_source(spark, config).histories.events.count() == 1


def test_the_split_is_the_hmac_of_the_key(spark: SparkSession) -> None:
    from synth_spark.columns import SUBJECT_KEY
    from synth_spark.histories import Histories
    from synth_spark.source.split import count_by_split, keyed_digest, of_split, split_subjects

    keys = [f"k{i}é" for i in range(3000)]
    subjects = spark.createDataFrame([(key,) for key in keys], f"{SUBJECT_KEY} string")
    for salt in (SALT, b"long" * 40):
        rows = keyed_digest(
            subjects.limit(20), salt=salt, seed=5, purpose="split", column=SUBJECT_KEY, into="d"
        ).collect()
        for row in rows:
            message = f"5\x1fsplit\x1f{row[0]}".encode()
            assert row["d"] == hmac.new(salt, message, hashlib.sha256).hexdigest()
    histories = Histories(subjects, subjects)
    split = SplitSettings(holdout=0.4, validation=0.2)
    assignment = split_subjects(source_of(histories), salt=SALT, seed=5, split=split)
    plan = assignment._jdf.queryExecution().toString()
    assert SALT.decode() not in plan and SALT.hex() not in plan.lower()
    first = {row[0]: (row[1], row[2]) for row in assignment.collect()}
    assert sorted(number for _, number in first.values()) == list(range(3000))
    order = [name for name, _ in sorted(first.values(), key=lambda item: item[1])]
    sizes = {name: order.count(name) for name in ("training", "validation", "holdout")}
    assert order == [name for name, size in sizes.items() for _ in range(size)]
    assert abs(sizes["holdout"] - 1200) < 120 and abs(sizes["validation"] - 360) < 80
    fewer = Histories(subjects.limit(1500), subjects)
    for row in split_subjects(source_of(fewer), salt=SALT, seed=5, split=split).collect():
        assert row[1] == first[row[0]][0]  # stable when the table grows
    part = split.model_copy(update={"share": 0.3})
    taking_part = {row[0]: row for row in split_subjects(source_of(histories), salt=SALT, seed=5, split=part).collect()}
    assert abs(len(taking_part) - 900) < 100
    assert sorted(row[2] for row in taking_part.values()) == list(range(len(taking_part)))
    assert all(row[1] == first[key][0] for key, row in taking_part.items())  # nobody changes sides
    asked = subjects.where(~subjects[SUBJECT_KEY].isin(list(taking_part)))
    assert not any(count_by_split(asked, None, salt=SALT, seed=5, split=part).values())  # erase finds nobody else
    held = of_split(Histories(subjects, subjects), assignment, ["holdout"])
    assert held.subjects.count() == held.events.count() == sizes["holdout"]
