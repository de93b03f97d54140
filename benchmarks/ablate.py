"""What one choice of the model or its training gives: the validation loss with it, and with others in its place.

    python benchmarks/ablate.py NAME RUN_FOLDER... --with model.layers.MAX_WAVES=0 settings.dropout=0.2
        [--seeds 1 2 3] [--max-epochs 4]

RUN_FOLDERs are runs that this version encoded. Each variant differs from what is committed in one place: a constant of
a module of synth_spark (where one rank trains), or a setting of training (settings.*). Losses are nats per validation
subject, comparable within a run; `overfit` is how many more these cost than training subjects do; sampled_codes.py says
what the distances of samples are. The figures go to `results/experiments/NAME.json`. Fidelity of whole lines:
benchmarks/compare.py.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, current_commit, record
from sampled_codes import sampled_distances

from synth_spark.codebook import Codebook
from synth_spark.columns import TRAINING, VALIDATION
from synth_spark.config import TrainSettings
from synth_spark.devices import prepare_processors
from synth_spark.machine import granted_cpus
from synth_spark.manifest import Manifest

AS_IT_IS = "as it is"
MAX_SUBJECTS = 2_000  # of a split


def main() -> None:
    """Train, compare, record."""
    prepare_processors()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the result")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--with", nargs="+", required=True, dest="variants", metavar="PLACE=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--max-epochs", type=int, default=TrainSettings().max_epochs, help="for every variant")
    chosen = parser.parse_args()
    details = {
        f"{data_set_of(run)}, {variant}": [trained(run, variant, seed, chosen.max_epochs) for seed in chosen.seeds]
        for run in chosen.runs
        for variant in (AS_IT_IS, *chosen.variants)
    }
    figures = {}
    for variant, seeds in details.items():
        for name in seeds[0]:
            middle = statistics.median if name == "seconds" else statistics.mean
            figures[f"{variant}: {name}"] = middle(seed[name] for seed in seeds)
    sets = " ".join(f"RUN_OF_{data_set_of(run)}" for run in chosen.runs)
    command = f"{chosen.name} {sets} --with {' '.join(chosen.variants)} --seeds {' '.join(map(str, chosen.seeds))}"
    command += f" --max-epochs {chosen.max_epochs}"
    (RESULTS / "experiments").mkdir(exist_ok=True)
    name = f"experiments/{chosen.name}"
    print(record(name, f"python benchmarks/ablate.py {command}", current_commit(), figures, details))


def data_set_of(run: Path) -> str:
    """Run folders begin with the data set's name."""
    return run.name.split("-")[0]


def trained(run: Path, variant: str, seed: int, max_epochs: int) -> dict[str, Any]:
    """Figures of one training."""
    from synth_spark.train.launch import launch_training
    from synth_spark.train.loop import read_metrics
    from synth_spark.train.rank import TrainJob

    place, _, value = variant.partition("=")
    settings: dict[str, Any] = {"calibration_rounds": 0, "max_epochs": max_epochs}
    if place.startswith("settings."):
        settings[place.removeprefix("settings.")] = json.loads(value)
    with tempfile.TemporaryDirectory() as folder, constant("" if place == AS_IT_IS else place, value):
        resolved = TrainSettings(**settings)
        num_ranks = resolved.num_ranks or 1
        manifest, codebook = str(run / "manifest.json"), str(run / "codebook.json")
        threads = max(1, granted_cpus() // num_ranks)
        job = TrainJob(manifest, codebook, folder, seed, threads, resolved.model_dump())
        launcher = "inprocess" if num_ranks == 1 else "torchrun"
        figures = launch_training(None, job, launcher=launcher, num_ranks=num_ranks)
        lines = read_metrics(Path(folder))
        nats = [mean_nats(run, split, job.model_folder) for split in (TRAINING, VALIDATION)]
        distances = sampled_distances(run, job.model_folder) if Codebook.load(run / "codebook.json").events else {}
    kept = {
        "validation.loss": figures["validation.loss"],
        "overfit": nats[1] - nats[0],
        "train.loss": min(lines, key=lambda line: line["validation.loss"])["train.loss"],
        "epochs": figures["epochs"],
        "seconds": figures["train.seconds_to_stop"],
        **distances,
    }
    print(f"{data_set_of(run)}, {variant}, seed {seed}: {json.dumps(kept)}", flush=True)
    return kept


def mean_nats(run: Path, split: str, model_folder: Path) -> float:
    """What the subjects of a split's first file, MAX_SUBJECTS at most, cost by a model."""
    from synth_spark.attack.likelihood import subject_nats
    from synth_spark.train.batches import ManifestReader

    codebook, manifest = Codebook.load(run / "codebook.json"), Manifest.load(run / "manifest.json")
    num_codes = len(codebook.static_cardinalities), len(codebook.event_cardinalities)
    reader = ManifestReader(manifest.of_split(split)[:1], "arrow", MAX_SUBJECTS, *num_codes)
    window = next(iter(reader.windows(seed=0, shuffle=False)))
    lengths = window.num_events[:MAX_SUBJECTS]
    is_event = np.arange(lengths.max(initial=0)) < lengths[:, None]
    events = np.zeros((*is_event.shape, num_codes[1]), dtype=np.int64)
    events[is_event] = window.event_codes[: lengths.sum()]
    return float(subject_nats(model_folder, window.static_codes[: len(lengths)], lengths, events).mean())


@contextmanager
def constant(place: str, value: str) -> Iterator[None]:
    """A module's constant has another value meanwhile; none where `place` is empty or a setting."""
    module_name, _, name = place.rpartition(".")
    if not name or place.startswith("settings."):
        yield
        return
    module = importlib.import_module(f"synth_spark.{module_name}")
    before = getattr(module, name)
    setattr(module, name, json.loads(value))
    try:
        yield
    finally:
        setattr(module, name, before)


if __name__ == "__main__":
    main()
