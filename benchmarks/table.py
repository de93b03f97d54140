"""benchmarks/results/*.json -> docs/benchmarks.md: nothing in that page is typed by hand.

python benchmarks/table.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from record import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `python benchmarks/table.py` from `benchmarks/results/`; every figure comes from the command in its section.
Fidelity by the definitions of the field (`docs/decisions/qa.md`): mean over seeds. Timings: median. Memory: maximum
over all processes of a run. A ceiling is what an independent sample of the same size would reach on average.
"""
COMMANDS = {"cdnow": "python benchmarks/cdnow.py"}
MEANINGS = {
    "accuracy.overall": "mean of the four families below",
    "accuracy.univariate": "columns",
    "accuracy.bivariate": "pairs of columns",
    "accuracy.trivariate": "triples of columns",
    "accuracy.coherence": "successive events, distinct values per subject, subjects per value",
    "auc_event": "discriminator AUC on events, .5 is best",
    "auc_event.control": "the same, training against holdout",
    "accuracy_gap": "accuracy against training minus against holdout",
    "dcr_share": "subjects closer to training than to holdout, smoke test",
    "order_violations": "consecutive events out of time order",
    "train.seconds_to_best": "seconds to the best epoch",
    "train.seconds_to_stop": "seconds to early stop, without calibration",
    "fit.seconds": "seconds of all fitting, calibration included",
    "train.events_per_second": "events per second in training",
    "sample.events_per_second": "events per second in sampling, Delta write included",
    "peak_memory_bytes": "bytes at the peak, all processes",
    "demo.seconds": "seconds of the whole line, start to end",
    "demo.seconds.start_up": "of these, Spark and start-up",
    **{f"{stage}.seconds": f"of these, {stage}" for stage in ("encode", "train", "sample", "decode", "qa", "publish")},
}


def main() -> None:
    """Write the page."""
    sections = [section(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(RESULTS.glob("*.json"))]
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    page.write_text("\n".join([HEAD, *sections]), encoding="utf-8")
    print(page)


def section(result: dict[str, Any]) -> str:
    """One benchmark as Markdown."""
    name, machine, figures = result["benchmark"], result["machine"], result["figures"]
    lines = [
        f"## {name}",
        "",
        f"`{COMMANDS.get(name, name)}`, commit {result['commit']}, {result['date']}, {machine['cpus']} CPUs of "
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
    return "\n".join([*lines, ""])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4f}".rstrip("0")


if __name__ == "__main__":
    main()
