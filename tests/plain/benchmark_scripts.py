"""The scripts in benchmarks/, which are no part of the package, as modules."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load_script(name: str) -> ModuleType:
    """One script; what it imports from its own folder leaves sys.modules again."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        module = importlib.import_module(name)
    for found in set(sys.modules) - before:
        if Path(getattr(sys.modules[found], "__file__", None) or "").parent == BENCHMARKS:
            del sys.modules[found]
    return module
