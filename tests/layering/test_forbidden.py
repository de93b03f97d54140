"""Calls that would make results depend on partitions or retries, or run code from a file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "synth_spark").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")])
# names called as functions or methods: F.rand(), functions.uuid(), pickle.loads(), yaml.load(), torch.load()
CALLS = {"rand", "randn", "uuid", "monotonically_increasing_id", "shuffle_rows"}
CALLS |= {"input_file_name"}  # Unity Catalog refuses it; _metadata.file_path tells the same
QUALIFIED = {("yaml", "load"), ("yaml", "unsafe_load"), ("torch", "load"), ("torch", "save")}
MODULES = {"pickle", "cloudpickle", "dill", "joblib", "shelve"}
IN_SQL = re.compile(r"\b(rand|randn|uuid|monotonically_increasing_id|random)\s*\(", re.IGNORECASE)


def _offences(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if (owner, node.func.attr) in QUALIFIED:
                yield f"line {node.lineno}: {owner}.{node.func.attr}()"
            if node.func.attr in CALLS and owner in {"F", "functions", "sf"}:
                yield f"line {node.lineno}: {owner}.{node.func.attr}()"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield f"line {node.lineno}: {node.func.id}()"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            origin = node.module if isinstance(node, ast.ImportFrom) else None
            names = {origin or ""} | {alias.name for alias in node.names if origin is None}
            yield from (f"line {node.lineno}: import {name}" for name in names if name.split(".")[0] in MODULES)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and IN_SQL.search(node.value):
            yield f"line {node.lineno}: {IN_SQL.search(node.value)[0]} in a text that may be SQL"  # type: ignore[index]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_forbidden_is_called(file: Path) -> None:
    assert not list(_offences(ast.parse(file.read_text(encoding="utf-8"))))


OFFENCES = [
    "F.rand()",
    "uuid()",
    "spark.sql('select RAND (1)')",
    "import pickle",
    "torch.load(p)",
    "yaml.load(x)",
    "from pickle import loads",
    "F.expr(f'uuid() + {a}')",
    "F.monotonically_increasing_id()",
]


@pytest.mark.parametrize("code", OFFENCES)
def test_the_lint_sees_what_it_should(code: str) -> None:
    assert list(_offences(ast.parse(code)))


@pytest.mark.parametrize("code", ["rng.random(3)", "import random_names", "yaml.safe_load(x)", "brand(1)"])
def test_the_lint_leaves_the_rest_alone(code: str) -> None:
    assert not list(_offences(ast.parse(code)))
