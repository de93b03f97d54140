"""Published tables without views. [spark]"""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.columns import EVENTS_TABLE, RUN_ID, RUNS_TABLE, SUBJECTS_TABLE
from synth_spark.errors import ConfigError, ContractError
from synth_spark.places import CatalogSchema, Places
from synth_spark.publish.publications import Published, newest
from synth_spark.workspace import Workspace


def read_published(spark: SparkSession, root: str | Path | Workspace | CatalogSchema, table: str) -> DataFrame:
    """The newest publication's rows of a table, with the source's columns: what the view of that name shows.

    In a catalog it reads the view itself, so that the right to read the view is enough.

    Args:
        spark: a session that reads Delta, such as get_spark() gives.
        root: Workspace.of(config.output), whatever the config says; or the workspace folder (output.root) of a config
            without a catalog; or the schema of one with a catalog: CatalogSchema("main", "synthetic").
        table: subjects or events; flat data have subjects only.

    Raises:
        ConfigError: another table was asked for, the published data do not have it, or there is no such catalog.
        ContractError: nothing is published there.
    """
    if table not in (SUBJECTS_TABLE, EVENTS_TABLE):
        raise ConfigError(f"table: {table!r} is not published; take {SUBJECTS_TABLE} or {EVENTS_TABLE}")
    published = root if isinstance(root, CatalogSchema) else _workspace(root).published
    if isinstance(published, CatalogSchema):
        if published.catalog is not None:
            tables.check_catalog(spark, published.catalog)
        if tables.exists(spark, published.view(table)):
            return spark.table(tables.identifier(published.view(table)))
    return published_rows(spark, published, table, shown_publication(spark, published).run_id)


def _workspace(root: str | Path | Workspace) -> Workspace:
    return root if isinstance(root, Workspace) else Workspace.at(root)


def shown_publication(spark: SparkSession, published: Places) -> Published:
    """The publication that the views show.

    Raises:
        ContractError: nothing is published there.
    """
    shown = newest(spark, published / RUNS_TABLE)
    if shown is None:
        raise ContractError(f"{published}: nothing is published there yet; run: synth-spark run <config>")
    return shown


def published_rows(spark: SparkSession, published: Places, table: str, run_id: str) -> DataFrame:
    """A published run's rows of a table, with the source's columns.

    Raises:
        ConfigError: the published data do not have that table.
    """
    place = published / table
    if not tables.exists(spark, place):
        raise ConfigError(f"table: {table!r}: these data have no such table; flat data have {SUBJECTS_TABLE} only")
    return tables.read_table(spark, place).where(F.col(RUN_ID) == run_id).drop(RUN_ID)
