"""Two runs side by side on one page. [plain]"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from synth_spark.qa_result import Criterion, QaResult, Shown
from synth_spark.report.charts import BEHAVIOUR_NAMES, FAMILY_NAMES, Chart, Series, Table, dots, overlay_chart, percent
from synth_spark.report.html import render
from synth_spark.report.page import CRITERIA, headline, lineage_of, title_of
from synth_spark.report.pairs import readable
from synth_spark.report.style import INK, OTHER_RUN, QUIET, REAL, SYNTHETIC, axis, layout

FIRST, SECOND = "A", "B"
_MOST_COLUMNS = 40  # dots in the chart of columns; its table has all
_DASH = "\u2013"


@dataclass(frozen=True)
class Side:
    """One run."""

    result: QaResult
    settings: Mapping[str, str]  # dotted key -> value, without credentials
    software: Mapping[str, str]
    drawn_from: str | None = None  # see page.render_page

    @property
    def lineage(self) -> dict[str, str]:
        """As in its own report."""
        return lineage_of(self.result, self.software, self.drawn_from)


@dataclass(frozen=True)
class _Figure:
    """A figure of the table, what it is held against, and how both are told."""

    title: str
    name: str
    beside: str  # name of its ceiling or control; empty: there is none
    tell: Callable[[float], str]


def _decimals(value: float) -> str:
    return f"{value:.4f}"


def _shares(value: float) -> str:
    return percent(value, 2)


def _count(value: float) -> str:
    return f"{value:,.0f}"


_FIGURES = (
    *(
        _Figure(f"accuracy: {name.lower()}", f"accuracy.{family}", f"accuracy.{family}.ceiling", _shares)
        for family, name in FAMILY_NAMES.items()
    ),
    *(
        _Figure(f"behaviour: {name.lower()}", f"behaviour.{family}", f"behaviour.{family}.ceiling", _shares)
        for family, name in BEHAVIOUR_NAMES.items()
    ),
    _Figure("largest values", "tails.accuracy", "tails.accuracy.ceiling", _shares),
    _Figure("small groups", "small_groups.accuracy", "small_groups.accuracy.ceiling", _shares),
    _Figure("training over holdout", "accuracy_gap", "", _decimals),
    _Figure("association, mean difference", "association.difference", "association.difference.control", _decimals),
    _Figure("classifier on rows (AUC)", "auc_event", "auc_event.control", _decimals),
    _Figure("classifier on subjects (AUC)", "auc_subject", "auc_subject.control", _decimals),
    _Figure("usefulness (AUC of the best model)", "usefulness.synthetic", "usefulness.real", _decimals),
    _Figure("closer to training", "dcr_share", "dcr_share.control", _shares),
    _Figure("identical with training", "identical_share.training", "identical_share.control", _shares),
    _Figure("membership attack by the data (AUC)", "membership.auc", "", _decimals),
    _Figure("membership attack by the model (AUC)", "membership.loss.auc", "", _decimals),
    _Figure("synthetic subjects", "rows.subjects", "", _count),
    _Figure("synthetic events", "rows.events", "", _count),
)


def render_comparison(first: Side, second: Side) -> str:
    """The page as HTML. Columns are matched by their labels; what only one run has, or shows otherwise, is told."""
    one, other = first.result, second.result
    found = [_families_chart(one, other), _columns_chart(one, other)]
    overlays, unlike = _overlays(one, other)
    charts = {chart.id: chart for chart in (*found, *overlays) if chart is not None}
    return render(
        "comparison.html",
        charts,
        names=(FIRST, SECOND),
        sides=(first, second),
        headlines=(headline(one), headline(other)),
        warnings=_warnings(one, other),
        figures=_figures(one, other),
        criteria=_criteria(one, other),
        overlays=overlays,
        unlike=unlike,
        settings=differing(first.settings, second.settings, "Setting"),
        lineage=_beside(first.lineage, second.lineage, "What"),
    )


def _warnings(one: QaResult, other: QaResult) -> list[str]:
    found = []
    if one.name != other.name:
        found.append(
            f"These are runs of different data sets, {one.name} and {other.name}: their ceilings differ, and figures "
            "compare only with their own ceiling."
        )
    elif _digests(one) != _digests(other):
        found.append("The source changed between these runs: their real data are not the same.")
    only = [_univariate(one).keys() - _univariate(other).keys(), _univariate(other).keys() - _univariate(one).keys()]
    for name, labels in zip((FIRST, SECOND), only, strict=True):
        if labels:
            found.append(f"Only {name} has: {', '.join(sorted(map(readable, labels)))}.")
    return found


def _digests(result: QaResult) -> dict[str, str]:
    return {key: value for key, value in result.lineage.items() if key.startswith("digest of source")}


def _univariate(result: QaResult) -> dict[str, tuple[float, float]]:
    """Accuracy and ceiling by column."""
    return {item.columns[0]: (item.accuracy, item.ceiling) for item in result.items if item.family == "univariate"}


def _figures(one: QaResult, other: QaResult) -> Table:
    rows = []
    for figure in _FIGURES:
        values = [result.figures.get(figure.name) for result in (one, other)]
        if values == [None, None]:
            continue
        besides = [result.figures.get(figure.beside) for result in (one, other)]
        cells = [_told(value, figure) for pair in zip(values, besides, strict=True) for value in pair]
        rows.append((figure.title, *cells, _change(values, figure)))
    return Table(("Figure", FIRST, "ceiling", SECOND, "ceiling", "B \u2212 A"), tuple(rows))


def _told(value: float | None, figure: _Figure) -> str:
    return _DASH if value is None else figure.tell(value)


def _change(values: list[float | None], figure: _Figure) -> str:
    first, second = values
    if first is None or second is None:
        return _DASH
    text = figure.tell(second - first)
    return text if text.startswith("-") else f"+{text}"


def _criteria(one: QaResult, other: QaResult) -> list[tuple[str, list[Criterion | None]]]:
    """Title, and the criterion as each run met it; None where a run was not asked."""
    sides = [{item.name: item for item in result.gate} for result in (one, other)]
    names = dict.fromkeys(name for side in sides for name in side)
    return [(CRITERIA.get(name, name), [side.get(name) for side in sides]) for name in names]


def _families_chart(one: QaResult, other: QaResult) -> Chart:
    """Accuracy and behaviour of both, each beside its own ceiling."""
    named = [(figure.title, figure) for figure in _FIGURES if figure.beside.endswith(".ceiling")]
    shared = [(title, f) for title, f in named if f.name in one.figures and f.name in other.figures]
    names = [title for title, _ in shared]
    points = [(result.figures[f.name], result.figures[f.beside]) for result in (one, other) for _, f in shared]
    first, second = points[: len(shared)], points[len(shared) :]
    return _dots_chart("families", "Accuracy and behaviour", "", names, first, second)


def _columns_chart(one: QaResult, other: QaResult) -> Chart | None:
    """Accuracy of each column that both runs have, the largest difference first; None without such columns."""
    ours, theirs = _univariate(one), _univariate(other)
    labels = sorted((label for label in ours if label in theirs), key=lambda x: -abs(ours[x][0] - theirs[x][0]))
    if not labels:
        return None
    note = "The largest difference stands first."
    if len(labels) > _MOST_COLUMNS:
        note += f" The chart has {_MOST_COLUMNS} of {len(labels)} columns, the table all."
    names = [readable(label) for label in labels]
    first, second = [ours[label] for label in labels], [theirs[label] for label in labels]
    return _dots_chart("columns", "Single columns", note, names, first, second)


def _dots_chart(
    chart_id: str,
    title: str,
    note: str,
    names: list[str],
    first: list[tuple[float, float]],
    second: list[tuple[float, float]],
) -> Chart:
    """Both runs by name: (accuracy, ceiling) of each."""
    rows = tuple(
        (name, percent(a, 2), percent(c, 2), percent(b, 2), percent(d, 2), f"{b - a:+.2%}")
        for name, (a, c), (b, d) in zip(names, first, second, strict=True)
    )
    shown = names[:_MOST_COLUMNS]
    values = [[part[place] for part in side[: len(shown)]] for side in (first, second) for place in (0, 1)]
    data = [
        dots(shown, values[1], "ceiling of A", INK, "line-ns-open", 20),
        dots(shown, values[3], "ceiling of B", QUIET, "line-ns-open", 13),
        dots(shown, values[0], "A", SYNTHETIC, "circle", 13),
        dots(shown, values[2], "B", OTHER_RUN, "diamond-open", 13),
    ]
    figure = {
        "data": data,
        "layout": layout(
            140 + 34 * len(shown),
            xaxis=axis(tickformat=".1%", nticks=5),
            yaxis=axis(autorange="reversed", gridcolor="rgba(0,0,0,0)", type="category"),
        ),
    }
    header = ("", FIRST, "ceiling", SECOND, "ceiling", "B \u2212 A")
    return Chart(chart_id, title, note, figure, Table(header, rows))


def _overlays(one: QaResult, other: QaResult) -> tuple[list[Chart], list[str]]:
    """A chart of each column that both show on the same axis, and the names of columns whose axes differ."""
    theirs = {shown.columns: shown for shown in other.shown}
    charts, unlike = [], []
    for number, shown in enumerate(one.shown):
        match = theirs.get(shown.columns)
        if len(shown.columns) != 1 or not shown.axes[0] or match is None:
            continue
        if match.axes == shown.axes:
            charts.append(_overlay(number, shown, match))
        else:
            unlike.append(title_of(shown))
    return charts, unlike


def _overlay(number: int, shown: Shown, match: Shown) -> Chart:
    series = (
        Series("real", shown.real, REAL, ""),
        Series(FIRST, shown.synthetic, SYNTHETIC, "/"),
        Series(SECOND, match.synthetic, OTHER_RUN, "x"),
    )
    apart = [abs(a - b) for a, b in zip(shown.real, match.real, strict=True) if a is not None and b is not None]
    note = "" if max(apart, default=0.0) == 0 else f"Real shares are those of A; B's differ by up to {max(apart):.2%}."
    return overlay_chart(f"overlay-{number}", title_of(shown), note, shown.axes[0], series)


def differing(first: Mapping[str, str], second: Mapping[str, str], what: str) -> Table:
    """What is not the same on both sides, with both values."""
    table = _beside(first, second, what)
    return Table(table.header, tuple(row for row in table.rows if row[1] != row[2]))


def _beside(first: Mapping[str, str], second: Mapping[str, str], what: str) -> Table:
    keys = dict.fromkeys([*first, *second])
    return Table((what, FIRST, SECOND), tuple((key, first.get(key, _DASH), second.get(key, _DASH)) for key in keys))
