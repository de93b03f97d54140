"""Associations of columns as three maps: real, synthetic, and the difference. [plain]"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from synth_spark.qa_result import Associations, QaResult
from synth_spark.report.charts import Chart, Table
from synth_spark.report.pairs import readable
from synth_spark.report.style import DIFFERENCE, axis, layout

_SIDE_BY_SIDE = 14  # columns up to which three maps fit beside one another
_NUMBERED = 6  # columns up to which a cell has room for its number
_LEAST_SCALE = 0.05  # differences below this stay pale, however small the largest is

Cell = tuple[float | None, float | None]  # real, synthetic


@dataclass(frozen=True)
class Correlations:
    """The chapter: three maps over the same columns, and one table for all of them."""

    note: str
    maps: tuple[Chart, ...]
    table: Table
    wide: bool  # too many columns for maps side by side


def correlations(result: QaResult) -> Correlations | None:
    """None where no pair of columns has an association."""
    found = result.associations
    pairs = list(combinations(range(len(found.columns)), 2))
    cells = dict(zip(pairs, zip(found.real, found.synthetic, strict=True), strict=True))
    rows = _rows(found, cells)
    if not rows:
        return None
    largest = max(abs(value) for value in map(difference, cells.values()) if value is not None)
    table = Table(("Columns", "Measure", "Real", "Synthetic", "Difference"), rows)
    maps = (
        _map("real", "Real", found, cells, lambda cell: cell[0], 1.0, table),
        _map("synthetic", "Synthetic", found, cells, lambda cell: cell[1], 1.0, table),
        _map("difference", "Synthetic minus real", found, cells, difference, max(_LEAST_SCALE, largest), table),
    )
    return Correlations(_note(result), maps, table, wide=len(found.columns) > _SIDE_BY_SIDE)


def difference(cell: Cell) -> float | None:
    """Synthetic minus real; None if one of them is unknown."""
    real, synthetic = cell
    return None if real is None or synthetic is None else round(synthetic - real, 4)


def _map(
    name: str,
    title: str,
    found: Associations,
    cells: dict[tuple[int, int], Cell],
    value: Callable[[Cell], float | None],
    limit: float,
    table: Table,
) -> Chart:
    size = len(found.columns)
    z: list[list[float | None]] = [[None] * size for _ in range(size)]
    for (row, column), cell in cells.items():
        z[row][column] = z[column][row] = value(cell)
    ticks = [readable(label) for label in found.columns]
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": ticks,
        "y": ticks,
        "z": z,
        "zmin": -limit,
        "zmax": limit,
        "colorscale": DIFFERENCE,
        "texttemplate": "%{z:.2f}" if size <= _NUMBERED else "",
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "hovertemplate": "%{y} \u00d7 %{x}: %{z:.3f}<extra>" + title + "</extra>",
        "colorbar": {"orientation": "h", "thickness": 8, "len": 1, "y": 1, "yanchor": "bottom", "nticks": 5},
    }
    wide = size > _SIDE_BY_SIDE
    labels = {"gridcolor": "rgba(0,0,0,0)", "type": "category", "tickfont": {"size": 10}}
    figure = {
        "data": [trace],
        "layout": layout(
            190 + min(18, 560 // size) * size if wide else 400,
            plot_bgcolor="#eceff3",
            xaxis=axis(tickangle=-45, **labels),
            yaxis=axis(autorange="reversed", **labels),
        ),
    }
    return Chart(f"correlations-{name}", title, "", figure, table)


def _rows(found: Associations, cells: dict[tuple[int, int], Cell]) -> tuple[tuple[str, ...], ...]:
    """Every known pair, the largest difference first."""
    known = [
        (pair, real, synthetic)
        for pair, (real, synthetic) in cells.items()
        if real is not None and synthetic is not None
    ]
    known.sort(key=lambda item: -abs(item[2] - item[1]))
    return tuple(
        (
            " \u00d7 ".join(readable(found.columns[position]) for position in pair),
            "correlation" if all(found.ordered[position] for position in pair) else "Cram\u00e9r's V",
            f"{real:.3f}",
            f"{synthetic:.3f}",
            f"{synthetic - real:+.3f}",
        )
        for pair, real, synthetic in known
    )


def _note(result: QaResult) -> str:
    figures, left_out = result.figures, result.associations.left_out
    parts = [
        "How strongly two columns go together. Numbers and dates: the correlation of their classes, from \u22121 to 1. "
        "Pairs with a category: Cram\u00e9r's V, from 0 to 1, not corrected for its bias, so that small data show some "
        "where there is none. Grey: a column with itself, and pairs without a value."
    ]
    if "association.difference" in figures:
        text = f"Real and synthetic differ by {figures['association.difference']:.4f}, on average over all pairs"
        if "association.difference.control" in figures:
            text += f"; training and holdout by {figures['association.difference.control']:.4f}"
        parts.append(text + ".")
    if left_out:
        parts.append(
            f"The maps and their table hold the {len(result.associations.columns)} columns with the strongest "
            f"associations; {left_out} more columns are in the average only."
        )
    return " ".join(parts)
