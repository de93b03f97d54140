"""Whole lines from the command line, as a user runs them: every seed of every data set, then sampling on its own.

    python benchmarks/lines.py [--sets cdnow flights] [--seeds 1 2 3]

Fidelity figures are means over the seeds, timings medians, memory the maximum. Each seed has a workspace of its own,
hence its own salt and split. A data set's results are replaced when all of its parts are done, those of the others stay
as they are. Run it on an idle machine: a second busy process slows small kernels tenfold.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from data_sets import DATA_SETS, FOLDER_VARIABLE, DataSet, data_folder
from record import current_commit, record

FAMILIES = ("overall", "univariate", "bivariate", "trivariate", "coherence")
FIDELITY = (
    *(f"accuracy.{family}{suffix}" for family in FAMILIES for suffix in ("", ".ceiling")),
    "accuracy_gap",
    "auc_event",
    "auc_event.control",
    "auc_subject",
    "auc_subject.control",
    "dcr_share",
    "membership.auc",
    "membership.loss.auc",
    "order_violations",
)
SIZES = ("subjects", "events")
TIMINGS = ("train.seconds_to_best", "train.seconds_to_stop", "fit.seconds", "epochs")
SAMPLINGS = 3
DONE, GATE_SAYS_NO = 0, 20  # exit codes of a line that was walked to its end


@dataclass(frozen=True)
class Line:
    """What one seed's run left."""

    config: Path
    run_id: str
    seconds: float
    passed: bool  # the gate's verdict
    state: dict[str, Any]  # run.json

    def figures(self, stage: str) -> dict[str, Any]:
        """Figures of one stage."""
        found: dict[str, Any] = self.state["stages"][stage]["figures"]
        return found

    def is_done(self, stage: str) -> bool:
        """Whether a stage ended well."""
        return bool(self.state["stages"].get(stage, {}).get("status") == "done")

    def seconds_of(self, stage: str) -> float:
        """Wall clock of one stage."""
        return float(self.state["stages"][stage]["seconds"])


