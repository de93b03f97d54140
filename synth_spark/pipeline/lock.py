"""One process at a time works on a run. [plain]

The kernel's lock on <run>/lock decides, so a killed process never leaves a run locked; the text in the file only says
who holds it. Storage that knows no locks (mounted object stores) gives none: there whoever starts the stages has to
take care, as a job that runs once at a time does.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from synth_spark.errors import ContractError
from synth_spark.files import ONLY_NEW_FILES

LOCK = "lock"
_NO_LOCKS = {
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOLCK,
}  # "there is no such thing here", unlike "somebody has it"
log = logging.getLogger(__name__)


@contextmanager
def run_lock(folder: Path) -> Iterator[bool]:
    """Hold a run's folder while inside; the lock of a dead process is taken over.

    Yields:
        Whether nobody else can work on the run: not known on storage without locks.

    Raises:
        ContractError: another process works on this run; the message names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    file = _opened(path)
    if file is None:
        yield False
        return
    with file:
        try:
            locked = _lock(file, fcntl.LOCK_EX)
        except OSError:
            owner = _owner(path)
            raise ContractError(f"run {folder.name}: {owner} works on it; wait for it, or end it first") from None
        _write(file, {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()})
        try:
            yield locked
        finally:
            _write(file, None)  # the file stays: removing it would let two processes lock different files


def is_held(folder: Path) -> bool:
    """Whether a process works on a run. It only asks, for an instant, and makes no file."""
    try:
        with FileIO(folder / LOCK, "r") as file:
            _lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _opened(path: Path) -> FileIO | None:
    """The lock's file, to be locked and rewritten; None where storage knows no such opening, with a warning."""
    try:
        return FileIO(path, "a+")
    except OSError as error:
        if error.errno not in ONLY_NEW_FILES:
            raise
        _warn(path)
        return None


def _warn(path: Any) -> None:
    log.warning("%s: this storage knows no locks; let one process at a time work on a run", path)


def _lock(file: FileIO, kind: int) -> bool:
    """Take the lock now; OSError if another process has it. Where storage knows none, a warning, and False."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _warn(file.name)
        return False
    return True


def _write(file: FileIO, owner: dict[str, Any] | None) -> None:
    with suppress(OSError):  # it only informs, and storage without locks may not let a file be rewritten either
        file.truncate(0)
        file.write(json.dumps(owner).encode() if owner else b"")


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        minutes = (time.time() - owner["since"]) / 60
        return f"process {owner['pid']} on {owner['host']}, for {minutes:.0f} minutes,"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
