"""What it gives to keep freed memory: events per second of training and sampling, with and without.

    python benchmarks/freed_memory.py RUN_FOLDER [--epochs 1] [--batch-events 1024 4096] [--subjects 4096] [--repeats 3]

RUN_FOLDER is any run that is encoded and trained. Each figure is the median of fresh processes, taken in turns; the
figures go to results/experiments/freed_memory.json. they decided where synth_spark.machine.freed_memory_kept is used.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from record import RESULTS, current_commit, record

from synth_spark.devices import prepare_processors
from synth_spark.machine import granted_cpus

WITHOUT = """
import contextlib, sys
import synth_spark.machine
if sys.argv[1] == "handed back":
    synth_spark.machine.freed_memory_kept = contextlib.nullcontext
"""
TRAIN = """
from synth_spark.config import TrainSettings
from synth_spark.train.launch import launch_training
from synth_spark.train.rank import TrainJob
run, folder, epochs, batch_events, threads = sys.argv[2:]
settings = TrainSettings(max_epochs=int(epochs), batch_events=int(batch_events), calibration_rounds=0).model_dump()
job = TrainJob(run + "/manifest.json", run + "/codebook.json", folder, 1, int(threads), settings)
print(launch_training(None, job, launcher="inprocess", num_ranks=1)["train.events_per_second"])
"""
SAMPLE = """
import time
from pathlib import Path
import torch
from synth_spark.model.checkpoint import load_checkpoint
from synth_spark.model.generate import Generator
torch.set_num_threads(1)
loaded = load_checkpoint(Path(sys.argv[2], "checkpoint", "model"))
generator = Generator(loaded.model, loaded.trained_in)
with synth_spark.machine.freed_memory_kept():
    generator.sample_chunk(0, 64, 1)
    started = time.perf_counter()
    events = int(generator.sample_chunk(0, int(sys.argv[3]), 1).num_events.sum())
    print(events / (time.perf_counter() - started))
"""
HOW = ("handed back", "kept")


def main() -> None:
    """Measure in turns and record the medians."""
    prepare_processors()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-events", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--subjects", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    commit = current_commit()
    details: dict[str, list[float]] = {}
    for _ in range(chosen.repeats):
        for how in HOW:
            for batch_events in chosen.batch_events:
                with tempfile.TemporaryDirectory() as folder:
                    trained = speed(TRAIN, how, chosen.run, folder, chosen.epochs, batch_events, granted_cpus())
                details.setdefault(f"training by {batch_events} events, {how}", []).append(trained)
            sampled = speed(SAMPLE, how, chosen.run, chosen.subjects)
            details.setdefault(f"sampling by one thread, {how}", []).append(sampled)
    figures = {f"{name}: events_per_second": statistics.median(found) for name, found in details.items()}
    batches = " ".join(map(str, chosen.batch_events))
    command = f"python benchmarks/freed_memory.py RUN --epochs {chosen.epochs} --batch-events {batches}"
    command += f" --subjects {chosen.subjects}"
    (RESULTS / "experiments").mkdir(exist_ok=True)
    print(record("experiments/freed_memory", command, commit, figures, {"run": chosen.run.name, **details}))


def speed(work: str, *arguments: object) -> float:
    """Events per second that a fresh process told."""
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT + work, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
