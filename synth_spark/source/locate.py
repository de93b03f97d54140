"""Where a source path leads; package:// finds a file that an installed distribution ships. [plain]"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from synth_spark.errors import SourceError

PACKAGE = "package://"


def locate(path: str) -> str:
    """A path that Spark can read. The distribution is looked up, never imported.

    Raises:
        SourceError: the distribution is not installed, or ships no such file.
    """
    if not path.startswith(PACKAGE):
        return path
    name, _, inside = path[len(PACKAGE) :].partition("/")
    try:
        files = metadata.distribution(name).files or []
    except metadata.PackageNotFoundError:
        raise SourceError(
            f"source path {path}: no distribution named {name!r} is installed in this environment; "
            f"install it (pip install {name}) or give another path"
        ) from None
    for file in files:
        found = Path(str(file.locate()))
        if file.as_posix() == inside and found.exists():
            return found.resolve().as_uri()
    raise SourceError(
        f"source path {path}: {name} {metadata.version(name)} ships no file {inside!r}; "
        "the part after the distribution's name is a path inside it, such as package/data/file.txt"
    )
