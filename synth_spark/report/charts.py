"""Charts as plotly figures in plain dictionaries, each with the table that stands behind it. [plain]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth_spark.qa_result import QaResult, Shown
from synth_spark.report.style import GRID, INK, QUIET, REAL, SYNTHETIC, axis, layout

FAMILY_NAMES = {
    "overall": "Overall",
    "univariate": "Single columns",
    "bivariate": "Pairs of columns",
    "trivariate": "Triples of columns",
    "coherence": "Coherence over time",
}
BEHAVIOUR_NAMES = {
    "overall": "Overall",
    "rhythm": "Weekday and hour",
    "gaps": "Gaps between events",
    "lifetime": "Length, span, recency",
    "boundaries": "First and last events",
    "totals": "Totals per subject",
    "lags": "Values 2, 4, 8 events later",
    "ngrams": "Three events in a row",
    "cohorts": "Activity by start and age",
    "dependence": "Histories by attribute",
}
MODEL_NAMES = {
    "logistic_regression": "Logistic regression",
    "naive_bayes": "Naive Bayes",
    "nearest_neighbours": "Nearest neighbours",
    "random_forest": "Random forest",
    "gradient_boosting": "Gradient boosting",
}


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chart:
    """A figure, what it shows in words, and its table."""

    id: str
    title: str
    note: str
    figure: dict[str, Any]
    table: Table


@dataclass(frozen=True)
class Series:
    """Shares per class of one data set, and how its bars look."""

    name: str
    values: list[Any]
    color: str
    pattern: str  # of plotly; empty: plain


def percent(share: float | None, digits: int = 1) -> str:
    """A share as text; a dash if there is none."""
    return "\u2013" if share is None else f"{share:.{digits}%}"


def accuracy_chart(result: QaResult) -> Chart:
    """The families: accuracy, its ceiling, and what independent columns would reach."""
    note = (
        "100 % means equal distributions. The ceiling is what another sample of the same real population would reach."
    )
    families = [family for family in FAMILY_NAMES if f"accuracy.{family}" in result.figures]
    plain = [result.figures.get(f"accuracy_independent.{family}") for family in families]
    return _families_chart(result, "accuracy", "Accuracy beside its ceiling", note, FAMILY_NAMES, plain)


def behaviour_chart(result: QaResult) -> Chart | None:
    """The families of behaviour.py; None without histories."""
    if "behaviour.overall" not in result.figures:
        return None
    note = "Whole histories by subject, measured like columns: equal shares in equal classes are 100 %."
    return _families_chart(result, "behaviour", "Behaviour beside its ceiling", note, BEHAVIOUR_NAMES, None)


def usefulness_chart(result: QaResult) -> Chart | None:
    """AUC on real holdout subjects by model, trained on real and on synthetic subjects; None if nothing was asked."""
    found = [name for name in MODEL_NAMES if f"usefulness.{name}.real" in result.figures]
    if not found:
        return None
    names = [MODEL_NAMES[name] for name in found]
    real, synthetic = (
        [result.figures[f"usefulness.{name}.{kind}"] for name in found] for kind in ("real", "synthetic")
    )
    figure = {
        "data": [
            dots(names, real, "trained on real subjects", REAL, "diamond", 15),
            dots(names, synthetic, "trained on synthetic subjects", SYNTHETIC, "circle", 15),
        ],
        "layout": layout(
            70 + 52 * len(names),
            xaxis=axis(tickformat=".2f", range=[min([0.5, *real, *synthetic]) - 0.02, 1.0]),
            yaxis=axis(autorange="reversed", gridcolor="rgba(0,0,0,0)"),
        ),
    }
    rows = [(n, f"{r:.4f}", f"{s:.4f}", f"{s - r:+.4f}") for n, r, s in zip(names, real, synthetic, strict=True)]
    return Chart(
        "usefulness",
        "Models on real subjects that none of them saw",
        "Area under the ROC curve: .5 is guessing. Both kinds learn from as many subjects.",
        figure,
        Table(("Model", "Trained on real", "Trained on synthetic", "Difference"), tuple(rows)),
    )


def _families_chart(
    result: QaResult,
    prefix: str,
    title: str,
    note: str,
    family_names: Mapping[str, str],
    plain: list[float | None] | None,
) -> Chart:
    families = [family for family in family_names if f"{prefix}.{family}" in result.figures]
    names = [family_names[family] for family in families]
    accuracy = [result.figures[f"{prefix}.{family}"] for family in families]
    ceiling = [result.figures[f"{prefix}.{family}.ceiling"] for family in families]
    traces = [
        dots(names, accuracy, "these synthetic data", SYNTHETIC, "circle", 15),
        dots(names, ceiling, "ceiling: a second real sample", INK, "line-ns-open", 22),
    ]
    rows: list[tuple[str, ...]] = [
        (n, percent(a, 2), percent(c, 2), f"{a - c:+.2%}") for n, a, c in zip(names, accuracy, ceiling, strict=True)
    ]
    header = ["Family", "Accuracy", "Ceiling", "Difference"]
    if plain is not None:
        traces.insert(0, dots(names, plain, "columns without any relation", QUIET, "circle-open", 10))
        rows = [(*row, percent(p, 2)) for row, p in zip(rows, plain, strict=True)]
        header.append("Columns without any relation")
    least = min([0.85, *(value for value in [*accuracy, *(plain or [])] if value)])
    figure = {
        "data": traces,
        "layout": layout(
            70 + 52 * len(families),
            xaxis=axis(tickformat=".0%", range=[least - 0.02, 1.015]),
            yaxis=axis(autorange="reversed", gridcolor="rgba(0,0,0,0)"),
        ),
    }
    return Chart(prefix, title, note, figure, Table(tuple(header), tuple(rows)))


def dots(
    names: Sequence[str], values: Sequence[float | None], name: str, color: str, symbol: str, size: int
) -> dict[str, Any]:
    """Points in a column of names; nothing is told by colour alone."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(values),
        "y": list(names),
        "name": name,
        "marker": {"color": color, "symbol": symbol, "size": size, "line": {"width": 2.5, "color": color}},
        "hovertemplate": "%{y}: %{x:.2%}<extra>" + name + "</extra>",
    }


