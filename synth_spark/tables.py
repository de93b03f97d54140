"""Reading and writing of Delta tables by path, with fingerprints, counts and file lists checked. [spark]"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark.columns import RUN_ID
from synth_spark.errors import ContractError

FINGERPRINT = "synth_spark.fingerprint"
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


def identifier(path: Path | str) -> str:
    """The table at a path, as Spark SQL names it."""
    return "delta.`" + str(path).replace("`", "``") + "`"


def exists(spark: SparkSession, path: Path | str) -> bool:
    """Whether there is a Delta table at the path."""
    from delta.tables import DeltaTable

    return bool(DeltaTable.isDeltaTable(spark, str(path)))


def write_table(rows: DataFrame, path: Path | str, *, fingerprint: str, properties: dict[str, str]) -> int:
    """Create the table, or replace its content and properties in one commit; the files of before stay on disk.

    Returns:
        The Delta version written.
    """
    writer = rows.writeTo(identifier(path)).using("delta").tableProperty(FINGERPRINT, fingerprint)
    for name, value in {**PLAIN_PARQUET, **properties}.items():
        writer = writer.tableProperty(name, value)
    writer.createOrReplace()
    return version(rows.sparkSession, path)


def read_table(
    spark: SparkSession, path: Path | str, *, fingerprint: str | None = None, at_version: int | None = None
) -> DataFrame:
    """The table's rows.

    Raises:
        ContractError: there is no table, or it was made with another codebook.
    """
    if not exists(spark, path):
        raise ContractError(f"table {path}: not found; run the stage that writes it first")
    if fingerprint is not None:
        found = properties_of(spark, path).get(FINGERPRINT)
        if found != fingerprint:
            raise ContractError(
                f"table {path}: belongs to codebook {found or '(none)'}, not {fingerprint}; "
                "run the stage that writes it again with this codebook"
            )
    reader = spark.read.format("delta")
    if at_version is not None:
        reader = reader.option("versionAsOf", at_version)
    return reader.load(str(path))


def properties_of(spark: SparkSession, path: Path | str) -> dict[str, str]:
    """The table's properties."""
    rows = spark.sql(f"SHOW TBLPROPERTIES {identifier(path)}").collect()
    return {row["key"]: row["value"] for row in rows}


def set_properties(spark: SparkSession, path: Path | str, properties: dict[str, str]) -> None:
    """Add or change properties of a table."""
    pairs = ", ".join(f"{_quote(name)} = {_quote(value)}" for name, value in sorted(properties.items()))
    spark.sql(f"ALTER TABLE {identifier(path)} SET TBLPROPERTIES ({pairs})")


def version(spark: SparkSession, path: Path | str) -> int:
    """The latest version of the table."""
    row = spark.sql(f"DESCRIBE HISTORY {identifier(path)} LIMIT 1").select("version").first()
    assert row is not None, "a Delta table has at least one version"
    return int(row[0])


def active_files(spark: SparkSession, path: Path | str, at_version: int) -> list[str]:
    """URLs of the files that make up a version, from the Delta log, sorted."""
    return sorted(read_table(spark, path, at_version=at_version).inputFiles())


def local_path(url: str) -> str:
    """A file's path as this machine's file system knows it; Databricks mounts are translated."""
    parsed = urlparse(url)
    path = unquote(parsed.path)
    if parsed.scheme == "dbfs":
        return path if path.startswith("/Volumes/") else "/dbfs" + path
    return path


def replace_run(
    rows: DataFrame, path: Path | str, run_id: str, *, expected_rows: int, properties: dict[str, str]
) -> None:
    """Write one run's rows (RUN_ID is their last column) so that doing it again changes nothing.

    Raises:
        ContractError: the table has other columns, or another number of rows than expected was found afterwards.
    """
    spark = rows.sparkSession
    if not exists(spark, path):
        writer = rows.limit(0).writeTo(identifier(path)).using("delta")
        for name, value in ANY_COLUMN_NAME.items():
            writer = writer.tableProperty(name, value)
        writer.create()
    _check_columns(spark, rows, path)
    condition = f"{RUN_ID} = {_quote(run_id)}"
    rows.write.format("delta").mode("overwrite").option("replaceWhere", condition).save(str(path))
    set_properties(spark, path, properties)
    found = read_table(spark, path).where(F.col(RUN_ID) == run_id).count()
    if found != expected_rows:
        raise ContractError(
            f"table {path}: run {run_id} has {found} rows after writing, expected {expected_rows}; "
            "nothing was published; run decode again, and check the disk if this repeats"
        )


def _check_columns(spark: SparkSession, rows: DataFrame, path: Path | str) -> None:
    there = [(f.name, f.dataType.simpleString()) for f in read_table(spark, path).schema.fields]
    ours = [(f.name, f.dataType.simpleString()) for f in rows.schema.fields]
    if there != ours:
        differing = sorted({name for name, _ in set(there) ^ set(ours)}) or ["(order of columns)"]
        raise ContractError(
            f"table {path}: holds runs of another source schema (differs in: {', '.join(differing)}); "
            "publish into another root, or remove the table"
        )


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
