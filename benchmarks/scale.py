"""A large source grown from a small one by our own sampler, and whole lines on it: what each stage costs at each size.

    python benchmarks/scale.py --sizes 10000 100000 [--minutes 10] [--cores 1] [--ranks 2] [--folder DIR]

The seed (benchmarks/conf/flights6.yml) is encoded and trained once in the folder; for each size so many subjects are
drawn from it and decoded, and these tables are the source of a line that ends with its report and gate. Making a source
is not part of any figure. With --cores a line has only so many of the machine's, and as many sampler tasks. The results
of a size (and cores, and ranks) replace its earlier ones; docs/scale.md is written from all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib  # comes with mlflow
import yaml
from data_sets import ROOT
from lines import DONE, GATE_SAYS_NO, check_data, synth_spark
from record import RESULTS, current_commit, record

SEED = ROOT / "benchmarks" / "conf" / "flights6.yml"
PAGE = ROOT / "docs" / "scale.md"
PLOT = ROOT / "docs" / "images" / "scale.svg"
MEASURED, EXTRAPOLATED, END = (
    "<!-- made by: python benchmarks/scale.py -->",
    "<!-- extrapolated by: python benchmarks/scale.py -->",
    "<!-- end -->",
)
STAGES = ("encode", "train", "sample", "decode", "qa", "publish")
COLUMNS = ("departure", "carrier", "origin", "dest", "dep_delay", "air_time")
MEASURED_CORES = 2
SIZES = (  # subjects, events of each, cores: what is asked of the extrapolation
    (1_000_000, 20, 16),
    (10_000_000, 100, 64),
    (100_000_000, 1000, 512),
)
GIB = 2**30


def main() -> None:
    """Grow, run, record, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--minutes", type=float, default=10.0, help="train.max_minutes of the lines")
    parser.add_argument("--cores", type=int, help="of the lines; default: all")
    parser.add_argument("--ranks", type=int, default=1, help="train.num_ranks of the lines")
    parser.add_argument("--folder", type=Path, help="where to work, and to find a trained seed again")
    arguments = parser.parse_args()
    check_data(["flights"])
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="scale-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    commit = current_commit()
    for size in arguments.sizes:
        source = grown(folder, size)
        figures = measured(folder, size, source, arguments)
        options = f" --cores {arguments.cores}" if arguments.cores else ""
        options += f" --ranks {arguments.ranks}" if arguments.ranks > 1 else ""
        command = f"python benchmarks/scale.py --sizes {size} --minutes {arguments.minutes:g}{options}"
        column = f"{size}{options}"
        earlier = json.loads((RESULTS / "scale.json").read_text()) if (RESULTS / "scale.json").exists() else {}
        named = {f"{column}.{name}": value for name, value in figures.items()}
        details = {column: {"command": command, "commit": commit}}
        record("scale", command, commit, earlier.get("figures", {}) | named, earlier.get("details", {}) | details)
        write_page()


def grown(folder: Path, size: int) -> dict[str, Any]:
    """The config's source section of so many synthetic subjects, made where they are not there yet."""
    made = folder / f"source-{size}.json"
    if not made.exists():
        document = yaml.safe_load(SEED.read_text(encoding="utf-8"))
        document["output"] = {"root": str(folder / "seed")}
        config = folder / "seed.yml"
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        if not (folder / "seed" / "runs" / "seed" / "checkpoint" / "model").exists():
            call(folder, "encode", config, "--run", "seed")
            call(folder, "train", config, "--run", "seed")
            call(folder, "sample", config, "--run", "seed", "--subjects", "0")
            call(folder, "decode", config, "--run", "seed")
        before = set((folder / "seed" / "runs").iterdir())
        call(folder, "sample", config, "--run", "seed", "--subjects", size)
        (run,) = set((folder / "seed" / "runs").iterdir()) - before
        call(folder, "decode", config, "--run", run.name)
        made.write_text(json.dumps(run.name), encoding="utf-8")
    run_id = json.loads(made.read_text(encoding="utf-8"))
    events = {
        "path": str(folder / "seed" / "published" / "events"),
        "where": f"run_id = '{run_id}'",
        "select": {name: name for name in ("subject", *COLUMNS)},
        "key": "subject",
        "order_by": "departure",
    }
    return {"events": [events]}