def column_chart(number: int, shown: Shown, title: str, note: str) -> Chart:
    """One column: share of real and of synthetic subjects per class."""
    series = (Series("real", shown.real, REAL, ""), Series("synthetic", shown.synthetic, SYNTHETIC, "/"))
    return overlay_chart(f"column-{number}", title, note, shown.axes[0], series)


def overlay_chart(chart_id: str, title: str, note: str, labels: Sequence[str], series: Sequence[Series]) -> Chart:
    """Shares per class side by side, one bar of each series."""
    data = [
        {
            "type": "bar",
            "x": list(labels),
            "y": one.values,
            "name": one.name,
            "marker": {
                "color": one.color,
                "pattern": {
                    "shape": one.pattern,
                    "fillmode": "overlay",
                    "fgcolor": "#ffffff",
                    "size": 6,
                    "solidity": 0.18,
                },
            },
            "hovertemplate": "%{x}: %{y:.2%}<extra>" + one.name + "</extra>",
        }
        for one in series
    ]
    figure = {
        "data": data,
        "layout": layout(
            260,
            barmode="group",
            bargap=0.25,
            bargroupgap=0.0,
            xaxis=axis(type="category", tickangle=-40 if len(labels) > 6 else 0, gridcolor="rgba(0,0,0,0)"),
            yaxis=axis(tickformat=".0%", rangemode="tozero", nticks=5),
            hovermode="x unified",
        ),
    }
    rows = tuple(
        (label, *(percent(share, 2) for share in shares))
        for label, *shares in zip(labels, *(one.values for one in series), strict=True)
    )
    return Chart(chart_id, title, note, figure, Table(("Class", *(one.name.capitalize() for one in series)), rows))


