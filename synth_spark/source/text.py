"""Free text and identifiers, which no model of ours may learn: found before anything is fitted. [spark]"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import SourceTable
from synth_spark.columns import SUBJECT_KEY
from synth_spark.config import Config, TableSource
from synth_spark.errors import SourceError
from synth_spark.histories import quoted
from synth_spark.source.read import Source
from synth_spark.source.table import EVENTS, SUBJECTS

MIN_VALUES = 100  # fewer say little about a column
MOST_ALONE = 0.5


def check_texts(source: Source, config: Config) -> None:
    """Refuse text columns most of whose values are one subject's alone, unless their family is given.

    A value counts once for every subject that has it, however often. One pass over each table for all columns.

    Raises:
        SourceError: names the table, the column and the share, never a value.
    """
    columns = {
        SUBJECTS: _text_columns(source.subjects_table, config.source.subjects),
        EVENTS: _text_columns(source.events_table, config.source.event_table),
    }
    rows = {SUBJECTS: source.histories.subjects, EVENTS: source.histories.events}
    places = [(table, column) for table, names in columns.items() for column in names]
    if not places:
        return
    held = reduce(DataFrame.union, (_held(rows[table], table, names) for table, names in columns.items() if names))
    for (table, column), (number, alone) in sorted(_lone_values(held).items()):
        if number >= MIN_VALUES and alone > MOST_ALONE * number:
            raise SourceError(
                f"source {table}: column {column!r}: {100 * alone / number:.0f} % of its values are held by one "
                "subject only, so they are free text or identifiers, which cannot be learned; list the column under "
                f"exclude, or set columns.{column}.family to category: rare values are then protected"
            )


def _text_columns(table: SourceTable | None, settings: TableSource | None) -> list[str]:
    if table is None or settings is None:
        return []
    texts = [column.name for column in table.attributes if column.type == "string"]
    return [name for name in texts if name not in settings.columns or settings.columns[name].family == "auto"]


def _held(rows: DataFrame, table: str, names: list[str]) -> DataFrame:
    """One row per column, value and subject that has it: table, name, value (a hash)."""
    cells = [
        F.struct(
            F.lit(name).alias("name"), F.when(F.col(quoted(name)).isNotNull(), F.xxhash64(quoted(name))).alias("v")
        )
        for name in names
    ]
    long = rows.select(F.lit(table).alias("table"), SUBJECT_KEY, F.explode(F.array(*cells)).alias("cell"))
    return long.where("cell.v IS NOT NULL").distinct().select("table", "cell.name", F.col("cell.v").alias("value"))


def _lone_values(held: DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """(table, column) -> (values, those that one subject has)."""
    holders = held.groupBy("table", "name", "value").agg(F.count(F.lit(1)).alias("holders"))
    lone = F.sum(F.when(F.col("holders") == 1, 1).otherwise(0))
    rows = holders.groupBy("table", "name").agg(F.sum("holders"), lone).collect()
    return {(row[0], row[1]): (int(row[2]), int(row[3])) for row in rows}
