"""How much work Spark did: tasks, bytes read, bytes shuffled. [plain; asks the JVM of a session]"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_COUNTS = {
    "tasks": "completedTasks",
    "failed_tasks": "failedTasks",  # tried again, up to four times
    "read_bytes": "totalInputBytes",
    "shuffle_read_bytes": "totalShuffleRead",
    "shuffle_write_bytes": "totalShuffleWrite",
}


def spark_totals(spark: SparkSession | None) -> dict[str, int]:
    """Totals of all executors since their Spark began.

    Empty without a session, and where Spark lets nobody ask: Spark Connect, a cluster that shields its JVM.
    """
    if spark is None:
        return {}
    from py4j.protocol import Py4JError

    try:
        # what Spark's own page of executors shows; it is kept also where that page is switched off
        context: Any = spark.sparkContext._jsc
        listed = context.sc().statusStore().executorList(False)
        executors = [listed.apply(place) for place in range(listed.size())]
        return {name: sum(int(getattr(one, asked)()) for one in executors) for name, asked in _COUNTS.items()}
    except (AttributeError, NotImplementedError, Py4JError):
        return {}


def work_between(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What was added to the totals."""
    return {name: total - before.get(name, 0) for name, total in after.items()}
