"""Tables of a database: read in parts, with secrets from the environment only, asked once; Derby comes with pyspark."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synth_spark.config import Config, parse_config
from synth_spark.errors import ConfigError, SourceError
from synth_spark.source.jdbc import round_bounds
from synth_spark.source.read import read_source
from synth_spark.source.table import EVENTS, read_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 400
PASSWORD = "not to be seen 4711"


@pytest.fixture
def database(spark: SparkSession, tmp_path: Path) -> Iterator[str]:
    """A Derby database in memory with a table of events; its address."""
    url = f"jdbc:derby:memory:{tmp_path.name}"
    rows = [(n, n % 50, date(2024, 1, 1) + timedelta(n // 50), float(n % 7)) for n in range(ROWS)]
    frame = spark.createDataFrame(rows, "row_id int, id bigint, at date, amount double")
    frame.write.jdbc(f"{url};create=true", '"events"')
    spark.createDataFrame([], frame.schema).write.jdbc(url, '"nothing"')
    yield url
    driver = spark.sparkContext._jvm.java.sql.DriverManager  # type: ignore[union-attr]
    with pytest.raises(Exception, match="dropped"):  # Derby tells so by an exception
        driver.getConnection(f"{url};drop=true")


def config_of(url: str, table: str = '"events"', **changes: Any) -> Config:
    jdbc = {"url": url, "table": table, **changes}
    events = {"jdbc": jdbc, "key": "id", "order_by": "at", "exclude": ["row_id"]}
    return parse_config({"name": "t", "source": {"events": [events]}}, origin="t")


@pytest.mark.parametrize("column", ["row_id", "at"])
def test_a_table_is_read_in_parts(spark: SparkSession, database: str, column: str) -> None:
    settings = config_of(database, partition_column=column, partitions=4).source.event_table
    assert settings is not None
    rows = read_table(spark, EVENTS, settings).rows
    assert rows.rdd.getNumPartitions() == 4
    sizes = rows.groupBy(rows.amount * 0).count().collect()
    assert sizes[0]["count"] == ROWS
    assert rows.dtypes == [("id", "bigint"), ("at", "date"), ("amount", "double")]


def test_times_without_a_zone_are_what_they_say_or_refused(spark: SparkSession, database: str) -> None:
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    connection = jvm.java.sql.DriverManager.getConnection(database)
    statement = connection.createStatement()
    statement.execute('create table "times" ("row_id" int, "id" bigint, "at" timestamp)')
    statement.execute("insert into \"times\" values (1, 1, '2024-06-01 00:00:00'), (2, 1, '2024-12-01 00:00:00')")
    connection.close()
    settings = config_of(database, '"times"').source.event_table
    assert settings is not None
    rows = read_table(spark, EVENTS, settings).rows
    told = sorted(row[0] for row in rows.select(rows["at"].cast("string")).collect())
    assert told == ["2024-06-01 00:00:00", "2024-12-01 00:00:00"]
    zone = jvm.java.util.TimeZone
    before = zone.getDefault()
    zone.setDefault(zone.getTimeZone("Europe/Berlin"))
    try:
        with pytest.raises(SourceError, match=r"time zone Europe/Berlin, .* column 'at' .*-Duser.timezone=UTC"):
            read_table(spark, EVENTS, settings)
    finally:
        zone.setDefault(before)


def test_parts_do_not_change_what_is_read(spark: SparkSession, database: str) -> None:
    whole, parts = (read_source(spark, config_of(database, **changes)) for changes in ({}, {"partition_column": "id"}))
    assert whole.digest == parts.digest and whole.histories.subjects.count() == 50


def test_the_database_is_asked_once(spark: SparkSession, database: str) -> None:
    source = read_source(spark, config_of(database, partition_column="row_id", partitions=3))
    before = source.histories.events.count()
    spark.createDataFrame(
        [(ROWS, 1, date(2025, 1, 1), 1.0)], "row_id int, id bigint, at date, amount double"
    ).write.jdbc(database, '"events"', mode="append")
    assert source.histories.events.count() == before == ROWS


@pytest.mark.parametrize(
    ("low", "high", "around"),
    [
        ("3", "1999", ("0", "2000")),
        ("5", "5", ("0", "10")),
        ("-17", "-12", ("-20", "-10")),
        ("2024-03-17", "2024-12-02", ("2024-03-01", "2025-01-01")),
        ("2019-01-02 03:04:05", "9999-12-31 23:59:59.5", ("2019-01-01", "9999-12-31")),
    ],
)
def test_no_ones_value_is_a_bound(low: str, high: str, around: tuple[str, str]) -> None:
    """Spark logs the bounds of parts."""
    assert round_bounds(low, high) == around


def test_an_empty_table_has_no_parts(spark: SparkSession, database: str) -> None:
    settings = config_of(database, '"nothing"', partition_column="row_id").source.event_table
    assert settings is not None and read_table(spark, EVENTS, settings).rows.count() == 0


def test_user_and_password_come_from_the_environment(
    spark: SparkSession, database: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = config_of(
        "jdbc:derby:memory:${DATABASE}", user="${READER}", password_variable="DATABASE_PASSWORD", partition_column="id"
    )
    with pytest.raises(SourceError, match="variable DATABASE"):
        read_source(spark, config)
    monkeypatch.setenv("DATABASE", database.removeprefix("jdbc:derby:memory:"))
    monkeypatch.setenv("READER", "APP")
    with pytest.raises(SourceError, match=r"DATABASE_PASSWORD is not set.*secrets/"):
        read_source(spark, config)
    monkeypatch.setenv("DATABASE_PASSWORD", PASSWORD)
    source = read_source(spark, config)
    source.histories.events.explain("extended")
    assert PASSWORD not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"partition_column": "nobody"}, "no column 'nobody'; there are: row_id, id"),
        ({"partition_column": "amount"}, "has type double"),
        ({"table": '"absent"'}, "SQLSyntaxErrorException"),
        ({"driver": "org.example.Absent"}, "ClassNotFoundException"),
        ({"url": "jdbc:unknown:x"}, "08001"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(
    spark: SparkSession, database: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        read_source(spark, config_of(**{"url": database, **changes}))


@pytest.mark.parametrize(
    "url",
    [
        f"jdbc:postgresql://host/db?user=u&password={PASSWORD}",
        f"jdbc:sqlserver://host;user=u;PWD={PASSWORD}",
        f"postgresql://host/db?password={PASSWORD}",
        f"jdbc:mysql://app:{PASSWORD}@host/shop",
        f"jdbc:oracle:thin:scott/{PASSWORD}@//db:1521/svc",
    ],
)
def test_addresses_that_hold_secrets_are_refused_and_not_told(url: str) -> None:
    with pytest.raises(ConfigError, match="url") as refused:
        config_of(url)
    assert PASSWORD not in str(refused.value)


def test_options_that_hold_secrets_are_refused() -> None:
    table = {"path": "s3a://bucket/x", "options": {"fs.s3a.secret.key": PASSWORD}, "key": "id", "order_by": "at"}
    with pytest.raises(ConfigError, match=r"fs\.s3a\.secret\.key is a secret") as refused:
        parse_config({"name": "t", "source": {"events": [table]}}, origin="t")
    assert PASSWORD not in str(refused.value)