def measured(folder: Path, size: int, source: dict[str, Any], asked: argparse.Namespace) -> dict[str, float]:
    """One line on a source: seconds, speeds, memory and bytes."""
    workspace = folder / f"line-{size}-{int(time.time())}"
    ranked = {"launcher": "torchrun"} if asked.ranks > 1 else {}
    document = {
        "name": "scale",
        "source": source,
        "train": {"max_minutes": asked.minutes, "num_ranks": asked.ranks} | ranked,
        "sample": {"subjects": size},
        "output": {"root": str(workspace)},
    }
    config = folder / f"line-{size}.yml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    started = time.perf_counter()
    granted = sorted(os.sched_getaffinity(0))[: asked.cores]
    code = subprocess.run(
        [*synth_spark("run"), str(config)], cwd=folder, preexec_fn=lambda: os.sched_setaffinity(0, granted)
    ).returncode
    seconds = time.perf_counter() - started
    assert code in (DONE, GATE_SAYS_NO), f"the line ended with {code}"
    (state_file,) = (workspace / "runs").glob("*/run.json")
    state = json.loads(state_file.read_text(encoding="utf-8"))
    done = {name: stage for name, stage in state["stages"].items() if stage["status"] == "done"}
    encode, train, qa = (done[name]["figures"] for name in ("encode", "train", "qa"))
    events = sum(number for name, number in encode.items() if name.startswith("events."))
    sampled, decoded = (done[name]["figures"]["events"] for name in ("sample", "decode"))
    found = {
        "events": events,
        "line.seconds": seconds,
        **{f"{name}.seconds": done[name]["seconds"] for name in STAGES if name in done},
        "encode.events_per_second": events / done["encode"]["seconds"],
        "train.events_per_second": train["train.events_per_second"],
        "train.epochs": train["epochs"],
        "sample.events_per_second": sampled / done["sample"]["seconds"],
        "decode.events_per_second": decoded / done["decode"]["seconds"],
        "accuracy.overall": qa["accuracy.overall"],
        "accuracy.overall.ceiling": qa["accuracy.overall.ceiling"],
        "auc_event": qa["auc_event"],
        "gate.passed": float(code == DONE),
        "peak_memory_bytes": state["peak_memory_bytes"],
        "files": sum(1 for file in workspace.rglob("*.parquet")),
        "bytes": sum(file.stat().st_size for file in workspace.rglob("*") if file.is_file()),
    }
    return {name: float(value) for name, value in found.items()}


def call(folder: Path, command: str, *arguments: Any) -> None:
    """A command that must end well."""
    subprocess.run([*synth_spark(command), *map(str, arguments)], check=True, cwd=folder)


