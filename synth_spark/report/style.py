"""Colours and the common look of all charts. [plain]

Blue and orange of the Okabe-Ito palette differ for every kind of colour vision and in grey print; nothing is told by
colour alone.
"""

from __future__ import annotations

from typing import Any

REAL, SYNTHETIC, QUIET, INK, GRID = "#0072b2", "#e69f00", "#8a8f98", "#1d2430", "#e6e8ec"
OTHER_RUN = "#882255"  # beside SYNTHETIC where two runs are compared; darker than REAL in grey print
GOOD_TO_BAD = [[0.0, "#f4f7fb"], [0.25, "#c6dbef"], [0.5, "#6baed6"], [0.75, "#2171b5"], [1.0, "#08306b"]]
DENSITY = [[0.0, "#ffffff"], [0.15, "#dbe9f6"], [0.4, "#89bedc"], [0.7, "#2b7bba"], [1.0, "#08306b"]]
DIFFERENCE = [[0.0, "#0072b2"], [0.5, "#ffffff"], [1.0, "#d55e00"]]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def layout(height: int, **more: Any) -> dict[str, Any]:
    """A plotly layout of this height in pixels."""
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": GRID, "font": {"family": FONT, "size": 13}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        "dragmode": False,
    }
    return {**base, **more}


def axis(**more: Any) -> dict[str, Any]:
    """A plotly axis."""
    base = {"automargin": True, "gridcolor": GRID, "zeroline": False, "fixedrange": True, "ticks": ""}
    return {**base, **more}