def dcr_chart(result: QaResult) -> Chart | None:
    """DCR share of the synthetic subjects and of the control, with three standard errors."""
    figures = result.figures
    points = [
        (label, figures[name], figures[f"{name}.standard_error"])
        for label, name in (("synthetic subjects", "dcr_share"), ("control: real holdout", "dcr_share.control"))
        if name in figures
    ]
    if not points:
        return None
    names = [point[0] for point in points]
    figure = {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [point[1] for point in points],
                "y": names,
                "marker": {"size": 14, "color": [SYNTHETIC, REAL], "symbol": ["circle", "diamond"]},
                "error_x": {
                    "type": "data",
                    "array": [3 * point[2] for point in points],
                    "color": INK,
                    "thickness": 1.5,
                },
                "hovertemplate": "%{y}: %{x:.2%}<extra></extra>",
            }
        ],
        "layout": layout(
            150,
            showlegend=False,
            xaxis=axis(
                tickformat=".0%",
                range=[min(0.4, *(p[1] - 0.05 for p in points)), max(0.6, *(p[1] + 0.05 for p in points))],
            ),
            yaxis=axis(gridcolor="rgba(0,0,0,0)", range=[len(points) - 0.4, -0.6]),
            shapes=[
                {
                    "type": "line",
                    "x0": 0.5,
                    "x1": 0.5,
                    "yref": "paper",
                    "y0": 0,
                    "y1": 1,
                    "line": {"color": INK, "dash": "dot"},
                }
            ],
        ),
    }
    rows = tuple((name, percent(share, 2), f"\u00b1 {percent(error, 2)}") for name, share, error in points)
    return Chart(
        "dcr",
        "Closer to training than to holdout",
        "Dotted line: one half, where data that copied nobody lie. Whiskers: three standard errors.",
        figure,
        Table(("Subjects", "Share closer to training", "Standard error"), rows),
    )


def risk_chart(result: QaResult) -> Chart | None:
    """Share of real subjects that so many known events single out; None without histories."""
    kinds = {
        "events": ("in every value", REAL, "solid", "circle"),
        "coarse": ("by day, one digit", QUIET, "dash", "square"),
    }
    found = {kind: _by_known(result, kind) for kind in kinds}
    if not found["events"]:
        return None
    known = [str(number) for number in range(1, 1 + len(found["events"]))]
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": known,
            "y": found[kind],
            "name": name,
            "line": {"color": color, "dash": dash, "width": 2},
            "marker": {"symbol": symbol, "size": 8},
            "hovertemplate": "%{x} known: %{y:.1%}<extra>" + name + "</extra>",
        }
        for kind, (name, color, dash, symbol) in kinds.items()
    ]
    figure = {
        "data": data,
        "layout": layout(
            280,
            xaxis=axis(title={"text": "events that somebody knows"}, type="category", gridcolor=GRID),
            yaxis=axis(tickformat=".0%", range=[-0.02, 1.05]),
        ),
    }
    rows = [(k, percent(a), percent(b)) for k, a, b in zip(known, found["events"], found["coarse"], strict=True)]
    return Chart(
        "risk",
        "Real subjects that a few events single out",
        "No other real subject has the same ones: why masking names does not protect histories.",
        figure,
        Table(("Known events", "In every value", "By day, one digit"), tuple(rows)),
    )


def _by_known(result: QaResult, kind: str) -> list[float]:
    names = (f"source_risk.{kind}.k{known}" for known in range(1, 100))
    return [result.figures[name] for name in names if name in result.figures]


def training_chart(history: Sequence[dict[str, Any]]) -> Chart | None:
    """Training and validation loss by epoch."""
    if not history:
        return None
    epochs = [line["epoch"] for line in history]
    curves = [
        ("training", "train.loss", QUIET, "dot", "circle-open"),
        ("validation", "validation.loss", REAL, "solid", "circle"),
    ]
    figure = {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": epochs,
                "y": [line.get(key) for line in history],
                "name": name,
                "line": {"color": color, "dash": dash, "width": 2},
                "marker": {"symbol": symbol, "size": 7},
                "hovertemplate": "epoch %{x}: %{y:.3f}<extra>" + name + "</extra>",
            }
            for name, key, color, dash, symbol in curves
        ],
        "layout": layout(
            280, xaxis=axis(title={"text": "epoch"}, gridcolor=GRID), yaxis=axis(title={"text": "nats per subject"})
        ),
    }
    rows = tuple(
        (
            str(line["epoch"]),
            f"{line.get('train.loss', float('nan')):.4f}",
            f"{line.get('validation.loss', float('nan')):.4f}",
            f"{line.get('seconds', 0):.0f}",
        )
        for line in history
    )
    return Chart(
        "training",
        "Loss by epoch",
        "Training stops when subjects that the model does not learn from stop gaining; the best epoch is kept.",
        figure,
        Table(("Epoch", "Training", "Validation", "Seconds"), rows),
    )
