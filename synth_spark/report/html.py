"""Pages from templates, with style, script and charts inside. [plain]"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from synth_spark.report.charts import Chart
from synth_spark.report.style import DENSITY, DIFFERENCE


def render(
    template: str, charts: Mapping[str, Chart], *, pairs: Sequence[Mapping[str, Any]] = (), **values: Any
) -> str:
    """One self-contained page.

    Args:
        template: its name in templates/; one that extends page.html.
        charts: by id; the script draws each where the page has a place for it.
        pairs: what the script needs to draw a chosen pair, see pairs.pair_details.
        values: what the template asks for.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(
        **values,
        charts=charts,
        data=_data(charts, pairs),
        plotly=get_plotlyjs(),
        style=_text("report.css"),
        script=_text("report.js"),
    )


def _text(name: str) -> str:
    return resources.files("synth_spark.report").joinpath("templates", name).read_text(encoding="utf-8")


def _data(charts: Mapping[str, Chart], pairs: Sequence[Mapping[str, Any]]) -> str:
    """Figures and pairs for the script, safe inside a script element."""
    document = {
        "charts": {chart.id: chart.figure for chart in charts.values()},
        "pairs": list(pairs),
        "scales": {"density": DENSITY, "difference": DIFFERENCE},
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
