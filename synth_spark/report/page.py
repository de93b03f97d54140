"""A QaResult as one self-contained HTML page: no network, no other file. [plain]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synth_spark.model.explain import Explanation
from synth_spark.qa_result import FAILED, NOT_MET, UNDECIDED, QaResult, Shown
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
from synth_spark.report.correlations import correlations
from synth_spark.report.glance import protected_line, weakest
from synth_spark.report.html import render
from synth_spark.report.limits import limits, samples
from synth_spark.report.pairs import pair_chart, pair_details, readable
from synth_spark.report.privacy import privacy_tables
from synth_spark.report.rules import edges_table, rules_table

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
CRITERIA = {
    "rows.subjects": "All planned subjects are there",
    "rows.events": "All planned events are there",
    "orphans": "Every event belongs to a subject",
    "duplicate_keys": "No key occurs twice",
    "order_violations": "Histories are in order",
    "accuracy.overall": "Accurate enough",
    "accuracy_gap": "No more accurate on training than a half-way copy",
    "identical_share": "No more identical matches with training than with holdout",
    "dcr_share": "No closer to training than to holdout",
    "nndr_share": "No closer to lone training subjects than to lone holdout subjects",
    "membership.auc": "The data do not tell who trained",
    "membership.true_positives": "The data name no members",
    "membership.outliers.auc": "The data do not tell which outliers trained",
    "membership.outliers.true_positives": "The data name no outliers as members",
    "membership.loss.auc": "The model hardly tells who trained",
    "membership.loss.true_positives": "The model names no members",
    "profiling.synthetic.auc": "Profiles of half a history do not tell who trained",
    "profiling.synthetic.true_positives": "Profiles of half a history name no members",
    "risk.singling_out_univariate": "One value singles nobody out",
    "risk.singling_out": "Several values single nobody out",
    "risk.linkability": "Two halves of a record do not lead to one person",
    "risk.inference": "Training subjects' values are no easier to guess",
    "risk.partial_history": "Two halves of a history do not lead to one person",
}


def render_page(
    result: QaResult,
    *,
    history: Sequence[dict[str, Any]] = (),
    explanation: Explanation | None = None,
    software: Mapping[str, str] | None = None,
    drawn_from: str | None = None,
    looks: int = 1,
) -> str:
    """The page as HTML: a model report, or a data report of one output.

    Args:
        history: one mapping per epoch with epoch, train.loss, validation.loss, seconds.
        explanation: of the model, per sub-column.
        software: package -> version, and the commit, for the lineage.
        drawn_from: for an output of a size that somebody asked for, the run that trained its model: a data report.
        looks: how often figures against this holdout had been made, these included.
    """
    chapter = correlations(result)
    maps = {chart.id: chart for chart in chapter.maps} if chapter else {}
    charts = _charts(result, history) | maps
    return render(
        "report.html",
        charts,
        pairs=pair_details(result),
        result=result,
        drawn_from=drawn_from,
        looks=looks,
        flavour=_flavour(result, drawn_from),
        has_events="rows.events" in result.figures,
        headline=headline(result),
        tiles=_tiles(result),
        weakest=weakest(result),
        protected_line=protected_line(result),
        criteria=[(CRITERIA.get(item.name, item.name), item) for item in result.gate],
        columns=[chart for chart in charts.values() if chart.id.startswith("column-") and not _is_time(chart, result)],
        times=[chart for chart in charts.values() if chart.id.startswith("column-") and _is_time(chart, result)],
        correlations=chapter,
        comparisons=_comparisons(result),
        persistence=_persistence(result),
        telling=_telling(result),
        privacy=privacy_tables(result),
        attributes_risk=percent(result.figures.get("source_risk.attributes")),
        usefulness=_usefulness(result),
        protection=_protection(result),
        edges=edges_table(result),
        rules=rules_table(result),
        learned=_learned(explanation),
        lineage=Table(("What", "Value"), tuple(lineage_of(result, software or {}, drawn_from).items())),
        auc=_auc(result),
        limits=limits(result),
        samples=samples(result),
    )


def _flavour(result: QaResult, drawn_from: str | None) -> str:
    subjects = f"{result.figures.get('rows.subjects', 0):,.0f} synthetic subjects"
    if drawn_from is None:
        return f"This report judges the model of this run by what it gives by default, {subjects}."
    whose = "this run's own model" if drawn_from == result.run_id else f"the model of run {drawn_from}"
    return f"This report judges one output: {subjects}, asked for by number and drawn from {whose}."


def _charts(result: QaResult, history: Sequence[dict[str, Any]]) -> dict[str, Chart]:
    found: list[Chart | None] = [accuracy_chart(result), behaviour_chart(result), dcr_chart(result)]
    found += [usefulness_chart(result), risk_chart(result), training_chart(history), pair_chart(result)]
    found += [
        column_chart(number, shown, title_of(shown), _column_note(result, shown))
        for number, shown in enumerate(result.shown)
        if len(shown.columns) == 1 and shown.axes[0]
    ]
    return {chart.id: chart for chart in found if chart is not None}


def title_of(shown: Shown) -> str:
    """What people call the column."""
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


def headline(result: QaResult) -> str:
    """The verdict of the gate in one sentence."""
    if result.passed:
        return "These synthetic data pass every criterion of the release gate."
    wanted = NOT_MET if result.verdict == FAILED else UNDECIDED
    count = sum(item.mark == wanted for item in result.gate)
    what = "not met" if wanted == NOT_MET else "not known: there is no evidence for it, and no evidence is no pass"
    return f"{count} of {len(result.gate)} criteria of the release gate {'is' if count == 1 else 'are'} {what}."


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
        halves = f"; two real halves {figures['auc_event.control']:.3f}" if "auc_event.control" in figures else ""
        tiles.append(("Discriminator", f"{figures['auc_event']:.3f}", f"0.5: cannot tell from real{halves}"))
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
            column.past_text,
        )
        for column in columns
    ]
    names = ("Code", "Values", "Bits by its marginal", "Bits by the model", "Learned", "Share of its past")
    return Table(names, tuple(rows))


def lineage_of(result: QaResult, software: Mapping[str, str], drawn_from: str | None) -> dict[str, str]:
    """Where the data come from: run, model, source and codebook, seeds, software."""
    versions = {f"version of {name}": value for name, value in software.items() if value}
    return {"run": result.run_id, "model trained by run": drawn_from or result.run_id, **result.lineage, **versions}
