"""A Spark session for many expressions on few rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CHANGED = {
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@contextmanager
def uncompiled(spark: SparkSession) -> Iterator[SparkSession]:
    """While inside: few partitions, and expressions are not compiled first (production compiles, other tests do)."""
    from synth_spark.session import changed

    with changed(spark, _CHANGED):
        yield spark
