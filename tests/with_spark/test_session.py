"""The session itself; what needs a process of its own runs in one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synth_spark import session
from synth_spark.errors import EnvironmentProblem
from synth_spark.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GIB = 2**30


def _run(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh process whose working directory is `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)


def test_settings_that_others_rely_on(spark_session: SparkSession) -> None:
    spark = spark_session  # as it comes
    assert spark.sparkContext.master == "local[2,4]"
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.sql.adaptive.enabled") == "true"
    assert spark.conf.get("spark.sql.shuffle.partitions") == "4"
    assert spark.sparkContext.uiWebUrl is None


def test_python_workers_are_this_python(spark: SparkSession) -> None:
    (found,) = spark.sparkContext.parallelize([0], 1).map(lambda _: __import__("sys").executable).collect()
    assert found == sys.executable


def test_delta_tables_can_be_written_and_rewritten(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "table with space")
    for rows in (5, 3):
        spark.range(rows).write.format("delta").mode("overwrite").save(path)
    assert spark.read.format("delta").load(path).count() == 3
    assert spark.read.format("delta").option("versionAsOf", 0).load(path).count() == 5


def test_the_running_session_is_returned(spark: SparkSession) -> None:
    assert session.get_spark() is spark


def test_a_running_session_of_another_zone_is_refused(spark: SparkSession) -> None:
    """Times without a zone would be read as local times and written as UTC's."""
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    try:
        with pytest.raises(EnvironmentProblem, match=r"timeZone: 'Europe/Berlin' .* 'UTC'"):
            session.get_spark()
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_a_running_session_without_catalog_is_refused_by_name(spark: SparkSession, workspace: Workspace) -> None:
    with pytest.raises(EnvironmentProblem, match="without this workspace's catalog"):
        session.get_spark(workspace=workspace, catalog=True)


def test_jobs_are_described_while_progress_is_shown(spark: SparkSession) -> None:
    from synth_spark.progress import spark_progress

    with spark_progress(spark, "counting"):
        assert spark.sparkContext.getLocalProperty("spark.job.description") == "counting"
        assert spark.range(10).count() == 10
    assert spark.sparkContext.getLocalProperty("spark.job.description") is None


def test_without_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_running_session", lambda: None)
    monkeypatch.setattr(session, "find_java", lambda: None)
    with pytest.raises(EnvironmentProblem, match="openjdk-17-jre-headless"):
        session.get_spark()


def test_without_jars_it_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_running_session", lambda: None)
    monkeypatch.setattr(session, "missing_jars", lambda: ["delta-storage"])
    with pytest.raises(EnvironmentProblem, match=r"delta-storage missing.*make setup"):
        session.get_spark()


@pytest.mark.parametrize(
    ("memory", "cores", "heap"),
    [(24 * GIB, 2, "2048m"), (64 * GIB, 16, "9216m"), (8 * GIB, 8, "2048m"), (2 * GIB, 2, "1024m")],
)
def test_the_heap_follows_cores_within_a_quarter_of_memory(memory: int, cores: int, heap: str) -> None:
    assert session.driver_memory(memory, cores) == heap


@pytest.mark.parametrize("master", ["spark://host:7077", "spark://one:7077,two:7077", "yarn", "k8s://https://host"])
def test_a_variable_names_the_cluster(monkeypatch: pytest.MonkeyPatch, master: str) -> None:
    monkeypatch.setenv(session.MASTER, master)
    assert session.cluster_master() == master


@pytest.mark.parametrize("master", ["local[4]", "host:7077", "yarn-client"])
def test_what_names_no_cluster_is_refused(monkeypatch: pytest.MonkeyPatch, master: str) -> None:
    monkeypatch.setenv(session.MASTER, master)
    with pytest.raises(EnvironmentProblem, match=f"{session.MASTER}: .* names no cluster"):
        session.cluster_master()


def test_without_a_name_it_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(session.MASTER, raising=False)
    assert session.cluster_master() is None


