"""The report of a run: qa.json and the training history in, report.html out. [plain]"""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from synth_spark.model.explain import Explanation, explain
from synth_spark.qa_result import QaResult
from synth_spark.report.page import render_page
from synth_spark.workspace import RunPaths

_PACKAGES = ("synth-spark", "pyspark", "delta-spark", "torch", "petastorm", "pyarrow", "numpy", "scikit-learn")


def run_report(paths: RunPaths) -> dict[str, int | float | str]:
    """Write paths.report from what the run has left; needs neither Spark nor a network.

    Raises:
        ContractError: there is no QA result, or it is damaged.
    """
    result = QaResult.load(paths.qa)
    page = render_page(
        result, history=read_history(paths), explanation=read_explanation(paths), versions=installed_versions()
    )
    temporary = paths.report.with_name(paths.report.name + ".tmp")
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, paths.report)
    return {"report.bytes": len(page.encode("utf-8"))}


def read_history(paths: RunPaths) -> list[dict[str, Any]]:
    """Epochs of the training, the last record of each; empty without a training."""
    file = paths.checkpoint / "metrics.jsonl"
    if not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    epochs = {line["epoch"]: line for line in lines if "epoch" in line and "validation.loss" in line}
    return [epochs[epoch] for epoch in sorted(epochs)]


def read_explanation(paths: RunPaths) -> Explanation | None:
    """What the model says of itself; None without a training."""
    folder = paths.checkpoint / "model"
    return explain(folder) if folder.exists() else None


def installed_versions() -> dict[str, str]:
    """Python and the packages that made the data."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