def main() -> None:
    """Run, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    check_data(arguments.sets)
    commit, broken = current_commit(), []
    for name in arguments.sets:
        print(f"== {name}", flush=True)
        try:
            figures, details = measure(DATA_SETS[name], arguments.seeds)
        except subprocess.CalledProcessError as error:
            print(f"{name}: {error}", file=sys.stderr)
            broken.append(name)
        else:
            seeds = " ".join(map(str, arguments.seeds))
            command = f"python benchmarks/lines.py --sets {name} --seeds {seeds}"
            print(record(name, command, commit, figures, details), flush=True)
    if broken:
        sys.exit(f"{', '.join(broken)}: broken off, see above; their earlier results stay")


def check_data(names: Iterable[str]) -> None:
    """End the script before any work if prepared data are missing."""
    prepared = [name for name in names if DATA_SETS[name].prepared]
    if not prepared:
        return
    folder = data_folder()
    missing = [name for name in prepared if not (folder / name).is_dir()]
    if missing:
        sys.exit(f"{', '.join(missing)}: no such folder in {folder}; run benchmarks/prepare.py first")
    os.environ[FOLDER_VARIABLE] = str(folder)  # the runs work in a folder of their own


def measure(data_set: DataSet, seeds: list[int]) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures and details of one data set: the lines, sampling on its own, the round trip without a model."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        lines = [run_line(data_set, Path(folder), seed) for seed in seeds]
        samples = [run_sample(lines[0], data_set.sample_subjects) for _ in range(SAMPLINGS)]
        round_trip = run_round_trip(lines[0])
    figures = line_figures(lines)
    sampled = f"sample.{counted(lines[0])}_per_second"
    figures[sampled] = statistics.median(samples)
    figures |= {f"round_trip.{family}": accuracy for family, accuracy in round_trip["families"].items()}
    details = {
        "seeds": [seed_details(seed, line) for seed, line in zip(seeds, lines, strict=True)],
        "sample": {"subjects": data_set.sample_subjects, sampled: samples},
        "round_trip": {"columns": round_trip["columns"]},
    }
    return figures, details


def line_figures(lines: list[Line]) -> dict[str, float]:
    """One figure out of those of all seeds; families that a data set does not have are left out."""
    qa = [line.figures("qa") for line in lines]
    train = [line.figures("train") for line in lines]
    encode = lines[0].figures("encode")
    figures = {name: sum(v for key, v in encode.items() if key.startswith(f"{name}.")) for name in SIZES}
    figures |= {name: statistics.mean(found[name] for found in qa) for name in FIDELITY if name in qa[0]}
    figures["gate.passed"] = statistics.mean(line.passed for line in lines)
    figures |= {name: statistics.median(found[name] for found in train) for name in TIMINGS}
    figures[f"train.{counted(lines[0])}_per_second"] = statistics.median(training_speed(line) for line in lines)
    figures["peak_memory_bytes"] = max(line.state["peak_memory_bytes"] for line in lines)
    figures["line.seconds"] = statistics.median(line.seconds for line in lines)
    figures["line.seconds.start_up"] = statistics.median(line.state["start_up_seconds"] for line in lines)
    for stage in lines[0].state["stages"]:
        seconds = [line.seconds_of(stage) for line in lines if line.is_done(stage)]
        if seconds:  # nothing is published where no gate passes
            figures[f"{stage}.seconds"] = statistics.median(seconds)
    return figures


def counted(line: Line) -> str:
    """What speeds count: events, or subjects where there are no events."""
    return "events" if line.figures("encode")["events.training"] else "subjects"


def training_speed(line: Line) -> float:
    """Per second until training stopped."""
    train = line.figures("train")
    if counted(line) == "events":
        return float(train["train.events_per_second"])
    return float(line.figures("encode")["subjects.training"] * train["epochs"] / train["train.seconds_to_stop"])


def seed_details(seed: int, line: Line) -> dict[str, Any]:
    """What the means and medians hide."""
    qa, train = line.figures("qa"), line.figures("train")
    return {
        "seed": seed,
        "seconds": line.seconds,
        "gate_passed": line.passed,
        "qa": {name: qa[name] for name in FIDELITY if name in qa},
        "train": {name: train[name] for name in TIMINGS},
        f"train.{counted(line)}_per_second": training_speed(line),
    }


def run_line(data_set: DataSet, folder: Path, seed: int) -> Line:
    """One run of the whole line in its own process and workspace; a gate that says no is a result, not an error."""
    document = yaml.safe_load(data_set.config.read_text(encoding="utf-8"))
    workspace = folder / f"seed-{seed}"
    document |= {"seed": seed, "output": {**document.get("output", {}), "root": str(workspace)}}
    config = folder / f"{data_set.config.stem}-{seed}.yml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    command = [*synth_spark("run"), str(config)]
    started = time.perf_counter()
    code = subprocess.run(command, cwd=folder).returncode
    seconds = time.perf_counter() - started
    if code not in (DONE, GATE_SAYS_NO):
        raise subprocess.CalledProcessError(code, command)
    (state_file,) = (workspace / "runs").glob("*/run.json")
    state = json.loads(state_file.read_text(encoding="utf-8"))
    return Line(config, state["run_id"], seconds, code == DONE, state)


def run_sample(line: Line, subjects: int) -> float:
    """Events (flat data: subjects) per second of the sample stage alone: wall clock with Delta write, without start."""
    workspace = Path(yaml.safe_load(line.config.read_text(encoding="utf-8"))["output"]["root"])
    before = set((workspace / "runs").iterdir())
    command = [*synth_spark("sample"), str(line.config), "--run", line.run_id, "--subjects", str(subjects)]
    subprocess.run(command, check=True, cwd=line.config.parent)
    (folder,) = set((workspace / "runs").iterdir()) - before
    state = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    figures = state["stages"]["sample"]["figures"]
    return float((figures["events"] or figures["subjects"]) / figures["sample.seconds"])


def run_round_trip(line: Line) -> dict[str, dict[str, float]]:
    """Accuracy of families and columns after encoding and decoding, see round_trip.py."""
    result = line.config.with_suffix(".round-trip.json")
    script = Path(__file__).with_name("round_trip.py")
    command = [sys.executable, str(script), str(line.config), "--run", line.run_id, "--out", str(result)]
    subprocess.run(command, check=True, cwd=line.config.parent)
    found: dict[str, dict[str, float]] = json.loads(result.read_text(encoding="utf-8"))
    return found


def synth_spark(command: str) -> list[str]:
    """The command line of this environment."""
    return [sys.executable, "-m", "synth_spark.cli", command]


if __name__ == "__main__":
    main()
