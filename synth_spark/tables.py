"""Reading and writing of Delta tables by path or name, with fingerprints, counts and file lists checked. [spark]

Only here does it matter whether a table is at a path or has a name; a table with a name is never touched by path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlparse

from pyspark.errors import IllegalArgumentException
from pyspark.sql import DataFrame, DataFrameWriter, Row, SparkSession
from pyspark.sql import functions as F

from synth_spark.columns import RUN_ID
from synth_spark.errors import ConfigError, ContractError
from synth_spark.histories import quoted
from synth_spark.places import CatalogSchema, Place, TableName
from synth_spark.source.spark_errors import SPARK_ERRORS, condition

WEIGHTS_DIGEST = "synth_spark.weights_sha256"  # of the model that sequences were sampled from
FINGERPRINT = "synth_spark.fingerprint"
# classes of Delta's errors, and their names in messages; two that create a table at once: one finds it there
_CONFLICTS = re.compile(
    r"^\w*(Concurrent|MetadataChanged|ProtocolChanged)\w*|DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)"
    "|TABLE_OR_VIEW_ALREADY_EXISTS|DELTA_TABLE_ALREADY_EXISTS"
)
PLAIN_PARQUET = {
    "delta.enableDeletionVectors": "false",
    "delta.deletedFileRetentionDuration": "interval 30 days",
    "delta.logRetentionDuration": "interval 60 days",
}
ANY_COLUMN_NAME = {
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "name",
    "delta.minReaderVersion": "2",
    "delta.minWriterVersion": "5",
}
ALL_RUNS = "Synthetic rows of every run, by run_id; views show those of the newest publication."  # comment in a catalog


def identifier(place: Place) -> str:
    """The table as Spark SQL names it."""
    return ".".join(map(quoted, place.parts)) if isinstance(place, TableName) else "delta." + quoted(str(place))


def exists(spark: SparkSession, place: Place) -> bool:
    """Whether there is a Delta table at the path, or a table of the name."""
    from delta.tables import DeltaTable

    if isinstance(place, TableName):
        return bool(spark.catalog.tableExists(identifier(place)))
    return bool(DeltaTable.isDeltaTable(spark, str(place)))


def write_table(rows: DataFrame, place: Place, *, fingerprint: str, properties: dict[str, str]) -> int:
    """Create the table, or replace its content and properties in one commit; the files of before stay on disk.

    Returns:
        The Delta version written.
    """
    writer = rows.writeTo(identifier(place)).using("delta").tableProperty(FINGERPRINT, fingerprint)
    for name, value in {**PLAIN_PARQUET, **properties}.items():
        writer = writer.tableProperty(name, value)
    writer.createOrReplace()
    return version(rows.sparkSession, place)


def read_table(
    spark: SparkSession, place: Place, *, fingerprint: str | None = None, at_version: int | None = None
) -> DataFrame:
    """The table's rows.

    Raises:
        ContractError: there is no table, or it was made with another codebook.
    """
    if not exists(spark, place):
        raise ContractError(f"table {place}: not found; run the stage that writes it first")
    if fingerprint is not None:
        found = properties_of(spark, place).get(FINGERPRINT)
        if found != fingerprint:
            raise ContractError(
                f"table {place}: belongs to codebook {found or '(none)'}, not {fingerprint}; "
                "run the stage that writes it again with this codebook"
            )
    reader = spark.read.format("delta")
    if at_version is not None:
        reader = reader.option("versionAsOf", at_version)
    return reader.table(identifier(place)) if isinstance(place, TableName) else reader.load(str(place))


def properties_of(spark: SparkSession, place: Place) -> dict[str, str]:
    """The table's properties."""
    rows = spark.sql(f"SHOW TBLPROPERTIES {identifier(place)}").collect()
    return {row["key"]: row["value"] for row in rows}


def set_properties(spark: SparkSession, place: Place, properties: dict[str, str]) -> None:
    """Add or change properties of a table."""
    pairs = ", ".join(f"{_quote(name)} = {_quote(value)}" for name, value in sorted(properties.items()))
    spark.sql(f"ALTER TABLE {identifier(place)} SET TBLPROPERTIES ({pairs})")


def version(spark: SparkSession, place: Place) -> int:
    """The latest version of the table."""
    row = spark.sql(f"DESCRIBE HISTORY {identifier(place)} LIMIT 1").select("version").first()
    assert row is not None, "a Delta table has at least one version"
    return int(row[0])


