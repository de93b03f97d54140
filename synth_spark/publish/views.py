"""The views that analysts query: the source's columns of the newest publication. [spark]"""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from synth_spark import tables
from synth_spark.columns import EVENTS_TABLE, PUBLICATION, RUN_ID, RUNS_TABLE, SUBJECTS_TABLE
from synth_spark.errors import ConfigError
from synth_spark.histories import quoted
from synth_spark.places import CatalogSchema, Places, TableName

_OURS = "is_synthetic"  # property of our views


def check_room(spark: SparkSession, schema: CatalogSchema) -> None:
    """Make the schema that tables and views will be in, unless it is there.

    Raises:
        ConfigError: there is no such catalog, it does not let us, or something else has the name that a view needs.
    """
    tables.ensure_schema(spark, schema)
    for view in map(schema.view, (SUBJECTS_TABLE, EVENTS_TABLE)):
        if not tables.exists(spark, view):
            continue
        is_view = spark.catalog.getTable(tables.identifier(view)).tableType == "VIEW"
        if not is_view or tables.properties_of(spark, view).get(_OURS) != "true":
            raise ConfigError(
                f"output.schema_name: {view} is {'a view of somebody else' if is_view else 'a table'}, and the view of "
                "that name shows what is published; take a schema of its own for the synthetic tables"
            )


def ensure_views(spark: SparkSession, published: Places, schema: CatalogSchema, names: Iterable[str]) -> list[str]:
    """Create or replace the views of these tables whose text would change; the names of those."""
    tables.ensure_schema(spark, schema)
    changed = []
    for table in names:
        name = tables.identifier(schema.view(table))
        text = view_text(published, table, tables.read_table(spark, published / table).schema)
        if _known_text(spark, schema.view(table)) != text:
            comment = f"Synthetic {table}: the newest publication. No row describes a real subject."
            spark.sql(f"CREATE OR REPLACE VIEW {name} COMMENT '{comment}' TBLPROPERTIES ('{_OURS}' = 'true') AS {text}")
            changed.append(name)
    return changed


def view_text(published: Places, table: str, schema: StructType) -> str:
    """The view's query. All views turn to a new run with the one row that is appended to the runs table."""
    columns = ", ".join(quoted(field.name) for field in schema.fields if field.name != RUN_ID)
    newest = f"SELECT max_by({RUN_ID}, {PUBLICATION}) FROM {tables.identifier(published / RUNS_TABLE)}"
    return f"SELECT {columns} FROM {tables.identifier(published / table)} WHERE {RUN_ID} = ({newest})"


def _known_text(spark: SparkSession, view: TableName) -> str | None:
    """The query of the view as it stands; None if there is none."""
    if not tables.exists(spark, view):
        return None
    described = spark.sql(f"DESCRIBE TABLE EXTENDED {tables.identifier(view)}").collect()
    return next((row["data_type"] for row in described if row["col_name"] == "View Text"), None)
