"""How long waiting threads should spin: training speed alone and beside one busy process, by GOMP_SPINCOUNT.

    python benchmarks/openmp_spin.py RUN_FOLDER [--epochs 5] [--spins 200 1000 3000 60000]

RUN_FOLDER is any run that is encoded. It decided the value in synth_spark/devices.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from synth_spark.machine import granted_cpus

TRAIN = """
import json, sys
from synth_spark.config import TrainSettings
from synth_spark.train.launch import launch_training
from synth_spark.train.rank import TrainJob
run, folder, epochs, threads = sys.argv[1:]
settings = TrainSettings(max_epochs=int(epochs), calibration_rounds=0).model_dump()
job = TrainJob(run + "/manifest.json", run + "/codebook.json", folder, 1, int(threads), settings)
print(launch_training(None, job, launcher="inprocess", num_ranks=1)["train.events_per_second"])
"""


def main() -> None:
    """Print events per second, alone and beside a busy process, for each number of spins."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--spins", nargs="+", default=["200", "1000", "3000", "60000"])
    arguments = parser.parse_args()
    for spins in arguments.spins:
        alone = train(arguments.run, arguments.epochs, spins)
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            beside = train(arguments.run, arguments.epochs, spins)
        finally:
            busy.kill()
        print(json.dumps({"spins": int(spins), "alone": round(alone), "beside": round(beside)}), flush=True)


def train(run: Path, epochs: int, spins: str) -> float:
    """Events per second of a short training in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-c", TRAIN, str(run), folder, str(epochs), str(granted_cpus())]
        environment = {**os.environ, "GOMP_SPINCOUNT": spins}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
