"""Small text files: replaced whole or not at all, also on storage that cannot append. [plain]"""

from __future__ import annotations

import errno
import os
from pathlib import Path

# what mounted object stores say to whoever wants to add to a file, or to change it
ONLY_NEW_FILES = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ESPIPE, errno.EINVAL}


def replace_text(path: Path, text: str) -> None:
    """Replace a file's content whole or not at all, and have it on disk; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_bytes(path: Path, content: bytes) -> None:
    """A new file, written from its start to its end (mounted object stores know nothing else), and on disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def add_line(path: Path, line: str) -> None:
    """One more line, by replacing the file: mounted object stores refuse to append, and nobody reads half a line."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    replace_text(path, f"{before}{line}\n")
