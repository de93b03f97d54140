"""A workspace holds the tables of one data set: another one's encode, or plan, is refused before it reads a row."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.codebook import SourceColumn, SourceTable
from synth_spark.columns import RUN_ID
from synth_spark.encode.destination import check_destination
from synth_spark.errors import ConfigError
from synth_spark.pipeline.drafting import draft
from synth_spark.pipeline.planning import plan
from synth_spark.pipeline.stages import run_stage
from synth_spark.places import CatalogSchema, Places
from synth_spark.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVENTS = SourceTable((SourceColumn("id", "bigint"), SourceColumn("at", "date"), SourceColumn("kind", "string")), "id")
OTHER = SourceTable((*EVENTS.columns[:2], SourceColumn("kind", "int"), SourceColumn("price", "double")), "id")
TURNED = SourceTable(EVENTS.columns[::-1], "id")


def publish(spark: SparkSession, published: Places) -> None:
    """One run's tables of a source that has EVENTS alone."""
    rows = spark.range(3).select("id", F.current_date().alias("at"), F.lit("a").alias("kind"))
    for name, frame in (("subjects", rows.select("id")), ("events", rows)):
        frame = frame.withColumn(RUN_ID, F.lit("one"))
        tables.replace_run(frame, published / name, "one", expected_rows=3, properties={"a": "b"})


def test_tables_of_other_columns_are_refused_and_equal_ones_are_not(spark: SparkSession, workspace: Workspace) -> None:
    check_destination(spark, workspace.published, None, OTHER)  # nothing is there yet
    publish(spark, workspace.published)
    check_destination(spark, workspace.published, None, EVENTS)
    check_destination(spark, workspace.published, SourceTable(EVENTS.columns[:1], "id"), EVENTS)
    for table, told in ((OTHER, "kind, price"), (TURNED, r"\(their order\)")):
        with pytest.raises(ConfigError, match=rf"output\.root: table .*events .*differ in: {told}\).*another root"):
            check_destination(spark, workspace.published, None, table)
    with pytest.raises(ConfigError, match=r"table .*subjects .*differ in: at, kind\)"):
        check_destination(spark, workspace.published, EVENTS, None)


def test_tables_with_names_are_looked_at_by_name(spark: SparkSession) -> None:
    schema = CatalogSchema("spark_catalog", "room")
    publish(spark, schema)
    check_destination(spark, schema, None, EVENTS)
    with pytest.raises(ConfigError, match=r"output\.schema_name: table spark_catalog\.room\.all_events holds runs"):
        check_destination(spark, schema, None, OTHER)


def test_a_drafted_config_has_its_own_workspace_and_is_refused_in_anothers(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth_spark.session.get_spark", lambda **_: spark)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    rows = [(n % 40, date(2024, 1, 1) + timedelta(n), n % 7 / 4) for n in range(400)]
    spark.createDataFrame(rows, "member_id int, day date, price double").write.parquet(str(tmp_path / "visits"))
    draft([str(tmp_path / "visits")], Path("my.yml"))
    document = yaml.safe_load(Path("my.yml").read_text(encoding="utf-8"))
    assert document["output"] == {"root": "workspace-visits"}
    publish(spark, Workspace.at("workspace").published)
    document["output"]["root"] = "workspace"
    Path("same.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    for refused in (lambda: run_stage("encode", "same.yml"), lambda: plan("same.yml")):
        # not preflight's error of 20 training subjects: no row was read yet
        with pytest.raises(ConfigError, match=r"output\.root: table .*subjects holds runs whose source had other col"):
            refused()
    assert not list(Path("workspace/runs").glob("*/codebook.json"))
