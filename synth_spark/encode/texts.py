"""Free text and identifiers, which no model of ours may learn: found before anything is fitted. [spark]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.config import Config
from synth_spark.encode import statistics as st
from synth_spark.encode.fields import FieldPlan
from synth_spark.errors import SourceError

MIN_VALUES = 100  # fewer say little about a column
MOST_ALONE = 0.5


def check_texts(frames: Mapping[str, DataFrame], fields: Sequence[FieldPlan], config: Config) -> None:
    """Refuse text columns most of whose values are one subject's alone, unless their family is given.

    A value counts once for every subject that has it, however often. Texts are looked at as hashes.

    Raises:
        SourceError: names the table, the column and the share, never a value.
    """
    texts = [field for field in fields if field.types == ("string",) and not _is_given(field, config)]
    if not texts:
        return
    hashes = [st.Measured(field.frame, f"IF({field.key} IS NULL, NULL, xxhash64({field.key}))", 1) for field in texts]
    counted = st.Tally(frames, hashes, "bigint")
    held = counted.values.groupBy("f").agg(F.sum("s").alias("number"), F.expr("count_if(s = 1)").alias("alone"))
    shares = {row["f"]: (row["number"], row["alone"]) for row in held.collect()}
    counted.release()
    for f, field in sorted(enumerate(texts), key=lambda item: (item[1].frame, item[1].name)):
        number, alone = shares.get(f, (0, 0))
        if number >= MIN_VALUES and alone > MOST_ALONE * number:
            share = f"{100 * alone / number:.0f} % of its values are held by one subject only"
            raise SourceError(
                f"source {field.frame}: column {field.name!r}: {share}, so they are free text or identifiers, which "
                "cannot be learned; list the column under exclude, or set "
                f"columns.{field.name}.family to category: rare values are then protected"
            )


def _is_given(field: FieldPlan, config: Config) -> bool:
    """Whether the config says the column's family."""
    table = config.source.subjects if field.frame == "subjects" else config.source.event_table
    return table is not None and field.name in table.columns and table.columns[field.name].family != "auto"
