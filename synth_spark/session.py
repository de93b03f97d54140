"""The one way to a Spark session. [spark]

Order: the session of a Databricks runtime -> this process's running session -> a new one on the cluster that
SYNTH_SPARK_MASTER or spark-submit names -> a new local one. The Delta jars of the last two lie in pyspark's own folder
(see jars.py), so they need no network.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from synth_spark.errors import EnvironmentProblem
from synth_spark.jars import FIX, missing_jars
from synth_spark.machine import JAVA_FIX, MINIMUM_JAVA, find_java, granted_cpus, granted_memory
from synth_spark.places import LOCAL_CATALOG, CatalogSchema
from synth_spark.workspace import Workspace

GIB = 2**30
DRIVER_MEMORY = "SYNTH_SPARK_DRIVER_MEMORY"  # environment variable, in Spark's notation: 6g
MASTER = "SYNTH_SPARK_MASTER"  # environment variable, in Spark's notation: spark://host:7077
# pyspark 4 writes errors of a query to stderr through them, values of the data included, before anybody can catch them
_QUOTING_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
# deep expressions (hundreds of columns, long unions) need more stack than the default 1 MB; JDBC drivers read times
# without a zone as of Java's own
_JAVA = "-Xss4m -Duser.timezone=UTC"
_OF_ONE_MACHINE = (
    "spark.driver.host",
    "spark.driver.bindAddress",
    "spark.ui.enabled",
    "spark.sql.shuffle.partitions",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism",
    "spark.databricks.delta.snapshotPartitions",
)
MOST_BATCH_ROWS = 10_000  # Spark's own bound
_BATCH_ROWS, _BATCH_BYTES = "spark.sql.execution.arrow.maxRecordsPerBatch", "spark.sql.execution.arrow.maxBytesPerBatch"
_METASTORE_URL = "spark.hadoop.javax.jdo.option.ConnectionURL"
_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


def get_spark(*, workspace: Workspace | None = None, catalog: bool = False, cores: int | None = None) -> SparkSession:
    """A session that reads and writes Delta, in UTC.

    Args:
        workspace: where a local session keeps its warehouse and metastore.
        catalog: the session must remember views: on a local machine Spark's embedded metastore in the workspace,
            which one process at a time can hold. Needs `workspace`; one whose tables have names needs it always.
        cores: processors of a local session; default: all that this process may use.

    Raises:
        EnvironmentProblem: no Java, no Delta jars, the catalog is held by another process, or the running session
            has no such catalog.
    """
    for name in _QUOTING_LOGGERS:
        logging.getLogger(name).disabled = True
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        return _in_utc(_with_a_jvm(SparkSession.builder.getOrCreate()))
    if catalog and workspace is None:
        raise ValueError("catalog=True needs a workspace to keep the catalog in")
    url = _metastore_url(workspace) if workspace and _is_embedded(workspace, catalog) else None
    running = _running_session()
    if running is not None:
        return _checked(running, url)
    _check_machine()
    if url and workspace and SparkContext._gateway is None:  # a JVM of our own may hold it, and can open it again
        _check_catalog_is_free(workspace)
    cores, master = cores or granted_cpus(), cluster_master()
    settings = (
        local_settings(workspace, url, cores) if master is None else cluster_settings(workspace, url, cores, master)
    )
    return _start(settings | _DELTA, workspace, url)


def _with_a_jvm(spark: SparkSession) -> SparkSession:
    if ".connect." in type(spark).__module__:
        raise EnvironmentProblem(
            "Spark Connect: this session (serverless, or a cluster with standard access) cannot cache or run ranks; "
            "use a cluster with dedicated access"
        )
    return spark


@contextmanager
def changed(spark: SparkSession, wanted: Mapping[str, str]) -> Iterator[None]:
    """What runs within has these settings; afterwards they are as they were."""
    before: dict[str, str | None] = {name: spark.conf.get(name, None) for name in wanted}
    try:
        for name, value in wanted.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, earlier)


def arrow_batches(spark: SparkSession, rows: int = MOST_BATCH_ROWS) -> AbstractContextManager[None]:
    """What runs within sends Python workers batches of so many rows, or MOST_BATCH_ROWS if that is less.

    Spark bounds bytes, too, and asks for those of the batch after every row, which takes as long as all else: that is
    off here, so rows must be few where they are large.
    """
    most = str(max(1, min(rows, MOST_BATCH_ROWS)))
    return changed(spark, {_BATCH_ROWS: most, _BATCH_BYTES: str(2**31 - 1)})


def cluster_master() -> str | None:
    """The cluster that a new session is to run on, as MASTER or spark-submit names it; None for this machine.

    Raises:
        EnvironmentProblem: MASTER names no cluster.
    """
    given = os.environ.get(MASTER)
    if given:
        if not re.match(r"spark://|yarn$|k8s://", given):
            raise EnvironmentProblem(
                f"{MASTER}: {given!r} names no cluster; set it to spark://host:port, yarn or k8s://..., "
                "or unset it to run on this machine"
            )
        return given
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # spark-submit sets it, and has a JVM that knows its settings
        return None
    SparkContext._ensure_initialized()
    submitted = SparkConf().get("spark.master", "local") or "local"
    return None if is_local(submitted) else submitted


def is_local(master: str | None) -> bool:
    """Whether a master is the driver's own JVM."""
    return (master or "").startswith("local")


