"""What a run needs of a cluster's machines: this package, and a folder that all of them share. [spark]

Asked once, before work starts: an executor that writes to a disk of its own would otherwise look like lost rows, and
a rank without its files like a hang.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import SparkSession

import synth_spark
from synth_spark.errors import EnvironmentProblem
from synth_spark.progress import spark_progress
from synth_spark.session import is_local

PATIENCE_SECONDS = 300  # until the first tasks have run
_GROUP = "spark.jobGroup.id"
log = logging.getLogger(__name__)

Answer = tuple[str, str | None, bool]  # host, version of this package there, whether it sees the folder


def check_cluster(spark: SparkSession, folder: Path) -> None:
    """Ask executors of a cluster for this package and for `folder`, which is made if need be. Local sessions and
    Databricks pass.

    Raises:
        EnvironmentProblem: none comes in time, one cannot work, lacks this version, or sees another disk.
    """
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:  # volumes and the job's libraries are the runtime's to bring
        return
    context = spark.sparkContext
    if is_local(context.master):
        return
    folder.mkdir(parents=True, exist_ok=True)
    number = 2 * context.defaultParallelism
    probe = folder / f".seen-by-{context.applicationId}"
    marks = [Path(f"{probe}-{index}") for index in range(number)]
    probe.touch()
    try:
        for host, version, sees in _answers(spark, _question(str(probe)), number):
            _check_version(host, version)
            if not sees:
                raise EnvironmentProblem(_shared(folder, f"executor on {host} does not see"))
        if not all(mark.exists() for mark in marks):
            raise EnvironmentProblem(_shared(folder, "not all that executors write is seen here in"))
    finally:
        for file in (probe, *marks):
            file.unlink(missing_ok=True)


def _question(probe: str) -> Callable[[Iterable[int]], Iterator[Answer]]:
    """A function that travels by value: where it runs, this package may be missing."""

    def answer(numbers: Iterable[int]) -> Iterator[Answer]:
        import os
        import socket

        version: str | None = None
        try:
            from synth_spark import __version__

            version = __version__
        except ImportError:
            pass
        for number in numbers:
            sees = os.path.isfile(probe)
            if sees:
                open(f"{probe}-{number}", "w").close()
            yield socket.gethostname(), version, sees

    return answer


def _answers(spark: SparkSession, question: Callable[[Iterable[int]], Iterator[Answer]], number: int) -> list[Answer]:
    context = spark.sparkContext
    log.info("waiting for executors of %s", context.master)
    late = threading.Event()
    with spark_progress(spark, "cluster"):
        timer = threading.Timer(PATIENCE_SECONDS, _give_up, (context, context.getLocalProperty(_GROUP), late))
        timer.start()
        try:
            return context.parallelize(range(number), number).mapPartitions(question).collect()
        except Exception as error:
            if late.is_set():
                raise EnvironmentProblem(
                    f"cluster {context.master}: no executor within {PATIENCE_SECONDS} s; are its cores or its memory "
                    "taken, or is spark.executor.memory more than a worker has?"
                ) from error
            raise EnvironmentProblem(f"cluster {context.master}: a first small task failed: {_cause(error)}") from error
        finally:
            timer.cancel()


def _give_up(context: SparkContext, group: str, late: threading.Event) -> None:
    late.set()
    context.cancelJobGroup(group)


def _cause(error: Exception) -> str:
    """The line of Spark's message that says why; the task saw no data that it could quote."""
    lines = [line.strip() for line in str(error).splitlines() if "Error" in line or "Exception" in line]
    return lines[-1][:300] if lines else type(error).__name__


def _check_version(host: str, version: str | None) -> None:
    if version != synth_spark.__version__:
        raise EnvironmentProblem(
            f"executor on {host}: has {f'synth_spark {version}' if version else 'no synth_spark'}, the driver "
            f"{synth_spark.__version__}; install the same environment on all machines, or point PYSPARK_PYTHON to it"
        )


def _shared(folder: Path, what: str) -> str:
    return (
        f"folder {folder}: {what} it; output.root must be a folder that all machines of the cluster share under "
        "the same path (NFS, a mounted volume); see docs/cluster.md"
    )
