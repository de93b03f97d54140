"""What the gate lets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_spark.errors import GateFailed, GateUndecided
from synth_spark.publish.verdict import Criterion, Verdict, read_verdict, require

MET, MISSED = Criterion("order_violations", True, "0"), Criterion("accuracy.overall", False, "0.9 of 0.95")
UNKNOWN = Criterion("dcr_share", None, "no holdout")


def _verdict(*criteria: Criterion) -> Verdict:
    return Verdict("run", "fingerprint", criteria, {})


def test_all_criteria_met_is_a_pass_that_needs_no_force() -> None:
    assert _verdict(MET).gate == "passed"
    assert require(_verdict(MET), force=False) is False
    assert require(_verdict(MET), force=True) is False


def test_one_missed_criterion_fails_and_is_named() -> None:
    with pytest.raises(GateFailed, match=r"accuracy\.overall: 0\.9 of 0\.95"):
        require(_verdict(MET, MISSED, UNKNOWN), force=False)
    assert require(_verdict(MET, MISSED), force=True) is True


@pytest.mark.parametrize("criteria", [(), (MET, UNKNOWN)])
def test_no_evidence_is_no_pass(criteria: tuple[Criterion, ...]) -> None:
    with pytest.raises(GateUndecided):
        require(_verdict(*criteria), force=False)


def test_without_a_qa_result_the_gate_is_undecided(tmp_path: Path) -> None:
    with pytest.raises(GateUndecided, match="run the qa stage"):
        read_verdict(tmp_path / "qa.json", run_id="run", fingerprint="fingerprint")
