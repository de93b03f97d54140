"""What init makes of tables as people have them: times in other types, keys as floating point, files of other makes."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from synth_spark.config import TableSource, load_config
from synth_spark.errors import SourceError
from synth_spark.pipeline.drafting import draft
from synth_spark.source.table import load_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 240
FIRST = 1_589_328_000  # seconds since 1970: in May 2020


def drafted(source: Path, to: Path) -> dict[str, Any]:
    draft([str(source)], to)
    document: dict[str, Any] = yaml.safe_load(to.read_text(encoding="utf-8"))["source"]
    return document


def types_of(spark: SparkSession, config: Path) -> dict[str, str]:
    found = load_config(config).source
    return dict(load_table(spark, found.event_table or found.subjects).dtypes)


def parquet(spark: SparkSession, rows: list[tuple[Any, ...]], schema: str, folder: Path) -> Path:
    spark.createDataFrame(rows, schema).coalesce(1).write.parquet(str(folder))
    return folder


def test_seconds_since_1970_become_the_clock_and_ids_of_things_categories(spark: SparkSession, tmp_path: Path) -> None:
    """Ratings as they are published: all four columns are whole numbers."""
    lines = [f"{n % 40},{17 * (n % 30)},{n % 5},{FIRST + 5000 * n}" for n in range(ROWS)]
    file = tmp_path / "ratings.CSV"
    file.write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines), encoding="utf-8")
    source = drafted(file, tmp_path / "ratings.yml")
    (events,) = source["events"]
    assert (events["key"], events["order_by"]) == ("userId", "timestamp") and "subjects" not in source
    assert events["columns"] == {"movieId": {"family": "category"}}
    assert types_of(spark, tmp_path / "ratings.yml")["timestamp"] == "timestamp"
    assert "seconds since 1970" in (tmp_path / "ratings.yml").read_text(encoding="utf-8")


def test_a_key_in_floating_point_is_the_key_and_not_learned(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        (f"S{n % 30}", n % 3, datetime(2024, 1, 1 + n % 28), None if n % 9 == 8 else float(13_000 + n % 40))
        for n in range(ROWS)
    ]
    folder = parquet(
        spark, rows, "StockCode string, Quantity int, InvoiceDate timestamp, `Customer ID` double", tmp_path / "x"
    )
    (events,) = drafted(folder, tmp_path / "x.yml")["events"]
    assert (events["key"], events["order_by"]) == ("Customer ID", "InvoiceDate")
    assert types_of(spark, tmp_path / "x.yml")["Customer ID"] == "bigint"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", lambda n: f"2024-01-{1 + n % 28:02}T{n % 24:02}:30:00", "timestamp"),
        ("string", lambda n: f"2024-01-{1 + n % 28:02}", "date"),
        ("int", lambda n: 20240101 + n % 28, "date"),
        ("bigint", lambda n: 1000 * (FIRST + n), "timestamp"),
    ],
)
def test_times_in_other_types_are_cast(
    spark: SparkSession, tmp_path: Path, kind: str, value: Any, expected: str
) -> None:
    rows = [(f"C{n % 40}", value(n), n % 7) for n in range(ROWS)]
    folder = parquet(spark, rows, f"customer_id string, event_date {kind}, amount int", tmp_path / "x")
    (events,) = drafted(folder, tmp_path / "x.yml")["events"]
    assert (events["key"], events["order_by"]) == ("customer_id", "event_date")
    assert types_of(spark, tmp_path / "x.yml")["event_date"] == expected


@pytest.mark.parametrize("kind", ["as text of a format of its own", "not there"])
def test_rows_of_subjects_that_nothing_orders_are_refused_not_learned(
    spark: SparkSession, tmp_path: Path, kind: str
) -> None:
    """As flat data who is who would be learned, and half of a customer's rows would be the holdout of the others."""
    when = (lambda n: f"{1 + n % 28:02}.01.2024") if "text" in kind else (lambda n: f"kind {n % 4}")
    folder = parquet(
        spark,
        [(n % 40, when(n), n % 7) for n in range(ROWS)],
        "customer_id int, bought string, order_quantity int",
        tmp_path / "x",
    )
    told = "bought may hold times as text" if "text" in kind else "no column orders them"
    with pytest.raises(SourceError, match=rf"customer_id repeats \(40 values in 240 rows\).*{told}"):
        draft([str(folder)], tmp_path / "x.yml")
    assert not (tmp_path / "x.yml").exists()


def test_a_table_of_customers_is_flat_and_has_a_key(spark: SparkSession, tmp_path: Path) -> None:
    """Its postcodes repeat and it has dates, of birth."""
    rows = [(n, f"{8000 + n % 30}", n % 9, date(1950 + n % 50, 1, 1), f"phone {n % 3}") for n in range(ROWS)]
    schema = "customer_id bigint, zip_code string, income int, birth_date date, device_type string"
    source = drafted(parquet(spark, rows, schema, tmp_path / "x"), tmp_path / "x.yml")
    assert source["subjects"]["key"] == "customer_id" and "events" not in source
    assert "exclude" not in source["subjects"]


