"""Where a source path leads: ${NAME} is a variable of the environment, package:// a file of an installed distribution.

[plain] Only paths of the config come here.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from synth_spark.errors import SourceError
from synth_spark.variables import expand_variables

PACKAGE = "package://"


def locate(path: str) -> str:
    """A path that Spark can read. The distribution is looked up, never imported.

    Raises:
        SourceError: a variable is not set, the distribution is not installed, or it ships no such file.
    """
    found = expand_variables(path, what="source path", problem=SourceError)
    return _shipped(found) if found.startswith(PACKAGE) else found


def _shipped(path: str) -> str:
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
