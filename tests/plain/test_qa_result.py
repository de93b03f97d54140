"""The QA result as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_spark.errors import ContractError
from synth_spark.qa_result import QaResult
from tests.plain.qa_example import example_result


def test_round_trip(tmp_path: Path) -> None:
    result = example_result()
    result.save(tmp_path / "qa.json")
    assert QaResult.load(tmp_path / "qa.json") == result
    assert list(tmp_path.iterdir()) == [tmp_path / "qa.json"]


def test_metrics_are_flat_numbers() -> None:
    metrics = example_result(passed=False).metrics()
    assert metrics["gate.passed"] == 0.0
    assert all(isinstance(value, float) for value in metrics.values())


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99}', "[1]"])
def test_damaged_files_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "qa.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match="run the qa stage"):
        QaResult.load(path)
    with pytest.raises(ContractError, match="not found"):
        QaResult.load(tmp_path / "none.json")
