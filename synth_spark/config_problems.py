"""What is wrong with a config, in words: every problem with its key, its value and what is allowed there. [plain]"""

from __future__ import annotations

import reprlib
from typing import Any

from pydantic import BaseModel, ValidationError

MOST_TOLD = 10  # problems of one config
LONGEST = 100  # characters of a key or value


def explained(error: ValidationError, root: type[BaseModel]) -> str:
    """One line about the problems of a document that `root` should hold."""
    problems = error.errors()
    lines = [_explain(problem, root) for problem in problems[:MOST_TOLD]]
    if len(problems) > MOST_TOLD:
        lines.append(f"and {len(problems) - MOST_TOLD} more")
    return "; ".join(lines)


def _explain(problem: Any, root: type[BaseModel]) -> str:
    key = ".".join(_shortened(str(part)) for part in problem["loc"]) or "(top level)"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_allowed_keys(problem['loc'], root))}"
    if problem["type"] == "missing":
        return f"{key}: missing, it has no default"
    # a whole section says little, and may hold what nobody must read in a log, as may an option of a reader
    if isinstance(problem["input"], dict) or "options" in problem["loc"]:
        return f"{key}: {problem['msg'].removeprefix('Value error, ')}"
    # reprlib looks no further than it shows, whatever the value stands for
    return f"{key}: {_shortened(reprlib.repr(problem['input']))}: {problem['msg'].removeprefix('Value error, ')}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _allowed_keys(location: tuple[Any, ...], root: type[BaseModel]) -> list[str]:
    """Keys of the section that holds the last part of a location such as ('source', 'events', 0, 'typo')."""
    section = root
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        annotation = section.model_fields[part].annotation if part in section.model_fields else None
        section = _section_of(annotation) or section
    return sorted(section.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _section_of(inner)
        if found is not None:
            return found
    return None
