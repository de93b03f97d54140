"""A YAML file as plain values, read with care: whoever wrote it may not mean well. [plain]

PyYAML's safe loader makes no objects, but lets a key occur twice, and lets a few lines of aliases stand for billions
of values. So the file's size, its tree of nodes and every tag are looked at before a value is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from synth_spark.errors import ConfigError

MAX_BYTES = 1_000_000  # a config of thousands of columns, each with settings, has half of it
MAX_NODES = 200_000  # aliases counted as what they stand for
MAX_DIGITS = 40  # of an integer; no setting has more than 19
_PREFIX = "tag:yaml.org,2002:"
_PLAIN = {_PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "seq", "map")}


def read_yaml(path: Path) -> Any:
    """What the file holds.

    Raises:
        ConfigError: there is no such file, it is too large, no UTF-8 or no YAML, a key occurs twice, or it holds more
            than plain values; names file and line, and quotes no more than a key or a tag.
    """
    text = _text(path)
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _Nodes(path, loader).check(root)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ConfigError(f"config {path}: not valid YAML: {_reason(error)}") from None
    except RecursionError:
        raise ConfigError(f"config {path}: nested too deeply; see conf/reference.yml for what it may hold") from None
    except ValueError as error:  # of a date such as 2020-13-45
        raise ConfigError(f"config {path}: a value is none ({error}); put text into quotes") from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"config {path}: no such file; conf/ holds examples") from None
    except (OSError, ValueError) as error:  # a folder, no permission, a name that cannot be
        raise ConfigError(f"config {path}: cannot be read ({_words(error)}); give a YAML file") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"config {path}: larger than {MAX_BYTES:,} bytes, so it is no config; give a YAML file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"config {path}: byte {error.start} is no UTF-8; save the file as UTF-8 text") from None


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _reason(error: yaml.YAMLError) -> str:
    """What is wrong and where, on one line."""
    mark = getattr(error, "problem_mark", None)
    place = f", line {mark.line + 1}" if mark is not None else ""
    told = [getattr(error, part, None) for part in ("context", "problem", "reason")]
    return ", ".join(filter(None, told)) + place


class _Nodes:
    """A walk over all nodes of a document, each of them once."""

    def __init__(self, path: Path, loader: yaml.SafeLoader) -> None:
        self._path, self._loader = path, loader
        self._sizes: dict[int, int] = {}  # by identity: an alias is the very node that it stands for
        self._inside: set[int] = set()

    def check(self, node: yaml.Node) -> int:
        """How many nodes it stands for, itself included."""
        known = self._sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in self._inside:
            raise self._refusal(node, "an alias stands for what it is part of; write it out")
        self._inside.add(id(node))
        self._check_tag(node)
        size = 1 + sum(self.check(child) for child in self._children(node))
        self._inside.remove(id(node))
        if size > MAX_NODES:
            raise self._refusal(node, f"its aliases stand for more than {MAX_NODES:,} values; write out what is needed")
        self._sizes[id(node)] = size
        return size

    def _children(self, node: yaml.Node) -> list[yaml.Node]:
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
            return [child for pair in node.value for child in pair]
        return list(node.value) if isinstance(node, yaml.SequenceNode) else []

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name in seen:
                raise self._refusal(key, f"key {key.value[:80]!r} occurs twice in one mapping; keep one of them")
            if name is not None:
                seen.add(name)

    def _check_tag(self, node: yaml.Node) -> None:
        meant = node.tag
        if isinstance(node, yaml.ScalarNode):
            meant = self._loader.resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]
            if node.tag == _PREFIX + "int" and len(node.value) > MAX_DIGITS:
                raise self._refusal(node, f"a number of {len(node.value)} digits; no setting takes one so large")
        if node.tag not in _PLAIN or node.tag not in (meant, _PREFIX + "str"):
            tag = node.tag.replace(_PREFIX, "!!")[:80]
            raise self._refusal(node, f"tag {tag}: only plain values are allowed; remove the tag")

    def _refusal(self, node: yaml.Node, what: str) -> ConfigError:
        return ConfigError(f"config {self._path}: line {node.start_mark.line + 1}: {what}")
