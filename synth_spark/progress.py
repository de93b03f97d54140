"""Progress bars with rate and time left, on stderr; silent when that is not a terminal. [plain]"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Item = TypeVar("Item")
POLL_SECONDS = 0.3
_NUMBERS = itertools.count()
_GROUP, _DESCRIPTION = "spark.jobGroup.id", "spark.job.description"


def track(iterable_or_total: Iterable[Item] | int, *, description: str, unit: str, total: int | None = None) -> Any:
    """A tqdm bar over an iterable; given a number, a bar that is moved by hand with `bar.update(3)`.

    Args:
        iterable_or_total: what is counted, or how many there will be.
        description: the work, in a few words.
        unit: what is counted, in the plural.
        total: number of items, for an iterable that does not know it.
    """
    iterable, total = (None, iterable_or_total) if isinstance(iterable_or_total, int) else (iterable_or_total, total)
    return tqdm(
        iterable,
        total=total,
        desc=description,
        unit=f" {unit}",
        unit_scale=(total or 0) >= 100_000,  # 1.25M, but 37 and not 37.0
        disable=None,
        dynamic_ncols=True,
        file=sys.stderr,
    )


@contextmanager
def spark_progress(spark: SparkSession, description: str) -> Iterator[None]:
    """While inside, this thread's Spark jobs carry `description` and their finished tasks are shown.

    The number of tasks grows as Spark begins further stages, so the time left is that of the stages begun.
    """
    context = getattr(spark, "sparkContext", None) if not _is_remote(spark) else None
    if context is None:
        yield
        return
    before = {key: context.getLocalProperty(key) for key in (_GROUP, _DESCRIPTION)}
    group = f"synth_spark-{next(_NUMBERS)}"
    context.setJobGroup(group, description)
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(context, group, description, stop), daemon=True)
    shown = sys.stderr.isatty()
    if shown:
        watcher.start()
    try:
        yield
    finally:
        stop.set()
        if shown:
            watcher.join()
        for key, value in before.items():
            context.setLocalProperty(key, value)


def _is_remote(spark: SparkSession) -> bool:
    """A Spark Connect session has no job groups to watch."""
    return "connect" in type(spark).__module__


def _watch(context: Any, group: str, description: str, stop: threading.Event) -> None:
    """Poll Spark's status tracker until told to stop; a failing poll only ends the bar."""
    with track(0, description=description, unit="tasks") as bar:
        ended = False
        while not ended:
            ended = stop.wait(POLL_SECONDS)
            try:
                done, total = _tasks(context.statusTracker(), group)
            except Exception:  # the session may be stopping; the work itself reports its errors
                return
            bar.total = max(total, bar.total or 0)
            bar.update(max(done - bar.n, 0))


def _tasks(tracker: Any, group: str) -> tuple[int, int]:
    """Finished tasks, and all tasks of the stages that have begun; a stage that Spark skips never begins."""
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
    stages = {stage for job in jobs if job is not None for stage in job.stageIds}
    known = [info for info in map(tracker.getStageInfo, stages) if info is not None]
    begun = [info for info in known if info.numActiveTasks or info.numCompletedTasks]
    return sum(info.numCompletedTasks for info in begun), sum(info.numTasks for info in begun)