def active_files(spark: SparkSession, place: Place, at_version: int) -> list[str]:
    """URLs of the files that make up a version, from the Delta log, sorted."""
    return sorted(read_table(spark, place, at_version=at_version).inputFiles())


def local_path(url: str) -> str:
    """A file's path as this machine's file system knows it; Databricks mounts are translated."""
    parsed = urlparse(url)
    path = unquote(parsed.path)
    if parsed.scheme == "dbfs":
        return path if path.startswith("/Volumes/") else "/dbfs" + path
    return path


def replace_run(rows: DataFrame, place: Place, run_id: str, *, expected_rows: int, properties: dict[str, str]) -> None:
    """Write one run's rows (RUN_ID is their last column) so that doing it again changes nothing.

    Raises:
        ContractError: the table has other columns, another number of rows than expected was found afterwards, or
            another process wrote the table meanwhile.
    """
    spark = rows.sparkSession
    if not exists(spark, place):
        _ensure_schema_of(spark, place)
        with _conflict_told(place):
            _create_for_runs(rows, place)
    _check_columns(spark, rows, place)
    with _conflict_told(place):
        _save(rows.write.format("delta").mode("overwrite").option("replaceWhere", _of_run(run_id)), place)
        set_properties(spark, place, properties)
    found = read_table(spark, place).where(F.col(RUN_ID) == run_id).count()
    if found != expected_rows:
        raise ContractError(
            f"table {place}: run {run_id} has {found} rows after writing, expected {expected_rows}; "
            "nothing was published; run decode again, and check the disk if this repeats"
        )


def ensure_table(spark: SparkSession, place: Place, schema: str, properties: dict[str, str], comment: str) -> None:
    """Create an empty table unless it is there.

    Args:
        schema: columns in Spark's DDL.
        comment: what it holds, for readers of a catalog.
    """
    told = ""
    if isinstance(place, TableName):
        if exists(spark, place):  # to ask takes fewer rights than to create
            return
        _ensure_schema_of(spark, place)
        told = f"COMMENT {_quote(comment)}"
    pairs = ", ".join(f"{_quote(name)} = {_quote(value)}" for name, value in properties.items())
    spark.sql(f"CREATE TABLE IF NOT EXISTS {identifier(place)} ({schema}) USING delta {told} TBLPROPERTIES ({pairs})")


def append_rows(rows: DataFrame, place: Place) -> None:
    """Add rows to a table that is there."""
    _save(rows.write.format("delta").mode("append"), place)


def insert_if_free(rows: DataFrame, place: Place, column: str) -> None:
    """Insert the rows whose value of a column no row of the table has; of two at a time one fails."""
    from delta.tables import DeltaTable

    spark = rows.sparkSession
    by_name = isinstance(place, TableName)
    table = DeltaTable.forName(spark, identifier(place)) if by_name else DeltaTable.forPath(spark, str(place))
    merge = table.alias("t").merge(rows.alias("s"), f"t.{quoted(column)} = s.{quoted(column)}")
    merge.whenNotMatchedInsertAll().execute()


def check_catalog(spark: SparkSession, catalog: str) -> None:
    """Raises ConfigError if the session knows no such catalog, or must not use it."""
    current, schema = spark.catalog.currentCatalog(), spark.catalog.currentDatabase()
    try:
        spark.catalog.setCurrentCatalog(catalog)  # the one question that a schema of that name does not answer
    except SPARK_ERRORS as error:
        raise ConfigError(
            f"output.catalog: {catalog!r} cannot be used here ({condition(error)}); "
            "name a catalog that this session has and that you may use: SHOW CATALOGS lists them"
        ) from error
    finally:
        spark.catalog.setCurrentCatalog(current)
        with suppress(*SPARK_ERRORS):
            spark.catalog.setCurrentDatabase(schema)  # turning to another catalog forgets it


def ensure_schema(spark: SparkSession, schema: CatalogSchema) -> None:
    """Create a schema unless it is there.

    Raises:
        ConfigError: there is no such catalog, or it does not let us.
    """
    name = ".".join(map(quoted, schema.parts))
    if spark.catalog.databaseExists(name):  # to ask takes fewer rights than to create
        return
    try:
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {name}")
    except SPARK_ERRORS as error:
        raise ConfigError(
            f"output.catalog, output.schema_name: schema {schema} is not there and cannot be created "
            f"({condition(error)}); create it, or ask for the right to"
        ) from error