def write_page() -> None:
    """The measured part of docs/scale.md."""
    document = json.loads((RESULTS / "scale.json").read_text(encoding="utf-8"))
    figures, details = document["figures"], document["details"]
    columns = sorted(details, key=lambda column: (int(column.split()[0]), column))
    rows = [
        ("events", "events", "{:,.0f}"),
        ("whole line, s", "line.seconds", "{:,.0f}"),
        *((f"{stage}, s", f"{stage}.seconds", "{:,.0f}") for stage in STAGES),
        *((f"{stage}, events/s", f"{stage}.events_per_second", "{:,.0f}") for stage in STAGES[:4]),
        ("epochs", "train.epochs", "{:,.0f}"),
        ("accuracy", "accuracy.overall", "{:.4f}"),
        ("its ceiling", "accuracy.overall.ceiling", "{:.4f}"),
        ("discriminator AUC", "auc_event", "{:.3f}"),
        ("gate passed", "gate.passed", "{:.0f}"),
        ("peak memory, GiB", "peak_memory_bytes", "{:.1f}"),
        ("Parquet files", "files", "{:,.0f}"),
        ("workspace, GiB", "bytes", "{:.2f}"),
    ]
    titles = [f"{int(size):,} {option}".strip() for size, _, option in (column.partition(" ") for column in columns)]
    lines = [f"| subjects | {' | '.join(titles)} |", "|---|" + "---|" * len(columns)]
    for title, name, form in rows:
        values = [figures.get(f"{column}.{name}") for column in columns]
        scaled = [v / GIB if name in ("bytes", "peak_memory_bytes") and v is not None else v for v in values]
        lines.append(f"| {title} | " + " | ".join("-" if v is None else form.format(v) for v in scaled) + " |")
    commands = [f"`{details[column]['command']}` at {details[column]['commit']}" for column in columns]
    sizes = [column for column in columns if column.isdecimal()]
    plot(figures, sizes)
    picture = f"![seconds and memory by size]({PLOT.relative_to(PAGE.parent)})"
    replace(MEASURED, [*lines, "", "; ".join(commands), "", picture])
    replace(EXTRAPOLATED, extrapolated(figures, sizes[-1]))


def plot(figures: dict[str, float], sizes: list[str]) -> None:
    """Seconds of each stage, and peak memory, over the number of subjects."""
    matplotlib.use("svg")
    matplotlib.rcParams |= {
        "svg.hashsalt": "scale",
        "svg.fonttype": "none",
    }  # the same figures give the same small file
    from matplotlib import pyplot

    drawing, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for stage in STAGES:
        seconds = {int(size): figures.get(f"{size}.{stage}.seconds") for size in sizes}
        known = {size: value for size, value in seconds.items() if value is not None}
        left.loglog(list(known), list(known.values()), marker="o", label=stage)
    right.semilogx(
        [int(size) for size in sizes], [figures[f"{size}.peak_memory_bytes"] / GIB for size in sizes], marker="o"
    )
    right.set_ylim(bottom=0)
    left.legend()
    for axes, title in ((left, "seconds of a stage"), (right, "peak memory, GiB, all processes")):
        axes.set(title=title, xlabel="subjects")
        axes.grid(alpha=0.3)
    drawing.savefig(PLOT, metadata={"Date": None, "Creator": None})
    pyplot.close(drawing)


def extrapolated(figures: dict[str, float], size: str) -> list[str]:
    """Hours of each stage by the speeds of the largest size that was measured, as if they grew with the cores."""
    known = {name.split(".", 1)[1]: value for name, value in figures.items() if name.startswith(f"{size}.")}
    speeds = {stage: known.get(f"{stage}.events_per_second") for stage in STAGES[:4]}
    speeds["qa"] = known["events"] / known["qa.seconds"]
    speeds["train"] = known["train.events_per_second"]
    lines = [
        f"| subjects x events, cores | {' | '.join(f'{stage}, h' for stage in speeds)} | tables, GiB |",
        "|---|" + "---|" * (len(speeds) + 1),
    ]
    for subjects, events, cores in SIZES:
        hours = [
            # training is one machine's, and a pass over five million events is an epoch of it
            5e6 * 10 / speed / 3600 if stage == "train" else subjects * events / speed / cores * MEASURED_CORES / 3600
            for stage, speed in speeds.items()
            if speed
        ]
        gib = known["bytes"] / known["events"] * subjects * events / GIB
        cells = " | ".join(f"{value:,.1f}" for value in hours)
        lines.append(f"| {subjects:,} x {events:,}, {cores} cores | {cells} | {gib:,.0f} |")
    return lines


def replace(mark: str, lines: list[str]) -> None:
    """What stands on the page between a mark and the next end."""
    head, rest = PAGE.read_text(encoding="utf-8").split(mark)
    after = rest.split(END, 1)[1]
    text = "\n".join(lines)
    PAGE.write_text(f"{head}{mark}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
