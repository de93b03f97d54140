"""Spark code on few rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.uncompiled import uncompiled

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def spark(spark: SparkSession) -> Iterator[SparkSession]:
    """The session; compiling its expressions takes most of the time here, and whole lines compile theirs."""
    with uncompiled(spark):
        yield spark
