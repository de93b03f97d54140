"""Export of what is published, for people without Spark: one DuckDB file, or a folder of Parquet or CSV files. [spark]

Spark writes the rows of the newest publication to a folder beside the target, DuckDB makes the files of them without
holding them in memory, and the result gets its name when it is complete.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.columns import EVENTS_TABLE, PUBLICATION, RUNS_TABLE, SUBJECTS_TABLE
from synth_spark.config import load_config
from synth_spark.errors import ConfigError, EnvironmentProblem
from synth_spark.pipeline.cluster import check_cluster
from synth_spark.pipeline.export_format import Format
from synth_spark.pipeline.inventory import bytes_of, told_bytes
from synth_spark.pipeline.opened import session
from synth_spark.pipeline.summary import say
from synth_spark.places import Places
from synth_spark.publish.publications import Published
from synth_spark.publish.read import published_rows, shown_publication
from synth_spark.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql.types import StructField

DICTIONARY = "dictionary"  # of columns
PROVENANCE = "publication"  # of the run that the rows come from
_KINDS = "column_position INT, table_name STRING, column_name STRING, spark_type STRING, comment STRING"
_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def export(config_path: str | Path, target: Path, form: Format) -> None:
    """Write the newest publication's tables, a dictionary of their columns, and where they come from.

    Args:
        target: the DuckDB file, or the folder of one file per table; must not exist yet.
        form: what to write.

    Raises:
        ConfigError: the target exists, or the folder it shall lie in does not.
        ContractError: nothing is published.
        EnvironmentProblem: on Databricks.
    """
    target = target.expanduser().absolute()
    if target.exists():
        raise ConfigError(f"{target}: exists already and stays as it is; name another target, or remove it first")
    if not target.parent.is_dir():
        raise ConfigError(f"{target}: folder {target.parent} does not exist; make it first")
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        raise EnvironmentProblem(
            "export: DuckDB writes at random places of its files, which volumes refuse; query the tables on Databricks "
            "itself, or export where the workspace is on a disk"
        )
    workspace = Workspace.of(load_config(config_path).output)
    with session(workspace) as spark, _staging(target) as staging:
        check_cluster(spark, target.parent)
        shown = shown_publication(spark, workspace.published)
        say(f"publication {shown.number}, run {shown.run_id}")
        names = _write_rows(spark, workspace.published, staging, shown)
        made = staging / "made"
        _convert(staging, names, made, form)
        os.rename(made, target)
    say(f"{target}: {told_bytes(bytes_of(target))}")


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A folder on the target's own disk, gone at the end."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent) as folder:
        yield Path(folder)


def _write_rows(spark: SparkSession, published: Places, staging: Path, shown: Published) -> list[str]:
    """One folder of Parquet files per table; the names of the tables."""
    names = [name for name in (SUBJECTS_TABLE, EVENTS_TABLE) if tables.exists(spark, published / name)]
    frames = {name: published_rows(spark, published, name, shown.run_id) for name in names}
    frames[DICTIONARY] = _dictionary(spark, frames)
    frames[PROVENANCE] = tables.read_table(spark, published / RUNS_TABLE).where(F.col(PUBLICATION) == shown.number)
    for name, rows in frames.items():
        rows.write.parquet(str(staging / name))
    return list(frames)


def _dictionary(spark: SparkSession, frames: dict[str, DataFrame]) -> DataFrame:
    """One row per column of each table, in their order."""
    rows = [
        (position, table, field.name, field.dataType.simpleString(), _comment(field))
        for table, frame in frames.items()
        for position, field in enumerate(frame.schema.fields, start=1)
    ]
    return spark.createDataFrame(rows, _KINDS).coalesce(1).sortWithinPartitions("table_name", "column_position")


def _comment(field: StructField) -> str | None:
    comment: str | None = field.metadata.get("comment")
    return comment


def _convert(staging: Path, names: list[str], made: Path, form: Format) -> None:
    """Make the target's files from the staged rows."""
    if form is not Format.DUCKDB:
        made.mkdir()
    with duckdb.connect(str(made) if form is Format.DUCKDB else ":memory:", config=_OFFLINE) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(f"SET temp_directory = {_text(staging / 'spilled')}")
        for name in names:
            # a folder on the way to the target may be called region=EU, which says nothing of the rows
            rows = f"read_parquet({_text(_literal(staging / name) + '/*.parquet')}, hive_partitioning = false)"
            if form is Format.DUCKDB:
                database.execute(f"CREATE TABLE {_name(name)} AS FROM {rows}")
            else:
                file, options = _text(made / f"{name}.{form}"), "FORMAT parquet" if form is Format.PARQUET else "HEADER"
                database.execute(f"COPY (FROM {rows}) TO {file} ({options})")
            say(f"  {name:<12} {_single(database, f'SELECT count(*) FROM {rows}'):>14,} rows")
        if form is Format.DUCKDB:
            _comment_columns(database)


def _comment_columns(database: duckdb.DuckDBPyConnection) -> None:
    """Put the dictionary where DuckDB's own tools look for it."""
    dictionary = database.execute(
        f"SELECT table_name, column_name, comment FROM {_name(DICTIONARY)} WHERE comment IS NOT NULL"
    )
    for table, column, comment in dictionary.fetchall():
        database.execute(f"COMMENT ON COLUMN {_name(table)}.{_name(column)} IS {_text(comment)}")


def _single(database: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = database.execute(query).fetchone()
    assert row is not None, "an aggregate without groups has one row"
    return row[0]


def _literal(path: Path) -> str:
    """A path in a pattern, where only itself fits."""
    return re.sub(r"([\[*?])", r"[\1]", str(path))


def _text(value: str | Path) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
