"""Peak memory of all processes of a run: this one, the JVM, Spark's Python workers, training ranks. [plain]"""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

INTERVAL_SECONDS = 1.0


class PeakMemory:
    """While inside, samples the memory of this process and all its descendants; `peak_bytes` is the largest sum seen.

    Memory shared by several processes is counted once where the kernel tells (PSS), else in each (RSS).
    """

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self.peak_bytes = 0
        self._interval = interval_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process()
        ended = False
        while not ended:
            self.peak_bytes = max(self.peak_bytes, tree_bytes(own))
            ended = self._stop.wait(self._interval)


def tree_bytes(process: psutil.Process) -> int:
    """Memory of a process and all its descendants, in bytes."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        family = [process]
    return sum(_process_bytes(member) for member in family)


def _process_bytes(process: psutil.Process) -> int:
    try:
        pss = getattr(process.memory_full_info(), "pss", 0)
        return int(pss or process.memory_info().rss)
    except psutil.AccessDenied:
        return _resident(process)
    except psutil.Error:  # it ended meanwhile
        return 0


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