def delete_run(spark: SparkSession, place: Place, run_id: str) -> int:
    """Take one run's rows out of the newest version; the files that held them stay until they are vacuumed.

    Returns:
        How many rows there were: none when it is done again.

    Raises:
        ContractError: another process wrote the table meanwhile.
    """
    with _conflict_told(place):
        row = spark.sql(f"DELETE FROM {identifier(place)} WHERE {_of_run(run_id)}").first()
    assert row is not None, "DELETE tells how many rows it removed"
    return int(row["num_affected_rows"])


@contextmanager
def _conflict_told(place: Place) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not is_conflict(error):
            raise
        raise ContractError(
            f"table {place}: another process wrote it meanwhile; do it again when that ended"
        ) from error


def _create_for_runs(rows: DataFrame, place: Place) -> None:
    """An empty table with the columns of rows, whose last one is RUN_ID."""
    creator = rows.limit(0).writeTo(identifier(place)).using("delta")
    # else Delta keeps statistics of the first 32 columns, and the run's id, which all readers ask for, is the last
    for name, value in {**ANY_COLUMN_NAME, "delta.dataSkippingNumIndexedCols": str(len(rows.columns))}.items():
        creator = creator.tableProperty(name, value)
    creator.create()
    if isinstance(place, TableName):
        rows.sparkSession.sql(f"COMMENT ON TABLE {identifier(place)} IS {_quote(ALL_RUNS)}")


def is_conflict(error: Exception) -> bool:
    """Whether a Delta transaction lost to another one that came first."""
    return bool(_CONFLICTS.search(f"{type(error).__name__} {error}"))


def unneeded_files(spark: SparkSession, place: Place, hours: int | None = None) -> list[Path]:
    """Files in the table's folder that none of its versions within the retention needs.

    Of a table with a name they are what VACUUM lists, folders included; nobody looks at them.

    Args:
        hours: the retention; default: the table's own, 168 hours unless its properties say otherwise.

    Raises:
        ConfigError: Delta's safety check says that this is too short for the table.
    """
    found = [Path(local_path(row["path"])) for row in _vacuum(spark, place, hours, "DRY RUN")]
    return found if isinstance(place, TableName) else [file for file in found if file.is_file()]


def vacuum(spark: SparkSession, place: Place, hours: int | None = None) -> None:
    """Remove unneeded_files(); this adds two entries to the table's log, so ask first whether there are any."""
    _vacuum(spark, place, hours, "")


def _vacuum(spark: SparkSession, place: Place, hours: int | None, how: str) -> list[Row]:
    retain = "" if hours is None else f"RETAIN {hours} HOURS"
    try:
        return spark.sql(f"VACUUM {identifier(place)} {retain} {how}").collect()
    except IllegalArgumentException as error:
        if "retentionDurationCheck" not in str(error):  # the setting that would allow it
            raise
        raise ConfigError(
            f"retention of {hours} hours: table {place} keeps its files for longer, since readers and writers of that "
            "time may still need them; take more hours, or leave it to the table"
        ) from None


def differing_columns(spark: SparkSession, place: Place, columns: list[tuple[str, str]]) -> list[str]:
    """Names of columns that a table has and these (names and types) have not, or the other way round; none if equal."""
    there = [(f.name, f.dataType.simpleString()) for f in read_table(spark, place).schema.fields]
    return sorted({name for name, _ in set(there) ^ set(columns)}) or ["(their order)"] * (there != columns)


def _check_columns(spark: SparkSession, rows: DataFrame, place: Place) -> None:
    """Encode looked already; here it matters where the table was made since."""
    differing = differing_columns(spark, place, [(f.name, f.dataType.simpleString()) for f in rows.schema.fields])
    if differing:
        raise ContractError(
            f"table {place}: holds runs of another source schema (differs in: {', '.join(differing)}); "
            "publish into another output.root (with a catalog: output.schema_name), or remove the table"
        )


def _save(writer: DataFrameWriter, place: Place) -> None:
    if isinstance(place, TableName):
        writer.saveAsTable(identifier(place))
    else:
        writer.save(str(place))


def _ensure_schema_of(spark: SparkSession, place: Place) -> None:
    if isinstance(place, TableName):
        ensure_schema(spark, CatalogSchema(place.catalog, place.schema_name))


def _of_run(run_id: str) -> str:
    return f"{RUN_ID} = {_quote(run_id)}"


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
