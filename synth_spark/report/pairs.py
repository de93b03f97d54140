"""The pair map: how far each pair of columns is below its ceiling, and the pairs themselves. [plain]"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synth_spark.qa_result import ItemScore, QaResult
from synth_spark.report.charts import Chart, Table, percent
from synth_spark.report.style import GOOD_TO_BAD, axis, layout

MAX_MAP_COLUMNS = 60
MAX_NUMBERED_COLUMNS = 14  # beyond, cells are too small for their number


def readable(label: str) -> str:
    """tgt::amount -> amount; the next event and the subject's attributes keep their role."""
    part, _, name = label.partition("::")
    if label == "tgt::Sequence Length":
        return "events per subject"
    return {"nxt": f"next {name}", "ctx": f"{name} (subject)"}.get(part, name or part)


def pair_chart(result: QaResult) -> Chart | None:
    """Heat map over columns: the diagonal is the single column, the last column its own next value."""
    scores = {item.columns: item for item in result.items if item.family in ("univariate", "bivariate", "successor")}
    rows = [item.columns[0] for item in result.items if item.family == "univariate"]
    contexts = sorted({label for columns in scores for label in columns if label.startswith("ctx::")})
    everything = rows + contexts
    names = _worst_first(everything, scores)[:MAX_MAP_COLUMNS]
    if len(names) < 2:
        return None
    with_next = any(item.family == "successor" for item in result.items)
    z = [[_shortfall(_find(scores, row, column)) for column in names] for row in names]
    keys = [[list(_key(scores, row, column)) for column in names] for row in names]
    ticks = [readable(name) for name in names]
    if with_next:
        for position, row in enumerate(names):
            successor = _find(scores, row, row.replace("tgt::", "nxt::"))
            z[position].append(_shortfall(successor))
            keys[position].append(list(successor.columns) if successor else [])
        ticks = [*ticks, "its next value"]
    largest = max([0.02, *(value for line in z for value in line if value is not None)])
    figure = {
        "data": [
            {
                "type": "heatmap",
                "x": ticks,
                "y": ticks[: len(names)],
                "z": z,
                "customdata": keys,
                "zmin": 0,
                "zmax": largest,
                "colorscale": GOOD_TO_BAD,
                "text": [["" if value is None else f"{value:.1%}" for value in line] for line in z],
                "texttemplate": "%{text}" if len(names) <= MAX_NUMBERED_COLUMNS else "",
                "xgap": 2,
                "ygap": 2,
                "colorbar": {"tickformat": ".1%", "thickness": 12, "title": {"text": "below ceiling", "side": "right"}},
                "hovertemplate": "%{y} \u00d7 %{x}: %{z:.2%} below its ceiling<extra></extra>",
            }
        ],
        "layout": layout(
            max(260, 90 + min(44, 900 // len(names)) * len(names)),
            xaxis=axis(side="top", gridcolor="rgba(0,0,0,0)", tickangle=-35, type="category"),
            yaxis=axis(autorange="reversed", gridcolor="rgba(0,0,0,0)", type="category"),
        ),
    }
    return Chart(
        "pairs",
        "How far below its ceiling each pair is",
        "Lighter is better; white is at the ceiling or above. Choose a cell to see the pair in both data."
        + _left_out(len(everything) - len(names), len(names)),
        figure,
        Table(("Columns", "Accuracy", "Ceiling", "Difference"), tuple(_rows(result.items, set(names)))),
    )


def _left_out(number: int, held: int) -> str:
    """Map and table hold the same columns: at 200 columns a table of all pairs would be most of the page."""
    return (
        f" Map and table hold the {held} columns with the least accurate pairs, {number} are left out."
        if number
        else ""
    )


def pair_details(result: QaResult) -> list[dict[str, Any]]:
    """What the page needs to draw a chosen pair."""
    scores = {item.columns: item for item in result.items}
    details = []
    for shown in result.shown:
        if len(shown.columns) != 2:
            continue
        item = scores.get(shown.columns)
        details.append(
            {
                "columns": list(shown.columns),
                "names": [readable(label) for label in shown.columns],
                "axes": [list(labels) for labels in shown.axes],
                "real": shown.real,
                "synthetic": shown.synthetic,
                "hidden": shown.hidden,
                "accuracy": item.accuracy if item else None,
                "ceiling": item.ceiling if item else None,
            }
        )
    return details


def _rows(items: Sequence[ItemScore], names: set[str]) -> list[tuple[str, ...]]:
    wanted = [
        item
        for item in items
        if (item.family == "bivariate" and names.issuperset(item.columns))
        or (item.family == "successor" and item.columns[0] in names)
    ]
    wanted.sort(key=lambda item: item.accuracy - item.ceiling)
    return [
        (
            " \u00d7 ".join(readable(label) for label in item.columns),
            percent(item.accuracy, 2),
            percent(item.ceiling, 2),
            f"{item.accuracy - item.ceiling:+.2%}",
        )
        for item in wanted
    ]


def _find(scores: dict[tuple[str, ...], ItemScore], row: str, column: str) -> ItemScore | None:
    if row == column:
        return scores.get((row,))
    return scores.get((row, column)) or scores.get((column, row))


def _key(scores: dict[tuple[str, ...], ItemScore], row: str, column: str) -> tuple[str, ...]:
    found = _find(scores, row, column)
    return found.columns if found else ()


def _shortfall(item: ItemScore | None) -> float | None:
    return None if item is None else round(max(0.0, item.ceiling - item.accuracy), 5)


def _worst_first(labels: Sequence[str], scores: dict[tuple[str, ...], ItemScore]) -> list[str]:
    """All labels in their order; only when there are too many for a map, those with the least accurate pairs."""
    if len(labels) <= MAX_MAP_COLUMNS:
        return list(labels)
    worst = dict.fromkeys(labels, 0.0)
    for columns, item in scores.items():
        for label in columns:
            if label in worst:
                worst[label] = max(worst[label], item.ceiling - item.accuracy)
    return sorted(labels, key=lambda label: -worst[label])
