"""A QaResult as one self-contained HTML page: no network, no other file. [plain]"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from synth_spark.model.explain import Explanation
from synth_spark.qa_result import QaResult, Shown
from synth_spark.report.charts import (
    Chart,
    Table,
    accuracy_chart,
    behaviour_chart,
    column_chart,
    dcr_chart,
    percent,
    risk_chart,
    training_chart,
    usefulness_chart,
)
from synth_spark.report.pairs import pair_chart, pair_details, readable
from synth_spark.report.style import DENSITY, DIFFERENCE

_TIME_TITLES = {
    "gap": "Time to the next event",
    "tgt::Sequence Length": "Events per subject",
    "trait::weekday": "Weekday of an event",
    "trait::hour": "Hour of an event",
    "trait::age": "Age of the history at an event",
    "trait::span": "From the first to the last event",
    "trait::recency": "From the last event to the end of the data",
}
_COMPARISONS = {
    "accuracy": "training and holdout together (the figure that counts)",
    "accuracy_training": "training alone",
    "accuracy_holdout": "holdout alone",
    "train_vs_holdout": "the two real halves against each other",
}
_CRITERIA = {
    "rows.subjects": "All planned subjects are there",
    "rows.events": "All planned events are there",
    "orphans": "Every event belongs to a subject",
    "duplicate_keys": "No key occurs twice",
    "order_violations": "Histories are in order",
    "accuracy.overall": "Accurate enough",
    "dcr_share": "No closer to training than to holdout",
}


def render_page(
    result: QaResult,
    *,
    history: Sequence[dict[str, Any]] = (),
    explanation: Explanation | None = None,
    versions: dict[str, str] | None = None,
) -> str:
    """The page as HTML.

    Args:
        history: one mapping per epoch with epoch, train.loss, validation.loss, seconds.
        explanation: of the model, per sub-column.
        versions: package -> version, for the lineage.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    charts = _charts(result, history)
    return environment.get_template("report.html").render(
        result=result,
        has_events="rows.events" in result.figures,
        headline=_headline(result),
        tiles=_tiles(result),
        criteria=[(_CRITERIA.get(item.name, item.name), item) for item in result.gate],
        charts=charts,
        columns=[chart for chart in charts.values() if chart.id.startswith("column-") and not _is_time(chart, result)],
        times=[chart for chart in charts.values() if chart.id.startswith("column-") and _is_time(chart, result)],
        comparisons=_comparisons(result),
        persistence=_persistence(result),
        telling=_telling(result),
        membership=_membership(result),
        attributes_risk=percent(result.figures.get("source_risk.attributes")),
        usefulness=_usefulness(result),
        identical=_identical(result),
        protection=_protection(result),
        learned=_learned(explanation),
        lineage=_lineage(result, versions or {}),
        auc=_auc(result),
        data=_data(charts, result),
        plotly=get_plotlyjs(),
        style=_template("report.css"),
        script=_template("report.js"),
    )


def _template(name: str) -> str:
    return resources.files("synth_spark.report").joinpath("templates", name).read_text(encoding="utf-8")


def _charts(result: QaResult, history: Sequence[dict[str, Any]]) -> dict[str, Chart]:
    found: list[Chart | None] = [accuracy_chart(result), behaviour_chart(result), dcr_chart(result)]
    found += [usefulness_chart(result), risk_chart(result), training_chart(history), pair_chart(result)]
    found += [
        column_chart(number, shown, _title(shown), _column_note(result, shown))
        for number, shown in enumerate(result.shown)
        if len(shown.columns) == 1 and shown.axes[0]
    ]
    return {chart.id: chart for chart in found if chart is not None}


def _title(shown: Shown) -> str:
    return _TIME_TITLES.get(shown.columns[0]) or readable(shown.columns[0])


def _is_time(chart: Chart, result: QaResult) -> bool:
    shown = result.shown[int(chart.id.split("-")[1])]
    return shown.columns[0] in _TIME_TITLES


def _column_note(result: QaResult, shown: Shown) -> str:
    score = next((item for item in result.items if item.columns == shown.columns), None)
    parts = [f"accuracy {percent(score.accuracy, 2)} of {percent(score.ceiling, 2)}"] if score else []
    if shown.hidden:
        parts.append(f"{shown.hidden} small {'class' if shown.hidden == 1 else 'classes'} not shown")
    return ", ".join(parts)


def _headline(result: QaResult) -> str:
    if result.passed:
        return "These synthetic data pass every criterion of the release gate."
    failed = sum(not item.ok for item in result.gate)
    return f"{failed} of {len(result.gate)} criteria of the release gate {'is' if failed == 1 else 'are'} not met."


def _tiles(result: QaResult) -> list[tuple[str, str, str]]:
    figures = result.figures
    tiles = [
        (
            "Accuracy",
            percent(figures.get("accuracy.overall")),
            f"of {percent(figures.get('accuracy.overall.ceiling'))} possible",
        ),
        ("Subjects", f"{figures.get('rows.subjects', 0):,.0f}", _events(figures)),
    ]
    if "order_violations" in figures:
        tiles.append(("Out of order", f"{figures['order_violations']:,.0f}", "events not in their place"))
    if "auc_event" in figures:
        tiles.append(("Discriminator", f"{figures['auc_event']:.3f}", "0.5: cannot tell real from synthetic"))
    if "dcr_share" in figures:
        tiles.append(("Closer to training", percent(figures["dcr_share"]), "50 %: as close to people it never saw"))
    return tiles