def test_sizes_and_addresses_of_a_cluster_are_not_ours(workspace: Workspace) -> None:
    local = session.local_settings(workspace, None, 2)
    cluster = session.cluster_settings(workspace, None, 2, "spark://host:7077")
    assert set(local) - set(cluster) == set(session._OF_ONE_MACHINE)
    assert cluster["spark.master"] == "spark://host:7077"
    assert {key for key in cluster if local.get(key) != cluster[key]} == {
        "spark.master",
        "spark.executor.defaultJavaOptions",
        "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures",
    }


MAKE_VIEW = """
    import sys
    from synth_spark.session import get_spark
    from synth_spark.workspace import Workspace
    workspace = Workspace.at(sys.argv[1])
    spark = get_spark(workspace=workspace, catalog=True, cores=1)
    table = str(workspace.published / "events")
    spark.range(7).write.format("delta").save(table)
    spark.sql("CREATE SCHEMA synthetic")
    spark.sql(f"CREATE VIEW synthetic.events AS SELECT * FROM delta.`{table}` WHERE id < 5")
    from synth_spark import tables
    from synth_spark.config import OutputSettings
    named = Workspace.of(OutputSettings(root=sys.argv[1], catalog="spark_catalog", schema_name="named"))
    odd = "odd, name" if spark.version >= "4" else "odd; name"  # Hive's catalog of Spark 3.5 takes no commas
    rows = spark.range(3).selectExpr(f"id AS `{odd}`", "'r' AS run_id")
    place = named.published / "events"
    assert get_spark(workspace=named) is spark
    tables.replace_run(rows, place, "r", expected_rows=3, properties={"a": "b"})
    spark.sql(f"CREATE VIEW spark_catalog.named.events AS SELECT `{odd}` FROM {tables.identifier(place)}")
"""
READ_VIEW = """
    import subprocess, sys
    from synth_spark.session import get_spark
    from synth_spark.workspace import Workspace
    workspace = Workspace.at(sys.argv[1])
    spark = get_spark(workspace=workspace, catalog=True, cores=1)
    print("rows", spark.table("synthetic.events").count())
    print("named rows", spark.table("spark_catalog.named.events").count())
    second = "import sys; from synth_spark.session import get_spark; from synth_spark.workspace import Workspace; "
    second += "get_spark(workspace=Workspace.at(sys.argv[1]), catalog=True)"
    print(subprocess.run([sys.executable, "-c", second, sys.argv[1]], capture_output=True, text=True).stderr)
"""


@pytest.mark.slow
def test_views_outlive_the_process_and_a_second_session_is_refused(tmp_path: Path) -> None:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    root = tmp_path / "work space"
    made = _run(MAKE_VIEW, cwd, str(root))
    assert made.returncode == 0, made.stderr
    read = _run(READ_VIEW, cwd, str(root))
    assert read.returncode == 0, read.stderr
    assert "rows 5" in read.stdout and "named rows 3" in read.stdout
    assert f"EnvironmentProblem: catalog {root / 'catalog'}: another process holds it" in read.stdout
    assert not list(cwd.iterdir()), "nothing may be left in the folder where a command runs"
    noise = [line for line in made.stderr.splitlines() if not line.startswith("WARNING:")]  # Java's own
    assert len(noise) <= 2, made.stderr


def test_spark_connect_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "15.4")
    monkeypatch.setattr(
        session.SparkSession, "builder", type("Builder", (), {"getOrCreate": staticmethod(lambda: remote())})()
    )
    with pytest.raises(EnvironmentProblem, match=r"Spark Connect.*dedicated access"):
        session.get_spark()


@pytest.mark.parametrize(("setting", "partitions"), [("7", 7), ("auto", None)])
def test_partitions_where_spark_decides_their_number(spark: SparkSession, setting: str, partitions: int | None) -> None:
    from types import SimpleNamespace

    from synth_spark.encode.stage import _partitions

    told = SimpleNamespace(conf=SimpleNamespace(get=lambda name: setting), sparkContext=spark.sparkContext)
    assert _partitions(told) == (partitions or spark.sparkContext.defaultParallelism)  # type: ignore[arg-type]