def cluster_settings(workspace: Workspace | None, metastore_url: str | None, cores: int, master: str) -> dict[str, str]:
    """Spark settings of a session on a cluster, whose driver has `cores` processors.

    Sizes (executors, their cores and memory, shuffle partitions) and addresses are left to spark-defaults.conf.
    """
    settings = local_settings(workspace, metastore_url, cores)
    for name in _OF_ONE_MACHINE:
        del settings[name]
    return settings | {
        "spark.master": master,
        "spark.executor.defaultJavaOptions": _JAVA,
        # ranks that find no free tasks within a minute are told so; by default Spark waits ten
        "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "4",
    }


def local_settings(workspace: Workspace | None, metastore_url: str | None, cores: int) -> dict[str, str]:
    """Spark settings of a local session with `cores` processors."""
    warehouse = workspace.catalog if workspace else Path(tempfile.gettempdir(), f"synth-spark-{os.getuid()}")
    log_settings = Path(__file__).with_name("log4j2.properties")
    settings = {
        "spark.master": f"local[{cores},4]",  # plain local[N] never retries a failed task
        "spark.app.name": "synth_spark",
        "spark.driver.memory": os.environ.get(DRIVER_MEMORY) or driver_memory(granted_memory(), cores),
        "spark.driver.extraJavaOptions": f"{_JAVA} -Dlog4j2.configurationFile={log_settings.as_uri()}",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(warehouse / "warehouse"),
        "spark.sql.adaptive.enabled": "true",
        # histories lie sorted by subject: what is collected for each needs no hash table that spills, nor sorting
        "spark.sql.execution.replaceHashWithSortAgg": "true",
        "spark.sql.shuffle.partitions": str(max(4, 2 * cores)),
        # VACUUM spreads its listing over as many tasks, whatever there is to list: 10,000 by default
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(max(4, 2 * cores)),
        "spark.databricks.delta.snapshotPartitions": str(max(4, 2 * cores)),  # 50 by default, for logs of big tables
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # Spark's default INT96 is outdated; other readers overflow on its far dates
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    }
    if metastore_url:
        settings |= {"spark.sql.catalogImplementation": "hive", _METASTORE_URL: metastore_url}
    return settings


