"""How many events a second training takes: flights with ten event columns, one rank on all cores.

    python benchmarks/training_speed.py [--epochs 2] [--repeats 3]

Each repetition is a run of its own (benchmarks/conf/flights10.yml) that ends with training, in a process that has
compiled no matrix product yet. Counted is what every run counts as `train.events_per_second`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import yaml
from data_sets import ROOT
from lines import check_data, synth_spark
from record import current_commit, record

CONFIG = ROOT / "benchmarks" / "conf" / "flights10.yml"


def main() -> None:
    """Encode, train, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    check_data(["flights"])
    commit = current_commit()
    with tempfile.TemporaryDirectory(prefix="training-speed-") as folder:
        found = [trained(Path(folder), number, asked.epochs) for number in range(asked.repeats)]
    figures = {name: statistics.median(one[name] for one in found) for name in found[0]}
    command = f"python benchmarks/training_speed.py --epochs {asked.epochs} --repeats {asked.repeats}"
    print(record("training_speed", command, commit, figures, {"trainings": found}))


def trained(folder: Path, number: int, epochs: int) -> dict[str, float]:
    """Figures of one run that ends with training."""
    document = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    document |= {"output": {"root": str(folder)}, "train": {"max_epochs": epochs, "calibration_rounds": 0}}
    config = folder / "flights10.yml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    for stage in ("encode", "train"):
        subprocess.run([*synth_spark(stage), str(config), "--run", f"run-{number}"], cwd=folder, check=True)
    stages = json.loads((folder / "runs" / f"run-{number}" / "run.json").read_text(encoding="utf-8"))["stages"]
    encode, train = stages["encode"]["figures"], stages["train"]["figures"]
    return {
        "events.training": encode["events.training"],
        "train.events_per_second": train["train.events_per_second"],
        "train.epochs": train["epochs"],
    }


if __name__ == "__main__":
    main()
