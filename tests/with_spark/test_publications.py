"""One row publishes, whoever else publishes at the same time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synth_spark import tables
from synth_spark.columns import RUN_ID
from synth_spark.errors import ConfigError, ContractError
from synth_spark.publish.publications import Publication, append, is_published, newest
from synth_spark.publish.read import read_published
from synth_spark.publish.views import view_text

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WEIRD = ["plain", "two words", "dot.ted", "tick`ed", "quo'ted", "größe"]


def _publication(run_id: str) -> Publication:
    return Publication(run_id, "fingerprint", "digest", 1, 2, "passed", False, figures={"accuracy.overall": 0.9})


def test_concurrent_publications_get_numbers_of_their_own(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    assert newest(spark, path) is None and not is_published(spark, path, "run-0")
    append(spark, path, _publication("first"))
    with ThreadPoolExecutor(3) as pool:
        numbers = [p.number for p in pool.map(lambda n: append(spark, path, _publication(f"run-{n}")), range(3))]
    assert sorted(numbers) == [2, 3, 4]
    rows = tables.read_table(spark, path).collect()
    assert sorted(row.publication for row in rows) == [1, 2, 3, 4] and len({row.run_id for row in rows}) == 4
    last = newest(spark, path)
    assert last is not None and last.number == 4 and is_published(spark, path, "run-1")


def test_one_row_turns_what_is_read(spark: SparkSession, tmp_path: Path) -> None:
    published = tmp_path / "published"
    with pytest.raises(ContractError, match="nothing is published"):
        read_published(spark, tmp_path, "events")
    columns = [*WEIRD, RUN_ID]
    rows = spark.createDataFrame([(*"abcdef", "one"), (*"uvwxyz", "two")], columns)
    tables.replace_run(
        rows.where(f"{RUN_ID} = 'one'"), published / "events", "one", expected_rows=1, properties={"a": "b"}
    )
    tables.replace_run(
        rows.where(f"{RUN_ID} = 'two'"), published / "events", "two", expected_rows=1, properties={"a": "b"}
    )
    text = None
    for run_id, expected in (("one", "abcdef"), ("two", "uvwxyz"), ("one", "abcdef")):
        append(spark, published / "runs", _publication(run_id))
        text = text or view_text(published, "events", rows.schema)
        for shown in (read_published(spark, tmp_path, "events"), spark.sql(text)):
            assert shown.columns == WEIRD
            assert [tuple(row) for row in shown.collect()] == [tuple(expected)]
    with pytest.raises(ConfigError, match="runs"):
        read_published(spark, tmp_path, "runs")
    with pytest.raises(ConfigError, match="these data have no such table"):
        read_published(spark, tmp_path, "subjects")


def test_rows_that_are_not_there_afterwards_are_told(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.createDataFrame([("a", "one")], ["x", RUN_ID])
    with pytest.raises(ContractError, match="run one has 1 rows after writing, expected 2"):
        tables.replace_run(rows, tmp_path / "events", "one", expected_rows=2, properties={"a": "b"})
    with pytest.raises(ContractError, match=r"belongs to codebook \(none\), not other"):
        tables.read_table(spark, tmp_path / "events", fingerprint="other")


def test_files_tell_of_every_column_what_they_hold(spark: SparkSession, tmp_path: Path) -> None:
    """So that readers of a wide table skip the files of other runs."""
    rows = spark.range(3).selectExpr(*(f"id AS `c {number}`" for number in range(40)), f"'one' AS {RUN_ID}")
    tables.replace_run(rows, tmp_path / "events", "one", expected_rows=3, properties={"a": "b"})
    log = [json.loads(line) for file in sorted((tmp_path / "events/_delta_log").glob("*.json")) for line in file.open()]
    statistics = [json.loads(line["add"]["stats"]) for line in log if "add" in line]
    assert statistics and all(
        len(one["minValues"]) == len(one["maxValues"]) == 41 for one in statistics if one["numRecords"]
    )
    assert sum(one["numRecords"] for one in statistics) == 3


def test_two_runs_written_at_once_are_both_there_or_one_is_told(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(100).selectExpr("id AS x")
    first = rows.selectExpr("x", f"'none' AS {RUN_ID}")
    tables.replace_run(first, tmp_path / "events", "none", expected_rows=100, properties={"a": "b"})

    def write(run_id: str) -> str:
        try:
            own = rows.selectExpr("x", f"'{run_id}' AS {RUN_ID}")
            tables.replace_run(own, tmp_path / "events", run_id, expected_rows=100, properties={"a": "b"})
        except ContractError as error:
            assert "another process wrote it meanwhile" in str(error)
            write(run_id)
        return run_id

    with ThreadPoolExecutor(3) as pool:
        written = list(pool.map(write, ["one", "two", "three"]))
    counted = tables.read_table(spark, tmp_path / "events").groupBy(RUN_ID).count().collect()
    assert {row[0]: row[1] for row in counted} == dict.fromkeys(["none", *written], 100)


@pytest.mark.parametrize(
    ("name", "told", "lost"),
    [
        ("ConcurrentAppendException", "x", True),
        ("MetadataChangedException", "x", True),
        ("ProtocolChangedException", "x", True),
        ("AnalysisException", "[TABLE_OR_VIEW_ALREADY_EXISTS] two made it at once", True),
        ("Py4JJavaError", "io.delta: [DELTA_METADATA_CHANGED] x", True),
        ("AnalysisException", "[TABLE_OR_VIEW_NOT_FOUND] Concurrent is a name", False),
        ("ValueError", "MetadataChanged", False),
    ],
)
def test_a_lost_transaction_is_told_from_other_errors(name: str, told: str, lost: bool) -> None:
    assert tables.is_conflict(type(name, (Exception,), {})(told)) == lost
