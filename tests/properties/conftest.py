"""A session for properties that go through Spark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.uncompiled import uncompiled

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def small(spark: SparkSession) -> Iterator[SparkSession]:
    """Hundreds of expressions on few rows."""
    with uncompiled(spark):
        yield spark
