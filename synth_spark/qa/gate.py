"""The release gate: figures and thresholds in, a verdict with reasons out. [plain]"""

from __future__ import annotations

from collections.abc import Mapping

from synth_spark.config import GateSettings
from synth_spark.qa_result import Criterion

_ZEROS = {
    "orphans": "events whose key is not in subjects",
    "duplicate_keys": "subjects that repeat a key",
    "order_violations": "stored events that are out of order in their history",
}


def judge(
    figures: Mapping[str, float], settings: GateSettings, *, has_events: bool, has_key: bool
) -> tuple[Criterion, ...]:
    """Every criterion that data of this shape can meet; publishing needs all of them.

    A figure that could not be computed fails its criterion: no evidence is no pass.
    """
    tables = ["subjects", "events"] if has_events else ["subjects"]
    applies = {"orphans": has_events, "duplicate_keys": has_key, "order_violations": has_events}
    return (
        *(_rows(figures, table) for table in tables),
        *(_zero(figures, name, what) for name, what in _ZEROS.items() if applies[name]),
        _accuracy(figures, settings),
        _dcr(figures, settings),
    )


def passed(criteria: tuple[Criterion, ...]) -> bool:
    """Whether all criteria are met."""
    return bool(criteria) and all(criterion.ok for criterion in criteria)


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


def _dcr(figures: Mapping[str, float], settings: GateSettings) -> Criterion:
    value, error = figures.get("dcr_share"), figures.get("dcr_share.standard_error")
    if value is None or error is None:
        return _unknown(
            "dcr_share", "without holdout subjects closeness to training cannot be judged; set split.holdout above 0"
        )
    limit = 0.5 + settings.max_dcr_z * error
    reason = (
        f"{value:.4f} of synthetic subjects lie closer to training than to holdout, at most {limit:.4f} allowed "
        f"(one half and {settings.max_dcr_z:g} standard errors)"
    )
    return Criterion("dcr_share", value, limit, value <= limit, reason)


def _unknown(name: str, reason: str) -> Criterion:
    return Criterion(name, None, None, False, reason)
