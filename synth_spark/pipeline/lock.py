"""One process at a time works on a run. [plain]

The kernel's lock on <run>/lock decides, so a killed process never leaves a run locked; the text in the file only says
who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synth_spark.errors import ContractError


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run's folder while inside; the lock of a dead process is taken over.

    Raises:
        ContractError: another process works on this run; the message names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = _owner(path)
            raise ContractError(f"run {folder.name}: {owner} works on it; wait for it, or end it first") from None
        _write(file, {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()})
        try:
            yield
        finally:
            _write(file, None)  # the file stays: removing it would let two processes lock different files


def is_held(folder: Path) -> bool:
    """Whether a process works on a run. It only asks, for an instant, and makes no file."""
    try:
        with (folder / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _write(file: Any, owner: dict[str, Any] | None) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(owner) if owner else "")
    file.flush()


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        minutes = (time.time() - owner["since"]) / 60
        return f"process {owner['pid']} on {owner['host']}, for {minutes:.0f} minutes,"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
