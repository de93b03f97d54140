"""Tables by name: what is published lies in a schema of a catalog, and nobody asks where its files are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow.parquet as parquet
import pytest
import yaml
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.columns import DECISIONS_TABLE, EVENTS_TABLE, RUN_ID, RUNS_TABLE
from synth_spark.config import load_config
from synth_spark.errors import ConfigError, ContractError
from synth_spark.histories import quoted
from synth_spark.pipeline.cleaning import clean
from synth_spark.pipeline.export_format import Format
from synth_spark.pipeline.exporting import export
from synth_spark.pipeline.opened import OpenRun
from synth_spark.pipeline.removal import delete_run
from synth_spark.publish.decisions import QA, Decision, evaluations, record
from synth_spark.publish.publications import Publication, append, newest
from synth_spark.publish.read import read_published
from synth_spark.publish.views import check_room, ensure_views
from synth_spark.workspace import Workspace
from tests.plain.benchmark_scripts import load_script

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMA = "by_name"
ODD = "two wo`rds, a dot."


@pytest.fixture
def config(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a workspace whose tables are in the session's own catalog, which here forgets them at its end."""
    monkeypatch.setattr("synth_spark.session.get_spark", lambda **_: spark)
    monkeypatch.setenv("MADE_UP_CATALOG", "spark_catalog")
    return _config(tmp_path, catalog="${MADE_UP_CATALOG}", schema_name=SCHEMA)


def _config(folder: Path, **output: str) -> Path:
    document = {
        "name": "t",
        "source": {"events": [{"path": "/never/read", "format": "parquet", "key": "id", "order_by": "at"}]},
        "output": {"root": str(folder / "workspace"), **output},
    }
    path = folder / "t.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def _write(spark: SparkSession, workspace: Workspace, run_id: str, values: range) -> None:
    rows = spark.range(values.start, values.stop).select(F.col("id").alias(ODD, metadata={"comment": "it's odd"}))
    tables.replace_run(
        rows.withColumn(RUN_ID, F.lit(run_id)).coalesce(1),
        workspace.published / EVENTS_TABLE,
        run_id,
        expected_rows=len(values),
        properties={"is_synthetic": "true"},
    )


def _plan(rows: DataFrame) -> str:
    return str(rows._jdf.queryExecution().analyzed().toString())


def _values(rows: DataFrame) -> list[Any]:
    return sorted(row[0] for row in rows.select(quoted(ODD)).collect())


def test_the_life_of_published_tables(spark: SparkSession, config: Path, tmp_path: Path, capsys: Any) -> None:
    workspace = Workspace.of(load_config(config).output)
    published, views = workspace.published, workspace.views
    assert str(published / EVENTS_TABLE) == f"spark_catalog.{SCHEMA}.all_events"
    assert newest(spark, published / RUNS_TABLE) is None
    with pytest.raises(ContractError, match=f"spark_catalog.{SCHEMA}: nothing is published"):
        export(config, tmp_path / "out", Format.PARQUET)
    check_room(spark, views)
    for run_id, values in (("one", range(5)), ("two", range(10, 17)), ("one", range(3))):
        _write(spark, workspace, run_id, values)  # the last time again, with other rows
    record(spark, published / DECISIONS_TABLE, Decision("one", QA, "passed", "holdout", 1, ()))
    assert evaluations(spark, published / DECISIONS_TABLE, "holdout") == 1
    publication = Publication("two", "fingerprint", "digest", 1, 2, "passed", False)
    assert append(spark, published / RUNS_TABLE, publication).number == 1
    assert ensure_views(spark, published, views, [EVENTS_TABLE]) == [f"`spark_catalog`.`{SCHEMA}`.`events`"]
    assert ensure_views(spark, published, views, [EVENTS_TABLE]) == [], "nothing has changed"
    check_room(spark, views)  # our own view is in nobody's way

    for name in ("all_events", "runs", "decisions", "events"):
        told = spark.catalog.getTable(f"spark_catalog.{SCHEMA}.{name}")
        assert told.description and told.tableType == ("VIEW" if name == "events" else "MANAGED")
    view = spark.table(f"spark_catalog.{SCHEMA}.events")
    assert view.schema.fields[0].metadata["comment"] == "it's odd" and view.columns == [ODD]
    assert _values(view) == list(range(10, 17))
    for given in (views, workspace):  # both read the view: nobody needs rights on what lies below it
        shown = read_published(spark, given, EVENTS_TABLE)
        assert _values(shown) == _values(view) and "View" in _plan(shown)
    with pytest.raises(ConfigError, match="'subjects': these data have no such table"):  # not: nothing is published
        load_script("questions").tables_of(spark, load_config(config), real=False)
    export(config, tmp_path / "out", Format.PARQUET)
    assert parquet.read_table(tmp_path / "out" / "events.parquet").num_rows == 7
    assert _values(tables.read_table(spark, published / EVENTS_TABLE).where(f"{RUN_ID} = 'one'")) == [0, 1, 2]

    with pytest.raises(ContractError, match="the views show it"):
        delete_run(config, "two", agreed=lambda: True)
    delete_run(config, "one", agreed=lambda: True)
    assert f"removed 3 rows from spark_catalog.{SCHEMA}.all_events" in capsys.readouterr().out
    assert not (workspace.root / "published").exists()


