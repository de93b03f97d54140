"""SIGTERM as an exception, so that what is ended from outside still says so in its records. [plain]"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from synth_spark.errors import Terminated


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """While inside, SIGTERM raises Terminated, as SIGINT raises KeyboardInterrupt; a second one ends at once.

    Where somebody else listens to the signal already, or in any thread but the main one, it stays as it is.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Terminated
