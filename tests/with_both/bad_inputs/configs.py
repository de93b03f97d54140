"""Configs: no YAML, no text, no file, bombs, tags, wrong types, huge numbers, hostile names. [plain]"""

from __future__ import annotations

import functools
import string
from typing import Any

import yaml

from synth_spark.config import load_config
from synth_spark.errors import ConfigError, EnvironmentProblem
from synth_spark.pipeline.runs import create_run
from synth_spark.workspace import Workspace
from tests.with_both.bad_inputs.entry import BadInput, Bench

GOOD: dict[str, Any] = {"name": "t", "source": {"events": [{"table": "e", "key": "id", "order_by": "at"}]}}
PWNED = "pwned"  # a file that a tag would make


def _bomb(of_aliases: str) -> str:
    """Nine levels, each of ten aliases of the one before."""
    levels = [f"{name}: &{name} " + of_aliases % ",".join([f"*{before}"] * 10) for before, name in _pairs(10)]
    return "\n".join(["a: &a {x: y}", *levels, "name: *j"])


def _pairs(number: int) -> list[tuple[str, str]]:
    names = string.ascii_lowercase[:number]
    return list(zip(names, names[1:], strict=False))


FILES: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "empty": ("", ("a mapping of keys",)),
    "only a comment": ("# nothing\n---\n", ("a mapping of keys",)),
    "a list": ("- name: t\n", ("a mapping of keys",)),
    "a text": ("name", ("a mapping of keys",)),
    "not UTF-8": ("name: größe".encode("latin-1"), ("byte 8", "UTF-8")),
    "UTF-16": ("name: t".encode("utf-16"), ("byte 0", "UTF-8")),
    "bytes": (bytes(range(128)) * 50, ("not valid YAML", "special characters")),
    "an open quote": ("name: 'abc\n", ("not valid YAML", "line")),
    "a tab": ("source:\n\tevents: []\n", ("not valid YAML", "line 2")),
    "two documents": ("name: a\n---\nname: b\n", ("not valid YAML", "another document")),
    "a YAML bomb": (_bomb("[%s]"), ("aliases stand for more than", "line")),
    "a YAML bomb of merge keys": (_bomb("{<<: [%s]}"), ("aliases stand for more than", "line")),
    "an alias of itself": ("name: &a [*a]\n", ("line 1", "alias")),
    "an alias of nothing": ("name: *a\n", ("undefined alias",)),
    "deep nesting": ("{a: " * 20_000, ("nested too deeply",)),
    "a megabyte": ("name: " + "x" * 1_000_000, ("larger than 1,000,000 bytes",)),
    "a tag that runs a command": (
        f"name: !!python/object/apply:os.system ['touch {PWNED}']",
        ("line 1", "!!python/object/apply", "tag"),
    ),
    "a tag that makes an object": ("name: !!python/name:os.getcwd ''", ("line 1", "!!python/name", "tag")),
    "a tag that does not fit": ("seed: !!int ''", ("line 1", "!!int")),
    "a tag of bytes": ("name: !!binary aGVsbG8=", ("line 1", "!!binary")),
    "a key twice": ("name: a\nseed: 1\nname: b\n", ("line 3", "'name'", "twice")),
    "a nested key twice": ("source:\n  events: []\n  events: []\n", ("line 3", "'events'", "twice")),
    "a list as a key": ("? [a, b]\n: c\n", ("unhashable",)),
    "a number as a key": ("1: 2\n", ("1", "Keys should be strings")),
    "a number of 5,000 digits": ("seed: " + "9" * 5000, ("line 1", "5000 digits")),
    "a number of 5,000 hex digits": ("seed: 0x" + "f" * 5000, ("line 1", "5002 digits")),
    "a date that is none": ("name: 2020-13-45", ("month must be in 1..12",)),
    "an endless key": ("? " + "x" * 5000 + "\n: 1", ("xxx...", "unknown key")),
    "a thousand unknown keys": ("\n".join(f"k{i}: 1" for i in range(1000)), ("unknown key", "and 992 more")),
}