def test_files_of_a_table_with_a_name_are_vacuumed_by_name(spark: SparkSession, config: Path, capsys: Any) -> None:
    config = _config(config.parent, catalog="spark_catalog", schema_name="swept")
    place = Workspace.of(load_config(config).output).published / EVENTS_TABLE
    spark.sql("CREATE SCHEMA spark_catalog.swept")
    at_once = "'delta.deletedFileRetentionDuration' = 'interval 0 hours'"
    spark.sql(f"CREATE TABLE {place} (id INT) USING delta TBLPROPERTIES ({at_once})")
    for _ in range(2):
        spark.sql(f"INSERT OVERWRITE {place} VALUES (1)")
    clean(config, older_than=None, intermediate=False, dry_run=False)
    assert f"removed        ?  {place}: 1 files" in capsys.readouterr().out
    clean(config, older_than=None, intermediate=False, dry_run=True)
    assert str(place) not in capsys.readouterr().out


def test_a_catalog_that_is_not_there_is_refused_before_work(spark: SparkSession, config: Path, tmp_path: Path) -> None:
    spark.sql("CREATE SCHEMA IF NOT EXISTS nowhere")  # a schema of that name is no catalog
    path = _config(tmp_path, catalog="nowhere")
    workspace, nobody = Workspace.of(load_config(path).output), cast("Any", None)
    run = OpenRun(load_config(path), workspace, workspace.run("run"), nobody, nobody, nobody, catalog=False)
    for work in (
        lambda: run.spark,  # before the first stage
        lambda: read_published(spark, workspace.views, EVENTS_TABLE),
        lambda: export(path, tmp_path / "out.duckdb", Format.DUCKDB),
        lambda: delete_run(path, "run", agreed=lambda: True),
    ):
        with pytest.raises(ConfigError, match=r"output\.catalog: 'nowhere' cannot be used here"):
            work()
    assert spark.catalog.currentCatalog() == "spark_catalog"


def test_what_is_where_a_view_must_be_is_refused_before_work(spark: SparkSession, config: Path) -> None:
    views = Workspace.of(load_config(config).output.model_copy(update={"schema_name": "taken"})).views
    check_room(spark, views)
    spark.sql("CREATE TABLE spark_catalog.taken.events (id INT) USING delta")
    with pytest.raises(ConfigError, match=r"spark_catalog\.taken\.events is a table"):
        check_room(spark, views)
    spark.sql("DROP TABLE spark_catalog.taken.events")
    spark.sql("CREATE VIEW spark_catalog.taken.events AS SELECT 1 AS id")
    with pytest.raises(ConfigError, match=r"spark_catalog\.taken\.events is a view of somebody else"):
        check_room(spark, views)
