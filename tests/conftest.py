"""Fixtures for all tests; neither Spark nor torch is imported until a test asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from synth_spark.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[1]

# A test's JVM lives for seconds: optimising its code and collecting garbage in parallel cost a third of all processor
# time and gain nothing. Set before anything starts one; processes that tests start inherit it.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# Where green decides, the same examples every time; at a desk, new ones. Nowhere is a busy machine's pace an error.
settings.register_profile("decides", derandomize=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "decides" if os.environ.get("CI") else "desk"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return ROOT


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace that only this test uses."""
    return Workspace.at(tmp_path / "workspace")


@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One local session of two processors for the whole test process, made on first use."""
    from synth_spark.session import get_spark

    spark = get_spark(workspace=Workspace.at(tmp_path_factory.mktemp("spark")), cores=2)
    yield spark
    spark.stop()


@pytest.fixture
def spark(spark_session: SparkSession) -> Iterator[SparkSession]:
    """The session, without what the test before left in it: cached tables, temporary views, changed settings."""
    settings = dict(spark_session.sparkContext.getConf().getAll())
    yield spark_session
    spark_session.catalog.clearCache()
    for table in spark_session.catalog.listTables():
        if table.isTemporary:
            spark_session.catalog.dropTempView(table.name)
    for key in ("spark.sql.session.timeZone", "spark.sql.shuffle.partitions", "spark.sql.ansi.enabled"):
        if key in settings:
            spark_session.conf.set(key, settings[key])
        else:
            spark_session.conf.unset(key)
