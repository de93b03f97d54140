"""The reference of the configuration, generated from its schema: a commented file, or a page of tables. [plain]

`python -m synth_spark.config_reference > conf/reference.yml` writes the file, with `--page` it writes what stands in
docs/configuration.md; a test keeps both equal to the schema.
"""

from __future__ import annotations

import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

import yaml
from pydantic.fields import FieldInfo

from synth_spark.config import Config, TableSource
from synth_spark.config_section import Section

WIDTH = 120
_HEAD = """\
Reference of the configuration: every key, its meaning and unit, what it may be, and its default.
Generated from the schema in synth_spark/config.py: python -m synth_spark.config_reference > conf/reference.yml
Keys without a default are marked "required"; a key that is not listed here is an error.
"""
_PAGE_HEAD = """\
# The configuration

One YAML file per data set; a key that is not listed here is an error, and so is a value that does not fit. What is
needed at least:

```yaml
name: visits
source:
  events:
    - path: data/visits # a Delta table; see format
      key: customer_id
      order_by: visited_at
```

`synth-spark init` writes such a file from your tables. The same reference as one commented file that is itself a valid
config: `conf/reference.yml`. Both are made from the schema in `synth_spark/config.py` by `make docs`.

What belongs to a machine rather than to data is in the environment:

| variable | meaning | default |
|---|---|---|
| `SYNTH_SPARK_SALT` | the secret of split and thresholds: `openssl rand -hex 32` | the workspace's `secrets/salt` |
| `SYNTH_SPARK_DRIVER_MEMORY` | heap of a session on one machine, such as `6g` | by memory and processors |
| `SYNTH_SPARK_MASTER` | Spark master of [a cluster](cluster.md) | a session on this machine |
| `SYNTH_SPARK_EXPERIMENT_FOLDER` | folder before the names of MLflow's experiments | none |
| `MLFLOW_TRACKING_URI` | MLflow's store ([for MLOps](for-mlops.md)) | `mlflow.db` in the workspace |
| `SPARK_LOCAL_DIRS` | Spark's temporary space, as of any Spark | in the temporary folder |
"""
_TOP = "At the top"
# a text that names the value which a required key has in this file, so that the file itself is a valid config
_EXAMPLES = {"name": "my-data", "key": "customer_id"}
_CHOSEN = {"path": "data/events", "order_by": "date"}  # of keys that exclude one another, the usual one


def config_reference() -> str:
    """The reference as YAML text that is itself a valid configuration."""
    return "\n".join([*_comment(_HEAD, ""), "", *_section(Config, "")]) + "\n"


def config_page() -> str:
    """The reference as a Markdown page: one table per section, a row per key."""
    return "\n".join([_PAGE_HEAD, *_tables(Config, "", {})]) + "\n"


def _tables(section: type[Section], path: str, headings: dict[type[Section], str]) -> Iterator[str]:
    """A section's table and those of the sections in it; `headings` says where each kind of section was told first."""
    headings[section] = path
    below: dict[str, type[Section]] = {}
    yield from (f"## {path or _TOP}", "", "| key | meaning | what it may be | default |", "|---|---|---|---|")
    for name, field in section.model_fields.items():
        inner, allowed = _inner_section(field), _cell(_allowed(field))
        if inner is not None:
            place = headings.get(inner, f"{path}.{name}".removeprefix("."))
            allowed = f"{_kind(field)} [{place}](#{_anchor(place)})"
            if inner not in headings:
                below[place] = inner
        yield f"| `{name}` | {_cell(field.description or '')} | {allowed} | {_default(field)} |"
    yield ""
    for place, inner in below.items():
        yield from _tables(inner, place, headings)


def _kind(field: FieldInfo) -> str:
    """What holds the sections of this field."""
    return {list: "a list, each", dict: "by column:"}.get(typing.get_origin(field.annotation) or str, "keys of")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "told there" if isinstance(field.default, Section) else f"`{_text(field.default)}`"


def _cell(text: str) -> str:
    """Text that neither ends a table's cell nor is taken for HTML."""
    return text.replace(" | ", " or ").replace("<", "&lt;").replace(">", "&gt;")


def _anchor(heading: str) -> str:
    """Where a heading is found, as Markdown's readers make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _section(section: type[Section], indent: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield from _comment(_describe(field), indent)
        inner = _inner_section(field)
        if inner is None:
            yield f"{indent}{name}: {_value(name, field)}"
        elif typing.get_origin(field.annotation) is list:
            yield f"{indent}{name}:"
            lines = list(_section(inner, indent + "    "))
            first = next(number for number, line in enumerate(lines) if not line.lstrip().startswith("#"))
            yield from lines[:first]
            yield f"{indent}  - {lines[first].lstrip()}"
            yield from lines[first + 1 :]
        elif field.default is None or typing.get_origin(field.annotation) is dict:
            yield f"{indent}{name}: {_text(field.default)}"
            yield from _comment(_inner_keys(field, inner), indent)
        else:
            yield f"{indent}{name}:"
            yield from _section(inner, indent + "  ")
        if not indent:
            yield ""


def _inner_keys(field: FieldInfo, inner: type[Section]) -> str:
    """The keys of a section that is absent by default."""
    if typing.get_origin(field.annotation) is dict:
        keys = ", ".join(f"{name} ({_allowed(key)})" for name, key in inner.model_fields.items())
        return f"<column>: {{{keys}}}"
    if issubclass(inner, TableSource):
        return f"when given, its keys are those of an events table: {', '.join(inner.model_fields)}"
    return "when given, its keys are\n" + "\n".join(f"{n}: {_describe(key)}" for n, key in inner.model_fields.items())


def _describe(field: FieldInfo) -> str:
    required = ["required"] if field.is_required() else []
    limits = [] if _inner_section(field) else [_allowed(field)]
    return f"{field.description} [{'; '.join(required + limits)}]" if required or limits else f"{field.description}"


def _allowed(field: FieldInfo) -> str:
    """Type and limits in words: "integer, at least 1, at most 64"."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = []
    for constraint in field.metadata:
        limits += [f"{text} {getattr(constraint, key)}" for key, text in words.items() if hasattr(constraint, key)]
        if getattr(constraint, "pattern", None):
            limits.append(f"matching {constraint.pattern}")
    return ", ".join([_type(field.annotation), *limits])


def _type(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " | ".join(inner)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_type(kind) for kind in inner)
    if origin is list:
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"mapping of {_type(inner[0])} to {_type(inner[1])}"
    names = {int: "integer", float: "number", str: "text", bool: "true | false", type(None): "null"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _inner_section(field: FieldInfo) -> type[Section] | None:
    kinds = [field.annotation, *typing.get_args(field.annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def _value(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return _EXAMPLES[name]
    return _CHOSEN.get(name) or _text(field.default)


def _text(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


def _comment(text: str, indent: str) -> list[str]:
    width = WIDTH - len(indent) - 2
    return [f"{indent}# {line}" for part in text.strip().splitlines() for line in textwrap.wrap(part, width)]


if __name__ == "__main__":
    sys.stdout.write(config_page() if "--page" in sys.argv[1:] else config_reference())
