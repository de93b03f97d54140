"""The report of a run: qa.json and the training history in, report.html out. [plain]"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from synth_spark.errors import ContractError
from synth_spark.files import replace_text
from synth_spark.model.explain import Explanation, explain
from synth_spark.qa_result import QaResult
from synth_spark.report.page import render_page
from synth_spark.workspace import RunPaths


def run_report(
    paths: RunPaths, *, software: Mapping[str, str] | None = None, drawn_from: str | None = None, looks: int = 1
) -> dict[str, int | float | str]:
    """Write paths.report from what the run has left; needs neither Spark nor a network.

    Args:
        software: what made the data, by package.
        drawn_from: for a data report, the run that trained the model. The chapters about its training stand in that
            run's own report; here they would say nothing about this output.
        looks: how often figures against this holdout had been made, these included.

    Raises:
        ContractError: there is no QA result, or it is damaged.
    """
    result = QaResult.load(paths.qa)
    own_model = drawn_from is None or drawn_from == paths.run_id
    page = render_page(
        result,
        history=read_history(paths) if own_model else (),
        explanation=read_explanation(paths) if own_model else None,
        software=software,
        drawn_from=drawn_from,
        looks=looks,
    )
    replace_text(paths.report, page)
    return {"report.bytes": len(page.encode("utf-8"))}


def read_history(paths: RunPaths) -> list[dict[str, Any]]:
    """Epochs of the training, the last record of each; empty without a training.

    Raises:
        ContractError: the file is damaged.
    """
    file = paths.checkpoint / "metrics.jsonl"
    if not file.exists():
        return []
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        epochs = {line["epoch"]: line for line in lines if "epoch" in line and "validation.loss" in line}
    except (ValueError, TypeError, RecursionError) as error:
        raise ContractError(
            f"course of training {file}: damaged ({error}); remove the file: the report then goes without it"
        ) from None
    return [epochs[epoch] for epoch in sorted(epochs)]


def read_explanation(paths: RunPaths) -> Explanation | None:
    """What the model says of itself; None without a training."""
    folder = paths.checkpoint / "model"
    return explain(folder) if folder.exists() else None