def test_other_separators_and_times_of_day(spark: SparkSession, tmp_path: Path) -> None:
    lines = [f'{n % 40};2024-01-{1 + n % 28:02};{n % 24:02}:30:15;"a ""b"";{n % 3}"' for n in range(ROWS)]
    (tmp_path / "x.csv").write_text("customer_id;date;time;note\n" + "\n".join(lines), encoding="utf-8")
    (events,) = drafted(tmp_path / "x.csv", tmp_path / "x.yml")["events"]
    assert (events["key"], events["order_by"], events["options"]["sep"]) == ("customer_id", "date", ";")
    assert types_of(spark, tmp_path / "x.yml")["time"] == "string", "not the day on which it is read"
    rows = load_table(spark, load_config(tmp_path / "x.yml").source.event_table)
    assert {row["note"] for row in rows.select("note").distinct().collect()} == {f'a "b";{n}' for n in range(3)}


def test_a_file_whose_columns_changed_places_is_not_misread(spark: SparkSession, tmp_path: Path) -> None:
    def write(head: str) -> None:
        lines = [f"{n % 40},2024-01-{1 + n % 28:02},{n % 7},{n % 5}" for n in range(ROWS)]
        (tmp_path / "x.csv").write_text(head + "\n" + "\n".join(lines), encoding="utf-8")

    write("customer_id,at,amount,discount")
    drafted(tmp_path / "x.csv", tmp_path / "x.yml")
    write("customer_id,at,discount,amount")
    table = load_config(tmp_path / "x.yml").source.event_table
    with pytest.raises(Exception, match=r"(?i)header"):
        load_table(spark, table).collect()


@pytest.mark.parametrize("inside", ["", "year=2024"])
def test_files_of_a_delta_table_are_not_read_as_parquet(spark: SparkSession, tmp_path: Path, inside: str) -> None:
    rows = spark.range(20).selectExpr("id", "2024 AS year")
    rows.write.format("delta").partitionBy("year").save(str(tmp_path / "x"))
    config = {"path": str(tmp_path / "x" / inside), "format": "parquet"}
    with pytest.raises(SourceError, match=r"this is a Delta table, and format is parquet.*with format: delta"):
        load_table(spark, TableSource(**config))


def test_ids_of_orders_are_not_those_of_their_customers(spark: SparkSession, tmp_path: Path) -> None:
    """The order's own id stands first, speaks of customers and is different in every row."""
    rows = [(n, n % 40, f"D{n % 120}", date(2024, 1, 1 + n % 28), n % 5) for n in range(ROWS)]
    schema = "customer_order_id bigint, customer_id int, driver_id string, order_date date, amount int"
    (events,) = drafted(parquet(spark, rows, schema, tmp_path / "x"), tmp_path / "x.yml")["events"]
    assert (events["key"], events["order_by"]) == ("customer_id", "order_date")
    assert set(events["exclude"]) == {"customer_order_id", "driver_id"}, "real drivers are people, too"


def test_a_word_for_people_with_few_values_makes_no_events(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(n, n % 60, "mobile" if n % 3 else "desktop", n % 16, f"{n % 9}.{n % 7}.{n % 5}") for n in range(ROWS)]
    schema = "id bigint, age int, device string, guests int, version string"
    source = drafted(parquet(spark, rows, schema, tmp_path / "x"), tmp_path / "x.yml")
    assert "events" not in source and "key" not in source["subjects"]


def test_positions_count_beside_texts_that_look_like_times(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(n // 4, 1 + n % 4, f"{1 + n % 28:02}.01.2024", n % 3) for n in range(ROWS)]
    schema = "member_id int, seq_no int, due string, kind int"
    (events,) = drafted(parquet(spark, rows, schema, tmp_path / "x"), tmp_path / "x.yml")["events"]
    assert events["stored_order"] == "seq_no"


def test_a_time_of_validity_orders_where_nothing_else_does(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(n % 40, date(2024, 1, 1 + n % 28), n % 4) for n in range(ROWS)]
    folder = parquet(spark, rows, "customer_id int, valid_from date, status int", tmp_path / "x")
    (events,) = drafted(folder, tmp_path / "x.yml")["events"]
    assert events["order_by"] == "valid_from"


def test_columns_that_spark_had_to_name_can_be_read(spark: SparkSession, tmp_path: Path) -> None:
    """The index that pandas writes has no name."""
    lines = [f"{n},{n % 40},2024-01-{1 + n % 28:02},{n % 7}" for n in range(ROWS)]
    (tmp_path / "x.csv").write_text(",customer_id,date,amount\n" + "\n".join(lines), encoding="utf-8")
    (events,) = drafted(tmp_path / "x.csv", tmp_path / "x.yml")["events"]
    assert events["key"] == "customer_id" and "enforceSchema" not in events["options"]
    assert load_table(spark, load_config(tmp_path / "x.yml").source.event_table).count() == ROWS
