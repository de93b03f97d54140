"""Tables of rules, and of what protection costs at the edges of the data. [plain]"""

from __future__ import annotations

from synth_spark.qa_result import QaResult, Rule
from synth_spark.report.charts import Table, percent
from synth_spark.report.pairs import readable

MAX_RULES = 50  # rows that a reader may still look through


def rules_table(result: QaResult) -> Table:
    """Rules that synthetic data follow least, held against holdout data, first; no rows without rules."""
    rows = [
        (
            _text(rule),
            percent(rule.training, 2),
            percent(rule.holdout, 2),
            percent(rule.synthetic, 2),
            f"{rule.support:,}",
        )
        for rule in sorted(result.rules, key=_shortfall)[:MAX_RULES]
    ]
    return Table(("Rule", "Training", "Holdout (control)", "Synthetic", "Training rows"), tuple(rows))


def _shortfall(rule: Rule) -> tuple[float, str, tuple[str, ...]]:
    control = rule.training if rule.holdout is None else rule.holdout
    return (1.0 if rule.synthetic is None else rule.synthetic - control, rule.kind, rule.columns)


def _text(rule: Rule) -> str:
    names = [readable(label) for label in rule.columns]
    if rule.kind == "dependencies":
        return f"{names[0]} determines {names[1]}"
    return f"{names[0]} \u2264 {names[1]}" if rule.kind == "orderings" else f"{names[0]}: no unknown step"


def edges_table(result: QaResult) -> Table:
    """Figures of tails and small groups that there are, beside what they would be at best."""
    figures = result.figures
    known = [
        ("Numbers above the real 99 % quantile", "tails.share", figures.get("tails.share.real")),
        ("Accuracy above that quantile", "tails.accuracy", figures.get("tails.accuracy.ceiling")),
        ("Size of small groups, of their real size", "small_groups.share", 1.0),
        ("Accuracy inside small groups", "small_groups.accuracy", figures.get("small_groups.accuracy.ceiling")),
    ]
    rows = [(text, percent(figures[name], 2), percent(best, 2)) for text, name, best in known if name in figures]
    return Table(("At the edges", "Synthetic", "At best"), tuple(rows))
