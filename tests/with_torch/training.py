"""Training jobs and trainers of toy files, for tests of one rank and of several."""

from __future__ import annotations

from pathlib import Path

import torch

from synth_spark.codebook import Codebook
from synth_spark.config import TrainSettings
from synth_spark.manifest import Manifest
from synth_spark.model.checkpoint import model_config_of
from synth_spark.model.network import SequenceModel
from synth_spark.train.batches import ManifestReader
from synth_spark.train.loop import Trainer
from synth_spark.train.rank import TrainJob
from synth_spark.train.ranks import RankInfo
from tests import toy

SMALL = {"width": 16, "hidden": 8, "batch_events": 128, "number_format": "float32", "calibration_rounds": 0}


def job(run: toy.ToyRun, folder: Path, **settings) -> TrainJob:
    folder.mkdir(exist_ok=True, parents=True)
    resolved = TrainSettings(**{**SMALL, **settings}).model_dump()
    return TrainJob(str(run.manifest), str(run.codebook), str(folder), 1, 1, resolved)


def trainer_on(run: toy.ToyRun, folder: Path, ranks: RankInfo, **settings) -> Trainer:
    resolved = TrainSettings(**{**SMALL, "dropout": 0.0, **settings})
    torch.manual_seed(0)
    book, manifest = Codebook.load(run.codebook), Manifest.load(run.manifest)
    model = SequenceModel(model_config_of(book, width=resolved.width, hidden=resolved.hidden, dropout=0.0))
    readers = {
        split: ManifestReader(
            manifest.of_split(split), reader=resolved.reader, window_subjects=1000, num_static=2, num_event=2
        )
        for split in ("training", "validation")
    }
    assert sum(len(window.num_events) for window in readers["training"].windows(seed=0)), "read once, for counts"
    return Trainer(model, readers, resolved, ranks, seed=1, folder=folder, manifest_digest=manifest.digest)