def _events(figures: dict[str, float]) -> str:
    return f"{figures['rows.events']:,.0f} events" if "rows.events" in figures else "one row each"


def _comparisons(result: QaResult) -> Table:
    figures = result.figures
    rows = [
        (text, percent(figures[f"{name}.overall"], 2), percent(figures[f"{name}.overall.ceiling"], 2))
        for name, text in _COMPARISONS.items()
        if f"{name}.overall" in figures
    ]
    return Table(("Compared with", "Overall accuracy", "Ceiling"), tuple(rows))


def _persistence(result: QaResult) -> Table | None:
    lags = [name for name in result.figures if name.startswith("persistence.lag") and not name.endswith(".control")]
    if not lags:
        return None
    rows = [
        (
            f"{name.removeprefix('persistence.lag')} events later",
            f"{result.figures[name]:.4f}",
            f"{result.figures[name + '.control']:.4f}",
        )
        for name in sorted(lags)
    ]
    return Table(("Difference of persistence", "Synthetic against real", "Training against holdout"), tuple(rows))


def _identical(result: QaResult) -> Table:
    names = {
        "identical_share.training": "synthetic subjects that also occur in training",
        "identical_share.holdout": "synthetic subjects that also occur in holdout",
        "identical_share.control": "control: holdout subjects that also occur in training",
    }
    rows = [(text, percent(result.figures[name], 2)) for name, text in names.items() if name in result.figures]
    return Table(("Subjects equal in every value", "Share"), tuple(rows))


def _auc(result: QaResult) -> Table | None:
    figures = result.figures
    if "auc_event" not in figures:
        return None
    kinds = {"auc_event": "events" if "rows.events" in figures else "rows", "auc_subject": "subjects"}
    rows = [
        (f"{kind}: training against {other}", f"{figures[name + suffix]:.4f}")
        for name, kind in kinds.items()
        if name in figures
        for other, suffix in (("synthetic", ""), ("holdout (control)", ".control"))
    ]
    return Table(("Classifier told apart", "AUC"), tuple(rows))


def _telling(result: QaResult) -> Table:
    rows = [(readable(label), f"{lost:.4f}") for label, lost in result.telling]
    return Table(("What gives subjects away", "Area lost when shuffled"), tuple(rows))


def _membership(result: QaResult) -> Table:
    names = {"membership": "all subjects", "membership.outliers": "outliers, a tenth of them"}
    rows = [
        (name, _between(result, f"{prefix}.auc", 3), _between(result, f"{prefix}.true_positives", 4))
        for prefix, name in names.items()
        if f"{prefix}.auc" in result.figures
    ]
    return Table(("Attacked", "AUC (95 %)", "Members found at 1 % false alarms (95 %)"), tuple(rows))


def _between(result: QaResult, name: str, digits: int) -> str:
    value, low, high = (result.figures[name + suffix] for suffix in ("", ".low", ".high"))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _usefulness(result: QaResult) -> str:
    figures = result.figures
    if "usefulness.difference" not in figures:
        return ""
    return (
        f"The best model loses {-figures['usefulness.difference']:.4f} of its area when it learns from synthetic "
        f"subjects instead of real ones (95 %: {-figures['usefulness.difference.high']:.4f} to "
        f"{-figures['usefulness.difference.low']:.4f}). The order of the models agrees by "
        f"{figures['usefulness.rank_correlation']:.2f} (Spearman's rank correlation; 1: the same order)."
    )


def _protection(result: QaResult) -> Table:
    rows = [
        (field, action.replace("_", " "), f"{count:,}")
        for field, actions in result.protection.items()
        for action, count in sorted(actions.items())
        if count
    ]
    return Table(("Field", "What was done", "Count"), tuple(rows))


def _learned(explanation: Explanation | None) -> Table:
    columns = explanation.sub_columns if explanation else ()
    rows = [
        (
            f"{column.table}: {column.field}, code {column.part}",
            str(column.cardinality),
            f"{column.marginal_bits:.3f}",
            f"{column.model_bits:.3f}",
            f"{column.marginal_bits - column.model_bits:.3f}",
        )
        for column in columns
    ]
    return Table(("Code", "Values", "Bits by its marginal", "Bits by the model", "Learned"), tuple(rows))


def _lineage(result: QaResult, versions: dict[str, str]) -> Table:
    rows = [("run", result.run_id), *result.lineage.items(), *((f"version of {k}", v) for k, v in versions.items())]
    return Table(("What", "Value"), tuple(rows))


def _data(charts: dict[str, Chart], result: QaResult) -> str:
    """Figures and pairs for the script, safe inside a script element."""
    document = {
        "charts": {chart.id: chart.figure for chart in charts.values()},
        "pairs": pair_details(result),
        "scales": {"density": DENSITY, "difference": DIFFERENCE},
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
