"""Reading and writing of Delta tables by path, with fingerprints, counts and file lists checked. [spark]"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

from pyspark.errors import IllegalArgumentException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from synth_spark.columns import RUN_ID
from synth_spark.errors import ConfigError, ContractError

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
    rows.write.format("delta").mode("overwrite").option("replaceWhere", _of_run(run_id)).save(str(path))
    set_properties(spark, path, properties)
    found = read_table(spark, path).where(F.col(RUN_ID) == run_id).count()
    if found != expected_rows:
        raise ContractError(
            f"table {path}: run {run_id} has {found} rows after writing, expected {expected_rows}; "
            "nothing was published; run decode again, and check the disk if this repeats"
        )


def delete_run(spark: SparkSession, path: Path | str, run_id: str) -> int:
    """Take one run's rows out of the newest version; the files that held them stay until they are vacuumed.

    Returns:
        How many rows there were: none when it is done again.

    Raises:
        ContractError: another process wrote the table meanwhile.
    """
    try:
        row = spark.sql(f"DELETE FROM {identifier(path)} WHERE {_of_run(run_id)}").first()
    except Exception as error:
        if not is_conflict(error):
            raise
        raise ContractError(f"table {path}: another process wrote it meanwhile; do it again when that ended") from error
    assert row is not None, "DELETE tells how many rows it removed"
    return int(row["num_affected_rows"])


def is_conflict(error: Exception) -> bool:
    """Whether a Delta transaction lost to another one that came first."""
    return "Concurrent" in type(error).__name__ or "DELTA_CONCURRENT" in str(error)


def unneeded_files(spark: SparkSession, path: Path | str, hours: int | None = None) -> list[Path]:
    """Files in the table's folder that none of its versions within the retention needs.

    Args:
        hours: the retention; default: the table's own, 168 hours unless its properties say otherwise.

    Raises:
        ConfigError: Delta's safety check says that this is too short for the table.
    """
    found = [Path(local_path(row["path"])) for row in _vacuum(spark, path, hours, "DRY RUN")]
    return [file for file in found if file.is_file()]


def vacuum(spark: SparkSession, path: Path | str, hours: int | None = None) -> None:
    """Remove unneeded_files(); this adds two entries to the table's log, so ask first whether there are any."""
    _vacuum(spark, path, hours, "")


def _vacuum(spark: SparkSession, path: Path | str, hours: int | None, how: str) -> list[Row]:
    retain = "" if hours is None else f"RETAIN {hours} HOURS"
    try:
        return spark.sql(f"VACUUM {identifier(path)} {retain} {how}").collect()
    except IllegalArgumentException as error:
        if "retentionDurationCheck" not in str(error):  # the setting that would allow it
            raise
        raise ConfigError(
            f"retention of {hours} hours: table {path} keeps its files for longer, since readers and writers of that "
            "time may still need them; take more hours, or leave it to the table"
        ) from None


def _check_columns(spark: SparkSession, rows: DataFrame, path: Path | str) -> None:
    there = [(f.name, f.dataType.simpleString()) for f in read_table(spark, path).schema.fields]
    ours = [(f.name, f.dataType.simpleString()) for f in rows.schema.fields]
    if there != ours:
        differing = sorted({name for name, _ in set(there) ^ set(ours)}) or ["(order of columns)"]
        raise ContractError(
            f"table {path}: holds runs of another source schema (differs in: {', '.join(differing)}); "
            "publish into another root, or remove the table"
        )


def _of_run(run_id: str) -> str:
    return f"{RUN_ID} = {_quote(run_id)}"


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
