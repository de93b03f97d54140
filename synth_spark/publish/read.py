"""Published tables without a catalog. [spark]"""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.columns import EVENTS_TABLE, RUN_ID, RUNS_TABLE, SUBJECTS_TABLE
from synth_spark.errors import ConfigError, ContractError
from synth_spark.publish.publications import Published, newest
from synth_spark.workspace import Workspace


def read_published(spark: SparkSession, root: str | Path, table: str) -> DataFrame:
    """The newest publication's rows of a table, with the source's columns: what the view of that name shows.

    Args:
        spark: a session that reads Delta, such as get_spark() gives.
        root: the workspace folder (output.root of the config).
        table: subjects or events; flat data have subjects only.

    Raises:
        ConfigError: another table was asked for, or the published data do not have it.
        ContractError: nothing is published there.
    """
    if table not in (SUBJECTS_TABLE, EVENTS_TABLE):
        raise ConfigError(f"table: {table!r} is not published; take {SUBJECTS_TABLE} or {EVENTS_TABLE}")
    workspace = Workspace.at(root)
    return published_rows(spark, workspace, table, shown_publication(spark, workspace).run_id)


def shown_publication(spark: SparkSession, workspace: Workspace) -> Published:
    """The publication that the views show.

    Raises:
        ContractError: nothing is published there.
    """
    shown = newest(spark, workspace.published / RUNS_TABLE)
    if shown is None:
        raise ContractError(f"{workspace.published}: nothing is published there yet; run: synth-spark run <config>")
    return shown


def published_rows(spark: SparkSession, workspace: Workspace, table: str, run_id: str) -> DataFrame:
    """A published run's rows of a table, with the source's columns.

    Raises:
        ConfigError: the published data do not have that table.
    """
    path = workspace.published / table
    if not tables.exists(spark, path):
        raise ConfigError(f"table: {table!r}: these data have no such table; flat data have {SUBJECTS_TABLE} only")
    return tables.read_table(spark, path).where(F.col(RUN_ID) == run_id).drop(RUN_ID)