def driver_memory(total: int, cores: int) -> str:
    """Heap of the one JVM that does all the work: 1 GiB and half a GiB per processor, at most a quarter of `total`."""
    heap = min(GIB + cores * GIB // 2, total // 4)
    return f"{max(heap, GIB) // 2**20}m"


def _is_embedded(workspace: Workspace, catalog: bool) -> bool:
    """Whether the embedded metastore is what holds the views and tables that are asked for."""
    return (catalog or isinstance(workspace.published, CatalogSchema)) and (
        workspace.views.catalog in (None, LOCAL_CATALOG)
    )


def _metastore_url(workspace: Workspace) -> str:
    return f"jdbc:derby:;databaseName={workspace.catalog / 'metastore'};create=true"


def _running_session() -> SparkSession | None:
    """The session of this process, also when another thread made it."""
    active = SparkSession.getActiveSession()
    if active is None and SparkContext._active_spark_context is not None:
        return SparkSession.builder.getOrCreate()
    return active


def _checked(running: SparkSession, metastore_url: str | None) -> SparkSession:
    """The running session, if it has the catalog that is asked for."""
    if metastore_url and running.sparkContext.getConf().get(_METASTORE_URL) != metastore_url:
        if is_local(running.sparkContext.master):
            raise EnvironmentProblem(
                "catalog: this process already runs a Spark session without this workspace's catalog; "
                "stop it first (spark.stop()), or ask for the catalog when it is made"
            )
    return _in_utc(running)


def _in_utc(running: SparkSession) -> SparkSession:
    zone = running.conf.get("spark.sql.session.timeZone", "")
    if zone not in ("UTC", "Etc/UTC", "GMT", "Z", "+00:00"):
        raise EnvironmentProblem(
            f"spark.sql.session.timeZone: {zone!r} in the session that runs, so times without a zone would be read as "
            "that place's and written as UTC's; set it first: spark.conf.set('spark.sql.session.timeZone', 'UTC')"
        )
    return running


def _check_machine() -> None:
    java = find_java()
    if java is None or java.version < MINIMUM_JAVA:
        found = "none found" if java is None else f"{java.executable} is version {java.version}"
        raise EnvironmentProblem(f"Java: {found}, Spark needs {MINIMUM_JAVA}; {JAVA_FIX}")
    missing = missing_jars()
    if missing:
        raise EnvironmentProblem(f"Delta jars: {', '.join(missing)} missing in pyspark's jars folder; {FIX}")


def _check_catalog_is_free(workspace: Workspace) -> None:
    """Raise if another process has this workspace's catalog open.

    Asks the lock that Derby takes on its database: at once, and before a JVM is started for nothing.
    """
    lock = workspace.catalog / "metastore" / "dbex.lck"
    if not lock.exists():
        return
    with lock.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EnvironmentProblem(
                f"catalog {workspace.catalog}: another process holds it (Spark's embedded catalog admits one at a "
                "time); wait for that run or close that session, or read the tables without a catalog: "
                "synth_spark.read_published"
            ) from None


def _start(settings: dict[str, str], workspace: Workspace | None, metastore_url: str | None) -> SparkSession:
    # Python workers would otherwise start whatever python3 is first on PATH
    if is_local(settings["spark.master"]):
        os.environ["PYSPARK_PYTHON"] = sys.executable
        # a host name that does not resolve (or resolves to another address) must not matter to a local session
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    else:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        spark = builder.getOrCreate()
    except PySparkException as error:
        raise EnvironmentProblem(
            f"Spark: the Java process did not start with {settings['spark.driver.memory']} of memory "
            f"(see the lines above); run synth-spark doctor, or set {DRIVER_MEMORY}"
        ) from error
    except Exception as error:  # a local session does not fail so: py4j's error of a master that does not answer
        if is_local(settings["spark.master"]):
            raise
        raise EnvironmentProblem(
            f"Spark: no session on {settings['spark.master']} (see the lines above); is that master running, and can "
            "it be reached from here?"
        ) from error
    if metastore_url and workspace:
        _open_catalog(spark, workspace)
    return spark


def _open_catalog(spark: SparkSession, workspace: Workspace) -> None:
    """Open the metastore now, so that a held one is told at the start and not after hours of work."""
    workspace.catalog.mkdir(parents=True, exist_ok=True)
    jvm = spark.sparkContext._jvm
    assert jvm is not None, "a local session has a JVM"
    # without this Derby writes derby.log into the folder where the command runs
    jvm.java.lang.System.setProperty("derby.stream.error.file", str(workspace.catalog / "derby.log"))
    try:
        spark.sql("SHOW DATABASES").collect()
    except Exception as error:
        spark.stop()
        _check_catalog_is_free(workspace)  # taken by another process in the meantime?
        raise EnvironmentProblem(
            f"catalog {workspace.catalog}: cannot be opened; unless output.catalog is {LOCAL_CATALOG} it holds nothing "
            "but views, so it may be removed and is made anew by the next publication"
        ) from error
