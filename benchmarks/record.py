"""What every benchmark leaves: one JSON with its figures and all that they depend on."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import torch

from synth_spark.machine import granted_cpus, granted_memory
from synth_spark.model.number_format import BFLOAT16, resolve_number_format

RESULTS = Path(__file__).parent / "results"
_VERSIONS = ("pyspark", "delta-spark", "petastorm", "pyarrow", "torch", "numpy", "scikit-learn", "mlflow")


def record(name: str, command: str, commit: str, figures: dict[str, float], details: dict[str, Any]) -> Path:
    """Replace results/<name>.json by one invocation's figures.

    Args:
        command: what gives these figures again.
        commit: current_commit() when the invocation began.
        figures: rounded to what is meaningful.
        details: whatever explains them.
    """
    document = {
        "benchmark": name,
        "command": command,
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {package: importlib.metadata.version(package) for package in _VERSIONS},
        "figures": {key: round(value, 5) for key, value in figures.items()},
        "details": details,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def machine() -> dict[str, Any]:
    """Processor, number formats, memory: what timings depend on."""
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in processor.splitlines() if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor(),
        "cpus": granted_cpus(),
        "memory_gib": round(granted_memory() / 2**30, 1),
        "total_memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "bfloat16": resolve_number_format("auto", torch.device("cpu")) == BFLOAT16,
        "python": platform.python_version(),
        "system": platform.system(),
    }


def current_commit() -> str:
    """The commit that is checked out, and whether anything but results of benchmarks differs from it."""
    root = Path(__file__).parents[1]
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    code = [".", ":!benchmarks/results", ":!docs/benchmarks.md"]
    status = ["git", "status", "--porcelain", "--", *code]
    changed = subprocess.run(status, cwd=root, capture_output=True, text=True, check=True)
    return head.stdout.strip() + ("+changes" if changed.stdout.strip() else "")