VALUES: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    # name: key, its value, words of the message
    "nothing in a section": ("train", None, ("train", "None")),
    "a list as a section": ("train", [], ("train", "[]")),
    "a list as a name": ("name", ["a"], ("name", "['a']", "string")),
    "a flag as a number": ("train.num_ranks", True, ("train.num_ranks", "True")),
    "a list as a text option": ("source.events.0.options", {"header": [True]}, ("options.header", "string")),
    "a text as a number": ("seed", "many", ("seed", "'many'", "integer")),
    "half an epoch": ("train.max_epochs", 1.5, ("train.max_epochs", "1.5", "integer")),
    "NaN": ("qa.gate.max_overfit", float("nan"), ("qa.gate.max_overfit", "nan", "finite")),
    "infinity": ("train.max_minutes", float("inf"), ("train.max_minutes", "inf", "finite")),
    "a seed beyond 64 bits": ("seed", 2**64, ("seed", str(2**64), "less than")),
    "a billion billion subjects": ("sample.subjects", 10**18, ("sample.subjects", "less than or equal")),
    "a billion threads": ("train.threads", 10**9, ("train.threads", "less than or equal")),
    "a huge window": ("train.window_events", 10**15, ("train.window_events", "less than or equal")),
    "a negative share": ("split.holdout", -0.1, ("split.holdout", "-0.1")),
    "an unknown key": ("source.events.0.wehre", "x > 1", ("source.events.0.wehre", "unknown key", "where")),
    "a name that climbs": ("name", "../../etc", ("name", "'../../etc'", "match")),
    "a name of 5,000 letters": ("name", "n" * 5000, ("name", "at most 100")),
    "a schema of SQL": ("output.schema_name", "s; DROP TABLE runs", ("output.schema_name", "match")),
    "a catalog of SQL": ("output.catalog", "main`.x", ("output.catalog", "match")),
    "no workspace": ("output.root", "", ("output.root", "''")),
    "a workspace with a null byte": ("output.root", "a\0b", ("output.root", "match")),
    "two event tables": ("source.events", GOOD["source"]["events"] * 2, ("source", "2 event tables")),
    "table and path": ("source.events.0.path", "/data", ("source.events.0", "one of the three")),
    "a schema of a catalog's table": ("source.events.0.read_schema", "id INT", ("source.events.0", "read_schema")),
    "a password in options": (
        "source.events.0.options",
        {"password": "hunter2"},
        ("source.events.0", "password is a secret"),
    ),
    "no order": ("source.events.0.order_by", None, ("source.events.0", "order_by", "stored_order")),
}


def changed(key: str, value: Any) -> dict[str, Any]:
    """A good config with one other value."""

    def put(document: Any, parts: list[str]) -> Any:
        first, *rest = parts
        if isinstance(document, list):
            return [put(item, rest) if place == int(first) else item for place, item in enumerate(document)]
        return {**document, first: put(document.get(first, {}), rest) if rest else value}

    return put(GOOD, key.split("."))


def _load(content: str | bytes, bench: Bench) -> None:
    file = bench.folder / "config.yml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    load_config(file)


def _load_value(key: str, value: Any, bench: Bench) -> None:
    _load(yaml.safe_dump(changed(key, value), allow_unicode=True), bench)


def _load_folder(bench: Bench) -> None:
    load_config(bench.folder)


def _load_endless(bench: Bench) -> None:
    load_config("/dev/zero")


def _load_nothing(bench: Bench) -> None:
    load_config(bench.folder / "none.yml")


def _workspace_is_a_file(bench: Bench) -> None:
    (bench.folder / "taken").write_text("")
    _load_value("output.root", str(bench.folder / "taken"), bench)
    config = load_config(bench.folder / "config.yml")
    create_run(Workspace.at(config.output.root), config)


def _workspace_is_an_address(root: str, bench: Bench) -> None:
    """A path of that name would be a folder of this machine's, made without a word."""
    _load_value("output.root", root, bench)
    Workspace.of(load_config(bench.folder / "config.yml").output)


def _good_aliases(bench: Bench) -> None:
    """What YAML has aliases for still works."""
    _load(
        "name: t\nsource:\n  subjects: &shared {table: s, key: id, exclude: [x]}\n"
        "  events:\n  - <<: *shared\n    table: e\n    order_by: at\n",
        bench,
    )
    config = load_config(bench.folder / "config.yml")
    assert config.source.event_table is not None and config.source.event_table.exclude == ["x"]
    assert config.source.event_table.table == "e"


CONFIGS = [
    *(
        BadInput(f"config: {name}", functools.partial(_load, content), ConfigError, ("config.yml", *words))
        for name, (content, words) in FILES.items()
    ),
    *(
        BadInput(f"config: {name}", functools.partial(_load_value, key, value), ConfigError, ("config.yml", *words))
        for name, (key, value, words) in VALUES.items()
    ),
    BadInput("config: a folder", _load_folder, ConfigError, ("directory",)),
    BadInput("config: an endless file", _load_endless, ConfigError, ("/dev/zero", "larger than")),
    BadInput("config: no file", _load_nothing, ConfigError, ("none.yml", "no such file")),
    BadInput("config: a workspace that is a file", _workspace_is_a_file, EnvironmentProblem, ("output.root", "taken")),
    *(
        BadInput(
            f"config: a workspace at {root}", functools.partial(_workspace_is_an_address, root), ConfigError, words
        )
        for root, words in (("s3a://bucket/x", ("output.root", "s3a:")), ("dbfs:/x", ("output.root", "dbfs:/x")))
    ),
    BadInput("config: good aliases", _good_aliases),
]
