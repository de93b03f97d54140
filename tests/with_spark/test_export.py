"""What is published, for people without Spark: every format holds the rows that the views show, and the dictionary."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.columns import RUN_ID
from synth_spark.errors import ConfigError, ContractError, EnvironmentProblem
from synth_spark.histories import quoted
from synth_spark.pipeline.export_format import Format
from synth_spark.pipeline.exporting import export
from synth_spark.publish.publications import Publication, append
from tests.unread import config_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WEIRD = 'two words, tick` and "quo\'ted"'
SCHEMAS = {
    "subjects": f"id BIGINT, `{WEIRD.replace('`', '``')}` STRING, {RUN_ID} STRING",
    "events": f"id BIGINT, at TIMESTAMP, day DATE, price DECIMAL(10,2), rate DOUBLE, {RUN_ID} STRING",
}
COMMENTS = {"id": "the key", WEIRD: "it's odd"}
MOMENT = datetime(2024, 2, 29, 23, 59, 59, 250_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def config(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a workspace with two runs' rows, of which the first is the newest publication."""
    path = config_of(tmp_path_factory.mktemp("published"))
    folder = path.parent / "workspace" / "published"
    held: dict[str, list[tuple[Any, ...]]] = {
        "subjects": [(1, 'a "quoted", text', "one"), (2, "", "one"), (3, None, "one"), (9, "other", "two")],
        "events": [
            (1, MOMENT, date(1, 1, 1), Decimal("12.50"), 0.1, "one"),
            (1, None, date(9999, 12, 31), None, float("nan"), "one"),
            (9, MOMENT, None, None, None, "two"),
        ],
    }
    for run_id in ("two", "one"):
        for name, rows in held.items():
            own = [row for row in rows if row[-1] == run_id]
            frame = spark_session.createDataFrame(own, SCHEMAS[name])
            commented = [
                F.col(quoted(column)).alias(column, metadata={"comment": COMMENTS.get(column, "")})
                for column in frame.columns
            ]
            tables.replace_run(
                frame.select(*commented), folder / name, run_id, expected_rows=len(own), properties={"a": "b"}
            )
        append(
            spark_session,
            folder / "runs",
            Publication(run_id, "f", "d", 3, 2, "passed", False, ["b"], {"overall": 0.5}),
        )
    return path


def test_a_duckdb_file_holds_rows_types_comments_and_provenance(
    spark: SparkSession, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "price=7" / "year=2024"  # as lakes call their folders: no columns of these tables
    folder.mkdir(parents=True)
    target = folder / "it's [out]*.duckdb"
    export(config, target, Format.DUCKDB)
    with duckdb.connect(str(target), read_only=True) as database:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return database.execute(query).fetchall()

        database.execute("SET TimeZone = 'UTC'")
        assert rows("FROM subjects ORDER BY id") == [(1, 'a "quoted", text'), (2, ""), (3, None)]
        assert rows('SELECT epoch_us("at"), day::text, price FROM events ORDER BY day') == [
            (int(MOMENT.timestamp()) * 1_000_000 + 250_000, "0001-01-01", Decimal("12.50")),
            (None, "9999-12-31", None),
        ]
        assert rows("SELECT isnan(rate) FROM events ORDER BY day") == [(False,), (True,)]
        described = (
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'subjects' ORDER BY column_index"
        )
        assert rows(described) == [("id", "the key"), (WEIRD, "it's odd")]
        assert rows("SELECT column_name, spark_type FROM dictionary WHERE table_name = 'events' ORDER BY 1") == [
            ("at", "timestamp"),
            ("day", "date"),
            ("id", "bigint"),
            ("price", "decimal(10,2)"),
            ("rate", "double"),
        ]
        assert rows("SELECT publication, run_id, figures['overall'] FROM publication") == [(2, "one", 0.5)]


@pytest.mark.parametrize("form", [Format.PARQUET, Format.CSV])
def test_a_folder_holds_one_file_per_table(spark: SparkSession, form: Format, config: Path, tmp_path: Path) -> None:
    (tmp_path / "id=7").mkdir()
    target = tmp_path / "id=7" / "out"
    export(config, target, form)
    names = ["dictionary", "events", "publication", "subjects"]
    assert sorted(path.name for path in target.iterdir()) == [f"{name}.{form}" for name in names]
    options = "hive_partitioning=false" + (", allow_quoted_nulls=false" if form is Format.CSV else "")
    read = f"read_{form}('{target}/subjects.{form}', {options})"
    with duckdb.connect() as database:
        found = database.execute(f"FROM {read} ORDER BY id")
        assert [column[0] for column in found.description or []] == ["id", WEIRD]
        assert found.fetchall() == [(1, 'a "quoted", text'), (2, ""), (3, None)]


def test_nothing_is_overwritten_and_nothing_left_behind(
    spark: SparkSession, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.duckdb"
    target.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        export(config, target, Format.DUCKDB)
    assert target.read_text() == "mine"
    with pytest.raises(ConfigError, match="does not exist"):
        export(config, tmp_path / "no" / "folder", Format.CSV)
    before = sorted(tmp_path.iterdir())

    def broken(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("synth_spark.pipeline.exporting._comment_columns", broken)
    with pytest.raises(OSError, match="disk full"):
        export(config, tmp_path / "new.duckdb", Format.DUCKDB)
    assert sorted(tmp_path.iterdir()) == before


def test_databricks_is_refused_by_name(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "15.4")
    with pytest.raises(EnvironmentProblem, match="export: DuckDB writes at random places"):
        export(config, tmp_path / "out.duckdb", Format.DUCKDB)
    assert not (tmp_path / "out.duckdb").exists()


def test_there_must_be_something_to_export(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="nothing is published"):
        export(config_of(tmp_path), tmp_path / "out.duckdb", Format.DUCKDB)
