"""What the QA result says about publishing. [plain]"""

from __future__ import annotations

from pathlib import Path

from synth_spark.errors import ContractError, GateFailed, GateUndecided
from synth_spark.qa_result import FAILED, QaResult


def read_result(path: Path, *, run_id: str, fingerprint: str) -> QaResult:
    """The QA result of a run.

    Raises:
        GateUndecided: there is none.
        ContractError: it is damaged, or of another run or codebook.
    """
    if not path.exists():
        raise GateUndecided(f"{path}: no QA result, so the gate is undecided; run the qa stage first")
    result = QaResult.load(path)
    if (result.run_id, result.fingerprint) != (run_id, fingerprint):
        raise ContractError(
            f"{path}: belongs to run {result.run_id} and codebook {result.fingerprint}, "
            f"not to run {run_id} and codebook {fingerprint}; run the qa stage again"
        )
    return result


def require(result: QaResult, *, force: bool) -> bool:
    """Whether publishing needs the force that was given.

    Raises:
        GateFailed, GateUndecided: and no force was given.
    """
    if result.passed:
        return False
    if force:
        return True
    reasons = "; ".join(f"{item.name}: {item.reason} ({item.mark})" for item in result.unmet)
    kind = GateFailed if result.verdict == FAILED else GateUndecided
    raise kind(
        f"gate {result.verdict} for run {result.run_id}: {reasons or 'no criteria'}; nothing was published, the last "
        "publication stands. The report shows why, docs/fidelity.md what may help; synth-spark run CONFIG --fresh "
        "makes a new run, with whatever has changed since; "
        f"synth-spark publish CONFIG --run {result.run_id} --force publishes all the same and records it"
    )
