"""What the QA result says about publishing. [plain]"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synth_spark.errors import ContractError, GateFailed, GateUndecided
from synth_spark.qa_result import QaResult

PASSED, FAILED, UNDECIDED = "passed", "failed", "undecided"
_MARKS = {True: "met", False: "not met", None: "undecided"}
_KEPT_FIGURES = ("accuracy.", "dcr_share", "auc_event")  # those that go into the runs table


@dataclass(frozen=True)
class Criterion:
    """One condition of the gate."""

    name: str
    met: bool | None  # None: it could not be computed
    detail: str  # value against limit


@dataclass(frozen=True)
class Verdict:
    """The gate as the qa stage computed it."""

    run_id: str
    fingerprint: str
    criteria: tuple[Criterion, ...]
    figures: dict[str, float]

    @property
    def gate(self) -> str:
        """PASSED, FAILED or UNDECIDED."""
        if any(criterion.met is False for criterion in self.criteria):
            return FAILED
        return PASSED if self.criteria and all(criterion.met for criterion in self.criteria) else UNDECIDED

    @property
    def unmet(self) -> list[Criterion]:
        """Criteria that are not met, or not known to be."""
        return [criterion for criterion in self.criteria if not criterion.met]


def read_verdict(path: Path, *, run_id: str, fingerprint: str) -> Verdict:
    """The verdict in qa.json.

    Raises:
        GateUndecided: there is no QA result.
        ContractError: it is damaged, or of another run or codebook.
    """
    if not path.exists():
        raise GateUndecided(f"{path}: no QA result, so the gate is undecided; run the qa stage first")
    result = QaResult.load(path)
    verdict = Verdict(
        run_id=result.run_id,
        fingerprint=result.fingerprint,
        criteria=tuple(
            Criterion(item.name, None if item.value is None else item.ok, item.reason) for item in result.gate
        ),
        figures={name: value for name, value in result.figures.items() if name.startswith(_KEPT_FIGURES)},
    )
    if (verdict.run_id, verdict.fingerprint) != (run_id, fingerprint):
        raise ContractError(
            f"{path}: belongs to run {verdict.run_id} and codebook {verdict.fingerprint}, "
            f"not to run {run_id} and codebook {fingerprint}; run the qa stage again"
        )
    return verdict


def require(verdict: Verdict, *, force: bool) -> bool:
    """Whether publishing needs the force that was given.

    Raises:
        GateFailed, GateUndecided: and no force was given.
    """
    if verdict.gate == PASSED:
        return False
    if force:
        return True
    reasons = "; ".join(f"{item.name}: {item.detail} ({_MARKS[item.met]})" for item in verdict.unmet)
    kind = GateFailed if verdict.gate == FAILED else GateUndecided
    raise kind(
        f"gate {verdict.gate} for run {verdict.run_id}: {reasons or 'no criteria'}; nothing was published, the last "
        "publication stands. The report shows why; synth-spark publish --force publishes all the same and records it"
    )
