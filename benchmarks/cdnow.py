"""CDNOW from the command line, as a user runs it: three seeds of the whole line, then sampling on its own.

    python benchmarks/cdnow.py [--seeds 1 2 3] [--subjects 500000]

Fidelity figures are means over the seeds, timings medians, memory the maximum. Each seed has a workspace of its own,
hence its own salt and split. Run it on an idle machine: a second busy process slows small kernels tenfold.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from record import record

ROOT = Path(__file__).parents[1]
FAMILIES = ("overall", "univariate", "bivariate", "trivariate", "coherence")
FIDELITY = [
    *(f"accuracy.{family}{suffix}" for family in FAMILIES for suffix in ("", ".ceiling")),
    "accuracy_gap",
    "auc_event",
    "auc_event.control",
    "dcr_share",
    "order_violations",
]
TIMINGS = ["train.seconds_to_best", "train.seconds_to_stop", "fit.seconds", "train.events_per_second"]


def main() -> None:
    """Run, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--subjects", type=int, default=500_000, help="synthetic subjects of the sampling benchmark")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cdnow-benchmark-") as folder:
        runs = [run_line(Path(folder), seed) for seed in arguments.seeds]
        config, run_id = runs[0]["config"], runs[0]["run_id"]
        samples = [run_sample(config, run_id, arguments.subjects) for _ in range(3)]
    figures = {name: statistics.mean(run["qa"][name] for run in runs) for name in FIDELITY}
    figures |= {name: statistics.median(run["train"][name] for run in runs) for name in TIMINGS}
    figures["sample.events_per_second"] = statistics.median(samples)
    figures["peak_memory_bytes"] = max(run["peak_memory_bytes"] for run in runs)
    figures["demo.seconds"] = statistics.median(run["seconds"] for run in runs)
    figures["demo.seconds.start_up"] = statistics.median(run["start_up_seconds"] for run in runs)
    for stage in runs[0]["stage_seconds"]:
        figures[f"{stage}.seconds"] = statistics.median(run["stage_seconds"][stage] for run in runs)
    details = {"seeds": [{key: run[key] for key in ("seed", "seconds", "qa", "train")} for run in runs]}
    details["sample.events_per_second"] = samples
    print(record("cdnow", figures, details))


def run_line(folder: Path, seed: int) -> dict[str, Any]:
    """One run of the whole line in its own process and workspace."""
    document = yaml.safe_load((ROOT / "conf" / "cdnow.yml").read_text(encoding="utf-8"))
    workspace = folder / f"seed-{seed}"
    document |= {"seed": seed, "output": {**document.get("output", {}), "root": str(workspace)}}
    config = folder / f"cdnow-{seed}.yml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    started = time.perf_counter()
    subprocess.run([*_command("run"), str(config)], check=True, cwd=folder)
    seconds = time.perf_counter() - started
    (state_file,) = (workspace / "runs").glob("*/run.json")
    state = json.loads(state_file.read_text(encoding="utf-8"))
    stages = state["stages"]
    return {
        "seed": seed,
        "config": config,
        "run_id": state["run_id"],
        "seconds": seconds,
        "start_up_seconds": state["start_up_seconds"],
        "stage_seconds": {name: stage["seconds"] for name, stage in stages.items()},
        "qa": {name: stages["qa"]["figures"][name] for name in FIDELITY},
        "train": {name: stages["train"]["figures"][name] for name in TIMINGS},
        "peak_memory_bytes": state["peak_memory_bytes"],
    }


def run_sample(config: Path, run_id: str, subjects: int) -> float:
    """Events per second of the sample stage alone: its wall clock, Delta write included, without Spark's start."""
    workspace = Path(yaml.safe_load(config.read_text(encoding="utf-8"))["output"]["root"])
    before = set((workspace / "runs").iterdir())
    command = [*_command("sample"), str(config), "--run", run_id, "--subjects", str(subjects)]
    subprocess.run(command, check=True, cwd=config.parent)
    (folder,) = set((workspace / "runs").iterdir()) - before
    state = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return float(state["stages"]["sample"]["figures"]["sample.events_per_second"])


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "synth_spark.cli", name]


if __name__ == "__main__":
    main()
