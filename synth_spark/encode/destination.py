"""Whether a source's synthetic tables fit where they will be written, asked before any work. [spark]"""

from __future__ import annotations

from pyspark.sql import SparkSession

from synth_spark import tables
from synth_spark.codebook import SourceTable, synthetic_tables
from synth_spark.columns import RUN_ID
from synth_spark.errors import ConfigError
from synth_spark.places import CatalogSchema, Places


def check_destination(
    spark: SparkSession, published: Places, subjects: SourceTable | None, events: SourceTable | None
) -> None:
    """Raises ConfigError if a table there holds runs of another data set: decode would find out hours later."""
    named = isinstance(published, CatalogSchema)
    for name, table in synthetic_tables(subjects, events).items():
        place = published / name
        if not tables.exists(spark, place):
            continue
        columns = [*((column.name, column.type) for column in table.columns), (RUN_ID, "string")]
        differing = tables.differing_columns(spark, place, columns)
        if differing:
            raise ConfigError(
                f"{'output.schema_name' if named else 'output.root'}: table {place} holds runs whose source had other "
                f"columns (they differ in: {', '.join(differing)}), and a workspace holds the tables of one data set; "
                f"name {'a schema and a root' if named else 'another root'} for this one, or remove that table if "
                "nobody needs its runs any more"
            )
