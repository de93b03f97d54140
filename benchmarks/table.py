"""benchmarks/results/*.json -> docs/benchmarks.md: nothing in that page is typed by hand.

python benchmarks/table.py [PAGE]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_sets import DATA_SETS, ROOT
from record import RESULTS

PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `python benchmarks/table.py` from `benchmarks/results/`; every figure comes from the command in its section;
`make bench` runs those of the data sets in the first table, with three seeds each. Fidelity by the definitions of the
field (`docs/decisions/qa.md`): mean over the seeds of its command. Timings: median. Memory: maximum over all
processes of a run. A ceiling is what an independent sample of the same size would reach on average. The round trip
encodes and decodes the training data without a model and compares them with themselves: what is lost there no model
can bring back.
"""
LEGEND = """Accuracies stand beside their ceilings, the discriminator's AUC beside its control (training against
holdout). A data set without histories (flat) has no coherence and no order, and its speeds count subjects.
"""
FAMILIES = {
    "overall": "mean of the families below",
    "univariate": "columns",
    "bivariate": "pairs of columns",
    "trivariate": "triples of columns",
    "coherence": "successive events, distinct values per subject, subjects per value",
}
STAGES = ("encode", "train", "sample", "decode", "qa", "publish")
MEANINGS = {
    "subjects": "subjects of the source",
    "events": "events of the source",
    **{f"accuracy.{family}": meaning for family, meaning in FAMILIES.items()},
    "accuracy_gap": "accuracy against training minus against holdout",
    "auc_event": "discriminator AUC on events, .5 is best",
    "auc_event.control": "the same, training against holdout",
    "auc_subject": "discriminator AUC on subjects, .5 is best",
    "auc_subject.control": "the same, training against holdout",
    "dcr_share": "subjects closer to training than to holdout, smoke test",
    "membership.auc": "membership attack with the data, .5 is guessing",
    "membership.loss.auc": "membership attack with the model, .5 is guessing",
    "order_violations": "consecutive events out of time order",
    "gate.passed": "share of seeds whose release gate passed",
    "train.seconds_to_best": "seconds to the best epoch",
    "train.seconds_to_stop": "seconds to early stop, without calibration",
    "fit.seconds": "seconds of all fitting, calibration included",
    "train.events_per_second": "events per second in training",
    "train.subjects_per_second": "subjects per second in training",
    "epochs": "epochs to early stop",
    "peak_memory_bytes": "bytes at the peak, all processes",
    "line.seconds": "seconds of the whole line, start to end",
    "line.seconds.start_up": "of these, Spark and start-up",
    **{f"{stage}.seconds": f"of these, {stage}" for stage in STAGES},
    "sample.events_per_second": "events per second in sampling, Delta write included",
    "sample.subjects_per_second": "subjects per second in sampling, Delta write included",
    **{f"round_trip.{family}": f"without a model: {meaning}" for family, meaning in FAMILIES.items()},
    "small.encode_seconds": "seconds to encode with a column of 100 values",
    "large.encode_seconds": "the same with 100,000 values",
    "encode_seconds.ratio": "the latter by the former",
    "small.rows_kept_share": "share of the rows whose value is kept, 100 values",
    "large.rows_kept_share": "the same, 100,000 values",
    **{
        f"{subjects}.{name}": f"{meaning}, {subjects:,} real subjects"
        for subjects in (100_000, 1_000_000)
        for name, meaning in {
            "seconds": "seconds of QA without a model",
            "seconds.privacy": "of these, privacy and the risk of the source",
            "events": "events of all three sets",
            "driver_gib": "GiB of the Python driver at its peak",
            "all_gib": "GiB of all processes at their peak",
        }.items()
    },
}
ABSENT = "-"
Figures = dict[str, float]


def main() -> None:
    """Write the page."""
    paths = [path for path in sorted(RESULTS.glob("*.json")) if path.stem != "scale"]  # that has docs/scale.md
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    page = sys.argv[1] if len(sys.argv) > 1 else str(PAGE)
    with open(page, "w", encoding="utf-8") as file:
        sections = [*map(section, sorted(results, key=_place)), published(RESULTS / "experiments" / "published.json")]
        file.write("\n".join([HEAD, overview(results), LEGEND, *sections]))
    print(page)


def overview(results: list[dict[str, Any]]) -> str:
    """One row per data set."""
    head = ["data set", *COLUMNS]
    rows = [
        [f"[{r['benchmark']}](#{r['benchmark']})", *(cell(r["figures"]) for cell in COLUMNS.values())]
        for r in sorted(results, key=_place)
        if r["benchmark"] in DATA_SETS
    ]
    return "\n".join([_row(head), _row(["---"] * len(head)), *map(_row, rows), ""])


