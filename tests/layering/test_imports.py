"""Every module names its colour in the first line of its docstring, and a fresh process loads nothing else."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "synth_spark"
FORBIDDEN = {
    "plain": {"pyspark", "delta", "torch", "petastorm", "mlflow"},
    "spark": {"torch", "petastorm", "mlflow"},
    "torch": {"pyspark", "delta", "mlflow"},
    "mlflow": {"torch", "petastorm"},  # MLflow loads pyspark by itself where it is installed
}
# rooms that executors and ranks enter; other rooms may mix colours, module by module
ROOMS = {
    "model": {"plain", "torch"},
    "train": {"plain", "torch"},
    "attack": {"plain", "torch"},
    "source": {"plain", "spark"},
    "encode": {"plain", "spark"},
    "decode": {"plain", "spark"},
    "qa": {"plain", "spark"},
    "publish": {"plain", "spark"},
    "codecs": {"plain"},
    "report": {"plain"},
    "serving": {"plain", "mlflow"},
}


def _module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _colour(file: Path) -> str | None:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    found = re.search(r"\[(\w+)[^\]]*\]", docstring)
    return found[1] if found else None


MODULES = {_module_name(file): _colour(file) for file in sorted(PACKAGE.rglob("*.py"))}


def test_every_module_names_a_colour_that_its_room_allows() -> None:
    for module, colour in MODULES.items():
        if (PACKAGE.parent / module.replace(".", "/")).is_dir() and colour is None:
            continue  # a package whose __init__ says nothing is checked as plain
        assert colour in FORBIDDEN, f"{module}: docstring names colour {colour}; one of {sorted(FORBIDDEN)} is needed"
        room = module.split(".")[1] if "." in module else ""
        allowed = ROOMS.get(room, set(FORBIDDEN))
        assert colour in allowed, f"{module}: {colour}, but {room}/ allows {sorted(allowed)}"


@pytest.mark.parametrize("colour", FORBIDDEN)
def test_a_fresh_process_loads_nothing_forbidden(colour: str) -> None:
    modules = [module for module, own in MODULES.items() if (own or "plain") == colour]
    script = (
        "import importlib, json, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1])) & FORBIDDEN[colour]
    assert not loaded, f"{loaded} loaded by the {colour} modules {modules}"


def test_importing_sets_up_no_logging_and_starts_no_thread() -> None:
    script = (
        "import logging, threading, synth_spark.logs, synth_spark.progress, synth_spark.session, synth_spark.doctor\n"
        "assert not logging.getLogger().handlers and not logging.getLogger('synth_spark').handlers\n"
        "assert threading.active_count() == 1"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=120)
