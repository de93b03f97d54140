"""What the gate lets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_spark.errors import ContractError, GateFailed, GateUndecided
from synth_spark.publish.verdict import read_result, require
from synth_spark.qa_result import Criterion, QaResult

MET = Criterion("order_violations", 0.0, 0.0, True, "0")
MISSED = Criterion("accuracy.overall", 0.9, 0.95, False, "0.9 of 0.95")
UNKNOWN = Criterion("dcr_share", None, None, False, "no holdout")


def result(*criteria: Criterion) -> QaResult:
    return QaResult("run", "set", "fingerprint", {"accuracy.overall": 0.9}, (), (), criteria, {})


def test_all_criteria_met_is_a_pass_that_needs_no_force() -> None:
    assert result(MET).verdict == "passed"
    assert require(result(MET), force=False) is False
    assert require(result(MET), force=True) is False


def test_one_missed_criterion_fails_and_is_named() -> None:
    with pytest.raises(GateFailed, match=r"accuracy\.overall: 0\.9 of 0\.95"):
        require(result(MET, MISSED, UNKNOWN), force=False)
    assert require(result(MET, MISSED), force=True) is True
    assert result(MET, MISSED, UNKNOWN).unmet == (MISSED, UNKNOWN)


@pytest.mark.parametrize("criteria", [(), (MET, UNKNOWN)])
def test_no_evidence_is_no_pass(criteria: tuple[Criterion, ...]) -> None:
    assert result(*criteria).verdict == "undecided"
    with pytest.raises(GateUndecided):
        require(result(*criteria), force=False)


def test_without_a_qa_result_the_gate_is_undecided(tmp_path: Path) -> None:
    with pytest.raises(GateUndecided, match="run the qa stage"):
        read_result(tmp_path / "qa.json", run_id="run", fingerprint="fingerprint")


def test_a_result_of_another_run_is_none(tmp_path: Path) -> None:
    result(MET).save(tmp_path / "qa.json")
    assert read_result(tmp_path / "qa.json", run_id="run", fingerprint="fingerprint").passed
    with pytest.raises(ContractError, match="belongs to run run"):
        read_result(tmp_path / "qa.json", run_id="other", fingerprint="fingerprint")
