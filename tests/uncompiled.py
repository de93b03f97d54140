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
    before = {key: spark.conf.get(key, None) for key in _CHANGED}
    for key, value in _CHANGED.items():
        spark.conf.set(key, value)
    try:
        yield spark
    finally:
        for key, value in before.items():
            if value is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, value)
