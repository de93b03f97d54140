"""A table of a database, read through JDBC in as many parts as asked for. [spark]"""

from __future__ import annotations

import os

from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, IntegralType, TimestampNTZType, TimestampType

from synth_spark.codecs.units import LONG_LIMIT
from synth_spark.config import JdbcSource
from synth_spark.errors import SourceError
from synth_spark.variables import expand_variables


def jdbc_rows(spark: SparkSession, settings: JdbcSource, options: dict[str, str]) -> DataFrame:
    """The table's rows, asked from the database once per process: what was read is kept in memory, or on Spark's disks.

    Raises:
        SourceError: a variable is not set, the partition column is none, or times would be read wrongly.
    """
    reader = _reader(spark, settings, options).option("dbtable", settings.table)
    rows = reader.load()
    _check_zone(spark, rows)
    if settings.partition_column is not None:
        _check_can_part(rows, settings.partition_column)
        bounds = _bounds(spark, _reader(spark, settings, options), settings)
        if bounds is not None:
            reader = reader.options(
                partitionColumn=settings.partition_column,
                lowerBound=bounds[0],
                upperBound=bounds[1],
                numPartitions=settings.partitions,
            )
    # a stage goes over its source several times, and a database may answer differently each time
    return reader.load().persist()


def _reader(spark: SparkSession, settings: JdbcSource, options: dict[str, str]) -> DataFrameReader:
    given = {
        "url": expand_variables(settings.url, what="jdbc.url", problem=SourceError),
        "user": settings.user and expand_variables(settings.user, what="jdbc.user", problem=SourceError),
        "password": settings.password_variable and _password(settings.password_variable),
        "driver": settings.driver,
    }
    reader = spark.read.format("jdbc").options(**options)
    return reader.options(**{k: v for k, v in given.items() if v is not None})


def _password(variable: str) -> str:
    password = os.environ.get(variable)
    if not password:
        raise SourceError(
            f"jdbc.password_variable: the environment variable {variable} is not set; set it to the password, on "
            f"Databricks by spark_env_vars: {variable}: '{{{{secrets/<scope>/<key>}}}}'"
        )
    return password


def _check_zone(spark: SparkSession, rows: DataFrame) -> None:
    """Drivers read times without a zone as of the zone that Java is in, and summer's otherwise than winter's."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None, "a session that reads through JDBC has a JVM of its own"
    zone = jvm.java.util.TimeZone
    times = [field.name for field in rows.schema if isinstance(field.dataType, TimestampType | TimestampNTZType)]
    if times and not zone.getDefault().hasSameRules(zone.getTimeZone("UTC")):
        raise SourceError(
            f"jdbc: Spark's Java is in time zone {zone.getDefault().getID()}, so times such as those of column "
            f"{times[0]!r} would be shifted; give spark.driver.extraJavaOptions and spark.executor.extraJavaOptions "
            "-Duser.timezone=UTC, which is what a session of ours has"
        )


def _check_can_part(rows: DataFrame, column: str) -> None:
    if column not in rows.columns:
        raise SourceError(f"jdbc.partition_column: no column {column!r}; there are: {', '.join(rows.columns[:20])}")
    kind = rows.schema[column].dataType
    if not isinstance(kind, IntegralType | DateType | TimestampType | TimestampNTZType):
        raise SourceError(
            f"jdbc.partition_column: column {column!r} has type {kind.simpleString()}; its range is divided into "
            "parts, so it must be an integer, a date or a timestamp"
        )


def _bounds(spark: SparkSession, reader: DataFrameReader, settings: JdbcSource) -> tuple[str, str] | None:
    """About smallest and largest value of the partition column, which the database looks up; None if it has none."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None, "a session that reads through JDBC has a JVM of its own"
    dialect = jvm.org.apache.spark.sql.jdbc.JdbcDialects.get(settings.url)
    column = dialect.quoteIdentifier(settings.partition_column)
    query = f"SELECT MIN({column}) AS low, MAX({column}) AS high FROM {settings.table}"
    row = reader.option("query", query).load().select(F.col("low").cast("string"), F.col("high").cast("string")).first()
    return None if row is None or row[0] is None else round_bounds(row[0], row[1])


def round_bounds(low: str, high: str) -> tuple[str, str]:
    """Numbers or months around both: Spark writes bounds into its log, and smallest and largest are somebody's.

    Rows beyond them are in the outer parts, so bounds set no more than how wide a part is.
    """
    if "-" in low[1:]:  # a date or a time, which begins with year and month
        year, month = int(high[:4]), int(high[5:7])
        after = f"{year + month // 12:04d}-{month % 12 + 1:02d}-01"
        return low[:7] + "-01", after if len(after) == len("2024-02-01") else "9999-12-31"
    first, last = int(low), int(high)
    step = 10 ** max(1, len(str(last - first)) - 2)
    return str(max(first - first % step, -LONG_LIMIT)), str(min(last + -last % step, LONG_LIMIT))
