"""The release gate: figures and thresholds in, a verdict with reasons out. [plain]

Both directions count: data that are too far from real subjects are of no use, and data that are closer to training
subjects than to holdout subjects tell about people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from scipy.stats import norm

from synth_spark.config import GateSettings
from synth_spark.qa_result import Criterion

_ZEROS = {
    "orphans": "events whose key is not in subjects",
    "duplicate_keys": "subjects that repeat a key",
    "order_violations": "stored events that are out of order in their history",
}
_LEANS = {"dcr_share": "distance to the closest record", "nndr_share": "neighbour-distance ratio"}
# attacks that every run can be put to, and those that need outliers, or histories of some length
_BY_MODEL = "membership.loss"
_ATTACKS = {"membership": True, "membership.outliers": False, _BY_MODEL: True, "profiling.synthetic": False}
_RISKS = ("singling_out_univariate", "singling_out", "linkability", "inference", "partial_history")
_HALVES = ("training", "holdout")
_UNATTACKED = (
    "too few training or holdout subjects to attack",
    "too few training or holdout subjects to attack, or the sequences that trained were removed",
)
_HOLDOUT = "without holdout subjects closeness to training cannot be judged; set split.holdout above 0"


def judge(
    figures: Mapping[str, float], settings: GateSettings, *, has_events: bool, has_key: bool, has_model: bool = True
) -> tuple[Criterion, ...]:
    """Every criterion that data of this shape can meet; publishing needs all of them.

    A figure that could not be computed leaves its criterion undecided: no evidence is no pass. Attacks on outliers and
    on parts of histories, and the risks, count where there are enough subjects for them.

    Args:
        has_model: the model that made the data is attacked, too.
    """
    tables = ["subjects", "events"] if has_events else ["subjects"]
    applies = {"orphans": has_events, "duplicate_keys": has_key, "order_violations": has_events}
    return (
        *(_rows(figures, table) for table in tables),
        *(_zero(figures, name, what) for name, what in _ZEROS.items() if applies[name]),
        _accuracy(figures, settings),
        _overfit(figures, settings),
        _identical(figures, settings),
        *(_lean(figures, settings, name, what) for name, what in _LEANS.items()),
        *_attacks(figures, settings, has_model=has_model),
        *_risks(figures, settings),
    )


def _rows(figures: Mapping[str, float], table: str) -> Criterion:
    written, planned = figures.get(f"rows.{table}"), figures.get(f"rows.{table}.planned")
    if written is None or planned is None:
        return _unknown(f"rows.{table}", "the rows were not counted")
    ok = written == planned
    reason = f"{written:,.0f} {table} written, {planned:,.0f} planned"
    return Criterion(f"rows.{table}", written, planned, ok, reason)


def _zero(figures: Mapping[str, float], name: str, what: str) -> Criterion:
    value = figures.get(name)
    if value is None:
        return _unknown(name, "not counted")
    return Criterion(name, value, 0.0, value == 0, f"{value:,.0f} {what}")


def _accuracy(figures: Mapping[str, float], settings: GateSettings) -> Criterion:
    value, ceiling = figures.get("accuracy.overall"), figures.get("accuracy.overall.ceiling")
    if value is None or ceiling is None:
        return _unknown("accuracy.overall", "accuracy could not be computed")
    limit = ceiling - settings.max_accuracy_gap
    reason = (
        f"overall accuracy {value:.4f}, at least {limit:.4f} needed "
        f"({settings.max_accuracy_gap:g} below the ceiling {ceiling:.4f})"
    )
    return Criterion("accuracy.overall", value, limit, value >= limit, reason)


def _overfit(figures: Mapping[str, float], settings: GateSettings) -> Criterion:
    names = ("accuracy_gap", "train_vs_holdout.overall", *(f"accuracy_{part}.overall.ceiling" for part in _HALVES))
    if any(name not in figures for name in names):
        return _unknown("accuracy_gap", _HOLDOUT)
    gap, halves, *ceilings = (figures[name] for name in names)
    nobody = _gap_of_nobody(figures, ceilings, halves)
    copy = max(1 - halves, nobody)  # training itself is 1 against training and this much less against holdout
    limit = nobody + settings.max_overfit * (copy - nobody)
    reason = (
        f"accuracy against training is {gap:.4f} above that against holdout, at most {limit:.4f} allowed "
        f"({settings.max_overfit:g} of the way from an independent sample's {nobody:.4f} to a copy's {copy:.4f})"
    )
    return Criterion("accuracy_gap", gap, limit, gap <= limit, reason)


def _gap_of_nobody(figures: Mapping[str, float], ceilings: Sequence[float], halves: float) -> float:
    """By how much anybody's sample is nearer to training than to a holdout that is smaller.

    Ceilings tell it, but too little where a small holdout leaves most cells empty: there training lies as far from the
    holdout as a sample of its size would, which counts by as much as the holdout is smaller.
    """
    sizes = [figures.get(f"subjects.{half}", 1.0) for half in _HALVES]
    smaller = max(0.0, 1 - sizes[1] / max(sizes[0], 1.0))
    return max(ceilings[0] - ceilings[1], smaller * (ceilings[0] - halves))


def _identical(figures: Mapping[str, float], settings: GateSettings) -> Criterion:
    p_value = figures.get("identical_share.p")
    if p_value is None:
        return _unknown("identical_share", _HOLDOUT)
    limit = float(norm.sf(settings.max_smoke_z))
    reason = (
        f"{figures['identical_share.only_training']:,.0f} different subjects occur in training and not in holdout, "
        f"{figures['identical_share.only_holdout']:,.0f} the other way round: p = {p_value:.4g}, at least "
        f"{limit:.4g} needed"
    )
    return Criterion("identical_share", p_value, limit, p_value >= limit, reason)


def _lean(figures: Mapping[str, float], settings: GateSettings, name: str, what: str) -> Criterion:
    value, error = figures.get(name), figures.get(f"{name}.standard_error")
    if value is None or error is None:
        return _unknown(name, _HOLDOUT)
    limit = 0.5 + settings.max_smoke_z * error
    reason = (
        f"by {what} {value:.4f} of synthetic subjects lean towards training, at most {limit:.4f} allowed "
        f"(one half and {settings.max_smoke_z:g} standard errors), p = {figures[f'{name}.p']:.4g}"
    )
    return Criterion(name, value, limit, value <= limit, reason, value - 1.96 * error, value + 1.96 * error)


def _attacks(figures: Mapping[str, float], settings: GateSettings, *, has_model: bool) -> Iterator[Criterion]:
    for attack, always in _ATTACKS.items():
        if f"{attack}.auc" in figures:
            area = settings.max_model_attack_auc if attack == _BY_MODEL else settings.max_attack_auc
            yield _bounded(figures, f"{attack}.auc", area)
            yield _bounded(figures, f"{attack}.true_positives", settings.max_true_positives)
        elif always and (has_model or attack != _BY_MODEL):
            yield _unknown(f"{attack}.auc", _UNATTACKED[attack == _BY_MODEL])


def _risks(figures: Mapping[str, float], settings: GateSettings) -> Iterator[Criterion]:
    for risk in _RISKS:
        if f"risk.{risk}" in figures:
            yield _bounded(figures, f"risk.{risk}", settings.max_risk)


def _bounded(figures: Mapping[str, float], name: str, limit: float) -> Criterion:
    """A figure whose interval must reach down to its limit."""
    value, low, high = figures[name], figures[f"{name}.low"], figures[f"{name}.high"]
    reason = f"{value:.4f} (95 %: {low:.4f} to {high:.4f}), surely above {limit:g} is not allowed"
    return Criterion(name, value, limit, low <= limit, reason, low, high)


def _unknown(name: str, reason: str) -> Criterion:
    return Criterion(name, None, None, False, reason)
