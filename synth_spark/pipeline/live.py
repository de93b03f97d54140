"""Training metrics while training runs: tails the file that rank 0 adds lines to. [plain]"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth_spark.tracking import Tracker

POLL_SECONDS = 1.0
_POSITION = ("epoch", "passes", "step")  # where a line stands, not what it measures


class LiveMetrics:
    """While inside, every epoch of <checkpoint>/metrics.jsonl goes to the tracker once, also after a resume."""

    def __init__(self, file: Path, tracker: Tracker, poll_seconds: float = POLL_SECONDS) -> None:
        self._file, self._tracker, self._poll = file, tracker, poll_seconds
        self._read = 0  # bytes
        self._resumed = {line["epoch"] for line in self._new_lines()}  # another training may have logged other epochs
        self._read = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="live-metrics", daemon=True)

    def __enter__(self) -> LiveMetrics:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        logged = self._tracker.steps_of("train.loss") & self._resumed
        ended = False
        while not ended:
            ended = self._stop.wait(self._poll)
            for line in self._new_lines():
                if line["epoch"] not in logged:
                    logged.add(line["epoch"])
                    figures = {key: value for key, value in line.items() if key not in _POSITION}
                    self._tracker.metrics(figures, step=line["epoch"])

    def _new_lines(self) -> list[dict[str, Any]]:
        """Complete lines written since the last call; half a line waits for its other half."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._read)
                complete, newline, _ = file.read().rpartition(b"\n")
        except OSError:  # not there yet, or being replaced; it is looked at again
            return []
        self._read += len(complete) + len(newline)
        return [json.loads(line) for line in complete.splitlines() if line.strip()]
