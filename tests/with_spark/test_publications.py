"""One row publishes, whoever else publishes at the same time."""

from __future__ import annotations

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
