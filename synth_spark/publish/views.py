"""The views that analysts query: the source's columns of the newest publication. [spark]"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from synth_spark import tables
from synth_spark.columns import PUBLICATION, RUN_ID, RUNS_TABLE
from synth_spark.histories import quoted

_TEXT = "synth_spark.view_digest"  # property: digest of the statement that made the view


def view_name(schema_name: str, table: str) -> str:
    """The view's full name, quoted."""
    return f"{quoted(schema_name)}.{quoted(table)}"


def ensure_views(spark: SparkSession, published: Path, schema_name: str, names: Iterable[str]) -> list[str]:
    """Create or replace the views of these tables whose text would change; the names of those."""
    spark.sql(f"CREATE DATABASE IF NOT EXISTS {quoted(schema_name)}")
    changed = []
    for table in names:
        name = view_name(schema_name, table)
        schema = tables.read_table(spark, published / table).schema
        text = view_text(published, table, schema)
        if _known_text(spark, schema_name, table) != text:
            comment = f"Synthetic {table}: the newest publication. No row describes a real subject."
            spark.sql(
                f"CREATE OR REPLACE VIEW {name} COMMENT '{comment}' TBLPROPERTIES ('is_synthetic' = 'true') AS {text}"
            )
            changed.append(name)
    return changed


def view_text(published: Path, table: str, schema: StructType) -> str:
    """The view's query. All views turn to a new run with the one row that is appended to the runs table."""
    columns = ", ".join(quoted(field.name) for field in schema.fields if field.name != RUN_ID)
    newest = f"SELECT max_by({RUN_ID}, {PUBLICATION}) FROM {tables.identifier(published / RUNS_TABLE)}"
    return f"SELECT {columns} FROM {tables.identifier(published / table)} WHERE {RUN_ID} = ({newest})"


def _known_text(spark: SparkSession, schema_name: str, table: str) -> str | None:
    """The query of the view as it stands; None if there is none."""
    if not spark.catalog.tableExists(f"{quoted(schema_name)}.{quoted(table)}"):
        return None
    described = spark.sql(f"DESCRIBE TABLE EXTENDED {view_name(schema_name, table)}").collect()
    return next((row["data_type"] for row in described if row["col_name"] == "View Text"), None)
