"""Values in the SQL of a config, which may be keys of subjects: they go to no message, report or tracker. [plain]"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PARTS = re.compile(
    r"""`(?:[^`]|``)*`"""  # a quoted name
    r"""|--[^\n]*|/\*.*?\*/"""  # comments
    r"""|\b[rR]'[^']*'|\b[rR]"[^"]*"|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""  # texts
    r"""|['"`].*|/\*.*"""  # what nobody closed
    r"""|(?<![\w.])\.?\d[\w.]*""",  # numbers
    re.DOTALL,
)
_NAME = re.compile(r"`.*`", re.DOTALL)


def without_values(expression: str) -> str:
    """SQL with dots in place of its texts, numbers and comments; quoted names stay."""
    return _PARTS.sub(lambda found: found[0] if _NAME.fullmatch(found[0]) else "...", expression)


def place_without_values(place: str) -> str:
    """Where a table is: a database's may be a query; a name or a path is told as it is."""
    return without_values(place) if "(" in place else place


def holds_values(expressions: Iterable[str]) -> bool:
    """Whether any of them has a text or a number in it, which what Spark says of it may repeat."""
    return any(without_values(expression) != expression for expression in expressions)
