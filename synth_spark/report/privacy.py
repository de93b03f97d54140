"""The privacy chapter's tables, by risk: identity, membership, attributes. [plain]"""

from __future__ import annotations

from dataclasses import dataclass

from synth_spark.qa_result import QaResult
from synth_spark.report.charts import Table, percent

_RISK_HEADER = ("Attack", "Succeeds on training subjects", "On holdout subjects", "Excess risk (95 %)")
_IDENTITY = {
    "singling_out_univariate": "single out by one value",
    "singling_out": "single out by several values together",
    "linkability": "link two halves of a subject's columns",
    "partial_history": "link two halves of a history's events",
}
_ATTACKERS = {
    "membership": "who holds the data: all subjects",
    "membership.outliers": "who holds the data: outliers, a tenth of them",
    "profiling.synthetic": "who holds the data: by learned profiles of half a history",
    "membership.loss": "who holds the model",
}
_SMOKE = {"dcr_share": "distance to the closest record", "nndr_share": "neighbour-distance ratio"}


@dataclass(frozen=True)
class PrivacyTables:
    """Tables without rows are not shown."""

    smoke: Table
    identical: Table
    identity: Table
    profiling: Table
    membership: Table
    inference: Table
    disclosure: Table
    canaries: Table
    pool: str  # of profiling


def privacy_tables(result: QaResult) -> PrivacyTables:
    """All tables of the chapter."""
    return PrivacyTables(
        smoke=_smoke(result),
        identical=_identical(result),
        identity=_risks(result, _IDENTITY),
        profiling=_profiling(result),
        membership=_membership(result),
        inference=_risks(result, {"inference": "guess a value from all others"}),
        disclosure=_disclosure(result),
        canaries=_canaries(result),
        pool=f"{result.figures.get('profiling.pool', 0):,.0f}",
    )


def _smoke(result: QaResult) -> Table:
    figures = result.figures
    rows = [
        (
            f"{what}: lean towards training",
            percent(figures[name], 2),
            "50%",
            f"{figures[f'{name}.p']:.4f}",
        )
        for name, what in _SMOKE.items()
        if f"{name}.p" in figures
    ]
    if "identical_share.p" in figures:
        only = figures["identical_share.only_training"], figures["identical_share.only_holdout"]
        row = (
            "identical matches: different subjects in training only",
            f"{only[0]:,.0f}",
            f"{only[1]:,.0f} in holdout only",
        )
        rows.append((*row, f"{figures['identical_share.p']:.4f}"))
    return Table(("Smoke test", "Found", "Expected", "p-value"), tuple(rows))


def _identical(result: QaResult) -> Table:
    names = {
        "identical_share.training": "synthetic subjects that also occur in training",
        "identical_share.holdout": "synthetic subjects that also occur in holdout",
        "identical_share.control": "control: holdout subjects that also occur in training",
    }
    rows = [(text, percent(result.figures[name], 2)) for name, text in names.items() if name in result.figures]
    return Table(("Subjects equal in every value", "Share"), tuple(rows))


def _risks(result: QaResult, kinds: dict[str, str]) -> Table:
    figures = result.figures
    rows = [
        (
            f"{what} ({figures[f'risk.{kind}.attacks']:,.0f} attacks)",
            percent(figures[f"risk.{kind}.main"]),
            percent(figures[f"risk.{kind}.control"]),
            between(result, f"risk.{kind}", 3),
        )
        for kind, what in kinds.items()
        if f"risk.{kind}" in figures
    ]
    return Table(_RISK_HEADER, tuple(rows))


def _profiling(result: QaResult) -> Table:
    names = {"real": "real histories, as they are", "perturbed": "real histories, a third of the cells swapped"}
    rows = [
        (text, *(percent(result.figures[f"profiling.{name}.rank{rank}"]) for rank in (1, 10, 100)))
        for name, text in names.items()
        if f"profiling.{name}.rank1" in result.figures
    ]
    return Table(("Released", "Found first", "Among 10", "Among 100"), tuple(rows))


def _membership(result: QaResult) -> Table:
    rows = [
        (
            f"{name} ({result.figures[f'{prefix}.candidates']:,.0f} of each)",
            between(result, f"{prefix}.auc", 3),
            between(result, f"{prefix}.true_positives", 4),
        )
        for prefix, name in _ATTACKERS.items()
        if f"{prefix}.auc" in result.figures
    ]
    return Table(("Attacker", "AUC (95 %)", "Members found at 1 % false alarms (95 %)"), tuple(rows))


def _disclosure(result: QaResult) -> Table:
    names = {
        "real": "real data: with the subject's own record less without it",
        "synthetic": "synthetic data: training subjects less holdout subjects",
    }
    rows = [
        (text, between(result, f"attribute_disclosure.{name}", 3))
        for name, text in names.items()
        if f"attribute_disclosure.{name}" in result.figures
    ]
    return Table(("Guessing secrets from", "More right guesses (95 %)"), tuple(rows))


def _canaries(result: QaResult) -> Table:
    figures = result.figures
    if "canaries.count" not in figures:
        return Table((), ())
    rows = (
        ("planted secrets", f"{figures['canaries.count']:,.0f}"),
        ("exposure on average, in bits", f"{figures['canaries.exposure']:.2f}"),
        ("where nothing is learned by heart", f"{figures['canaries.exposure.expected']:.2f}"),
        ("of the best known secret", f"{figures['canaries.exposure.max']:.2f}"),
        ("planted against others: AUC (95 %)", between(result, "canaries.auc", 3)),
    )
    return Table(("Canaries", "Found"), rows)


def between(result: QaResult, name: str, digits: int) -> str:
    """A figure with its interval."""
    value, low, high = (result.figures[name + suffix] for suffix in ("", ".low", ".high"))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
