"""What a busy person reads first: where the data are weakest, and what was protected. [plain]"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from synth_spark.qa_result import ItemScore, QaResult
from synth_spark.report.charts import BEHAVIOUR_NAMES, percent
from synth_spark.report.pairs import readable

_MOST = 2  # of each kind: one bad column must not fill the list with its pairs
_LEAST_SHORTFALL = 0.001  # less than a tenth of a per cent is nothing to look at
_KINDS = {
    "univariate": ("columns", "single column"),
    "bivariate": ("pairs", "pair of columns"),
    "successor": ("pairs", "from one event to the next"),
    **{family: ("behaviour", name.lower()) for family, name in BEHAVIOUR_NAMES.items() if family != "overall"},
}
_PROTECTIONS = {
    "rows_rare": ("rare values", "replaced"),
    "rows_missing_rare": ("rare gaps", "filled"),
    "rows_clipped": ("extreme values", "clipped"),
    "subjects_cut": ("long histories", "cut"),
}


@dataclass(frozen=True)
class Weak:
    """One histogram that is far below its ceiling, in words."""

    what: str
    kind: str
    found: str
    ceiling: str


def weakest(result: QaResult) -> list[Weak]:
    """The columns, pairs and histograms of behaviour that are farthest below their ceilings, the farthest first."""
    ranked = sorted(result.items, key=_shortfall, reverse=True)
    taken: dict[str, int] = {}
    chosen = []
    for item in ranked:
        if item.family not in _KINDS or _shortfall(item) < _LEAST_SHORTFALL:
            continue
        group, kind = _KINDS[item.family]
        taken[group] = taken.get(group, 0) + 1
        if taken[group] <= _MOST:
            what = " \u00d7 ".join(readable(label) for label in item.columns)
            chosen.append(Weak(what, kind, percent(item.accuracy), percent(item.ceiling)))
    return chosen


def _shortfall(item: ItemScore) -> float:
    return item.ceiling - item.accuracy


def protected_line(result: QaResult) -> str:
    """What protection replaced before anything was learned, in one sentence."""
    parts = [_counted(result.protection.values(), action, *words) for action, words in _PROTECTIONS.items()]
    found = [part for part in parts if part]
    if not found:
        return "Nothing had to be replaced: no value was rare or extreme."
    return f"Before anything was learned: {', '.join(found)}."


def _counted(fields: Iterable[dict[str, int]], action: str, what: str, done: str) -> str:
    counts = [actions[action] for actions in fields if actions.get(action)]
    if not counts:
        return ""
    in_fields = "" if action == "subjects_cut" else f" in {len(counts)} {'field' if len(counts) == 1 else 'fields'}"
    return f"{sum(counts):,} {what}{in_fields} {done}"