def section(result: dict[str, Any]) -> str:
    """One benchmark as Markdown."""
    name, machine, figures = result["benchmark"], result["machine"], result["figures"]
    lines = [
        f"## {name}",
        "",
        f"`{result['command']}`, commit {result['commit']}, {result['date']}, {machine['cpus']} CPUs of "
        f"{machine['processor']} (bfloat16: {'yes' if machine['bfloat16'] else 'no'}), {machine['memory_gib']} GiB",
        "",
        "| figure | value | ceiling | meaning |",
        "|---|---|---|---|",
    ]
    for key, value in figures.items():
        if not key.endswith(".ceiling"):
            ceiling = figures.get(f"{key}.ceiling")
            shown = "" if ceiling is None else _number(ceiling)
            lines.append(f"| `{key}` | {_number(value)} | {shown} | {MEANINGS.get(key, '')} |")
    return "\n".join([*lines, "", *round_trip(result["details"])])


def published(path: Path) -> str:
    """Our rows beside those that others published of the same data, by the same metric."""
    result = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, dict[str, float]] = {}
    for key, value in result["figures"].items():
        name, figure = key.split(": ")
        row, _, part = figure.removeprefix("generator.").rpartition(".")
        if part in ("tvd3", "share", "ratio") and not row.endswith("published"):
            marked = f"{row}, published" if figure.startswith("generator.") else row
            found.setdefault(marked, {})[f"{name} {part}"] = value
    sets = list(dict.fromkeys(key.split(": ")[0] for key in result["figures"]))
    head = ["generator", *(f"{name}: distance / share" for name in sets)]
    order = sorted(found, key=lambda row: (row not in ("holdout", "ours"), "published" in row, row))
    rows = [[row, *(_pair(found[row], name) for name in sets)] for row in order]
    lines = [
        "## A published benchmark",
        "",
        f"`{result['command']}`, commit {result['commit']}, {result['date']}. Mean total variation distance over all "
        "triples of columns to the training half, and the share of rows closer to training than to the other half "
        "(.5 is ideal). Rows marked published are quoted from the publication's results; holdout, rows with swapped "
        "cells (flip) and ours are measured here, by the same metric. A distance below the holdout's is no copy if the "
        "share stays near .5: even draws scatter less than a sample does (`docs/decisions/even-draws.md`).",
        "",
        *map(_row, [head, ["---"] * len(head), *rows]),
        "",
    ]
    return "\n".join(lines)


def _pair(figures: Figures, name: str) -> str:
    cells = [f"{figures[key]:.4f}" if key in figures else ABSENT for key in (f"{name} tvd3", f"{name} share")]
    return " / ".join(cells)


def round_trip(details: dict[str, Any]) -> list[str]:
    """The columns' accuracy without a model, the worst first."""
    columns = details.get("round_trip", {}).get("columns", {})
    if not columns:
        return []
    listed = ", ".join(f"{label.split('::', 1)[1]} {_number(accuracy)}" for label, accuracy in columns.items())
    return [f"Round trip without a model, by column, the worst first: {listed}.", ""]


def _beside(name: str, other: str) -> Callable[[Figures], str]:
    def cell(figures: Figures) -> str:
        return f"{figures[name]:.3f} / {figures[other]:.3f}" if name in figures and other in figures else ABSENT

    return cell


def _one(*names: str, unit: float = 1.0, digits: int = 0) -> Callable[[Figures], str]:
    """The first of the names that exists."""

    def cell(figures: Figures) -> str:
        return next((f"{figures[name] / unit:,.{digits}f}" for name in names if name in figures), ABSENT)

    return cell


COLUMNS: dict[str, Callable[[Figures], str]] = {
    "subjects": _one("subjects"),
    "events": _one("events"),
    **{family: _beside(f"accuracy.{family}", f"accuracy.{family}.ceiling") for family in FAMILIES},
    "AUC": _beside("auc_event", "auc_event.control"),
    "order violations": _one("order_violations"),
    "fit, s": _one("fit.seconds"),
    "training, events/s": _one("train.events_per_second", "train.subjects_per_second"),
    "epochs": _one("epochs"),
    "peak, GiB": _one("peak_memory_bytes", unit=2**30, digits=1),
    "sampling, events/s": _one("sample.events_per_second", "sample.subjects_per_second"),
    "round trip": _one("round_trip.overall", digits=4),
}


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _place(result: dict[str, Any]) -> int:
    """Data sets in their order, then all else."""
    known = list(DATA_SETS)
    return known.index(result["benchmark"]) if result["benchmark"] in known else len(known)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4f}".rstrip("0")


if __name__ == "__main__":
    main()
