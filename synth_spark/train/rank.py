"""One rank of a training run, from two paths and settings to a model folder. Launchers call train_rank. [torch]

Everything a rank has to say it writes to files: its own result or error, and (rank 0) metrics and the model.
A launcher's return value can be lost or be another rank's.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from synth_spark.codebook import Codebook
from synth_spark.columns import TRAINING, VALIDATION
from synth_spark.config_train import TrainSettings
from synth_spark.devices import CPU
from synth_spark.errors import ContractError, EnvironmentProblem
from synth_spark.files import replace_text
from synth_spark.machine import freed_memory_kept
from synth_spark.manifest import Manifest
from synth_spark.model.checkpoint import model_config_of, save_checkpoint
from synth_spark.model.network import SequenceModel
from synth_spark.progress import track
from synth_spark.seeds import derive
from synth_spark.train.batches import ManifestReader, SequenceReader, files_of_rank
from synth_spark.train.calibrate import calibrate, set_groups
from synth_spark.train.learned import learned_bits
from synth_spark.train.loop import Costs, Trained, Trainer
from synth_spark.train.marginals import Marginals
from synth_spark.train.pair_counts import PairTables
from synth_spark.train.ranks import (
    RankInfo,
    is_same_everywhere,
    own_device,
    process_group,
    rank_from_environment,
    summed_tensors,
)
from synth_spark.train.shrink import TRIALS, shrink_past


@dataclass(frozen=True)
class TrainJob:
    """All that a rank is told; plain values, so that any launcher can carry it."""

    manifest: str
    codebook: str
    folder: str  # shared by all ranks
    seed: int
    threads: int
    settings: dict[str, Any]
    device: str = CPU  # or CUDA; what auto comes to is settled where the job is launched

    @property
    def model_folder(self) -> Path:
        """Where the finished model goes."""
        return Path(self.folder) / "model"


def train_rank(document: Mapping[str, Any]) -> None:
    """Train this process's share of a TrainJob (as a mapping). Leaves ranks/rank-<n>.json behind, whatever happens.

    Raises:
        EnvironmentProblem: this machine does not see the job's folder, so nothing can be left there.
    """
    job = TrainJob(**document)
    ranks = rank_from_environment()
    if not Path(job.folder).is_dir():  # the launcher has made it
        raise EnvironmentProblem(
            f"checkpoint {job.folder}: rank {ranks.rank} of {ranks.num_ranks} on {socket.gethostname()} does not see "
            "it; output.root must be a folder that all machines of the cluster share (docs/cluster.md)"
        )
    note = Path(job.folder) / "ranks" / f"rank-{ranks.rank}.json"
    _note(note, status="started", process=os.getpid())
    if ranks.num_ranks > 1:
        signal.signal(signal.SIGTERM, _told_to_stop)
    try:
        with freed_memory_kept():
            figures = _train(job, ranks)
    except BaseException as error:
        _note(
            note,
            status="failed",
            error=f"{type(error).__name__}: {error}",
            kind=type(error).__name__,
            traceback=traceback.format_exc(),
        )
        raise
    _note(note, status="done", **figures)


def _told_to_stop(number: int, frame: object) -> None:
    """The launcher ends the ranks that are left when one has died; theirs is not the failure to report."""
    raise SystemExit("ended by the launcher")


def _train(job: TrainJob, ranks: RankInfo) -> dict[str, Any]:
    torch.set_num_threads(job.threads)
    device = own_device(job.device, ranks)
    warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm")  # it uses pyarrow's old names
    settings = TrainSettings(**job.settings)
    codebook, manifest = Codebook.load(Path(job.codebook)), Manifest.load(Path(job.manifest))
    if manifest.codebook_fingerprint != codebook.fingerprint:
        raise ContractError(
            f"manifest has codebook fingerprint {manifest.codebook_fingerprint}, the codebook {codebook.fingerprint}: "
            "they are from different encode runs; run encode again"
        )
    readers = _readers(manifest, codebook, settings, ranks)
    with process_group(ranks, timeout_seconds=settings.timeout_seconds, device=device):
        if not is_same_everywhere(manifest.digest):
            raise ContractError(
                f"{job.manifest}: rank {ranks.rank} reads another manifest than the other ranks; output.root must be "
                "one folder that all machines share, and show them the same (docs/cluster.md)"
            )
        started = time.perf_counter()
        torch.manual_seed(derive(job.seed, "weights"))
        model = SequenceModel(
            model_config_of(codebook, width=settings.width, hidden=settings.hidden, dropout=settings.dropout)
        )
        targets, rows = _counts(model, readers[TRAINING])
        model.start_from_marginals(targets)
        model.to(device)  # made on the CPU, so that weights begin alike on every device
        trainer = Trainer(
            model,
            readers,
            settings,
            ranks,
            seed=job.seed,
            folder=Path(job.folder),
            manifest_digest=manifest.digest,
        )
        trained = trainer.fit()
        model.load_state_dict(trained.best)
        past = _shrink_past(trainer)
        costs = trainer.validation_costs(model)
        learned = _learned(trainer, costs, past, rows)
        figures = _figures(trained, trainer, ranks, job) | {"validation.loss": costs.mean}
        set_groups(model, targets)
        pairs = _pairs(model, readers[TRAINING], rounds=settings.calibration_rounds)
    # the other ranks are done, and need not wait, which they do no longer than the group's time limit
    if ranks.is_first:
        calibrating = time.perf_counter()
        distances = calibrate(
            model,
            targets,
            pairs,
            rounds=settings.calibration_rounds,
            seed=job.seed,
            trained_in=trainer.number_format,
        )
        figures["calibrate.seconds"] = time.perf_counter() - calibrating
        figures |= {f"calibrate.distance.{index}": value for index, value in enumerate(distances)}
        figures["fit.seconds"] = time.perf_counter() - started
        save_checkpoint(job.model_folder, model, Path(job.codebook), {**figures, "learned": learned})
    return figures


def _readers(
    manifest: Manifest, codebook: Codebook, settings: TrainSettings, ranks: RankInfo
) -> dict[str, SequenceReader]:
    readers: dict[str, SequenceReader] = {}
    for split in (TRAINING, VALIDATION):
        files = files_of_rank(manifest.of_split(split), rank=ranks.rank, num_ranks=ranks.num_ranks)
        readers[split] = ManifestReader(
            files,
            reader=settings.reader,
            window_subjects=settings.window_subjects,
            num_static=len(codebook.static_cardinalities),
            num_event=len(codebook.event_cardinalities),
        )
    return readers


def _counts(model: SequenceModel, reader: SequenceReader) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Counts per code over all ranks: each subject with the same weight, and each row."""
    both = [Marginals(model.config, by_subject=by_subject) for by_subject in (True, False)]
    for window in reader.windows(seed=0, shuffle=False):
        for marginals in both:
            marginals.add(window.static_codes, window.num_events, window.event_codes)
    by_subject, by_row = (summed_tensors(marginals.tensors()) for marginals in both)
    return by_subject, by_row


def _pairs(model: SequenceModel, reader: SequenceReader, *, rounds: int) -> PairTables:
    """Pairs of groups over all ranks; not counted where no round of calibration asks for them."""
    tables = PairTables(model)
    if rounds == 0:
        return tables
    for window in reader.windows(seed=0, shuffle=False):
        tables.count(window.static_codes, window.num_events, window.event_codes)
    for mine, whole in zip(tables.tensors(), summed_tensors(tables.tensors()), strict=True):
        mine.copy_(whole)
    return tables


def _shrink_past(trainer: Trainer) -> list[float | None]:
    """Of each sub-column, what share of its past it keeps; static ones have none. All ranks come to the same."""
    model = trainer.model
    without: list[float | None] = [None] * len(model.config.static_cardinalities)
    if model.events is None:
        return without
    with track(TRIALS if trainer.ranks.is_first else 0, description="shares of the past", unit="trials") as bar:

        def costs() -> NDArray[np.float64]:
            bar.update()
            return trainer.event_costs(model)

        return without + shrink_past(model.events, costs).tolist()


def _learned(
    trainer: Trainer, costs: Costs, past: list[float | None], training: list[torch.Tensor]
) -> list[dict[str, float | None]]:
    """Of each sub-column: its bits under the weights that are kept, before calibration, and its share of the past."""
    _, validation = _counts(trainer.model, trainer.readers[VALIDATION])
    bits = learned_bits(costs.by_column.tolist(), training, validation)
    return [{**of_column, "past": share} for of_column, share in zip(bits, past, strict=True)]


def _figures(trained: Trained, trainer: Trainer, ranks: RankInfo, job: TrainJob) -> dict[str, Any]:
    progress = trained.progress
    return {
        "epochs": progress.epoch,
        "best_epoch": progress.latest.best_epoch,
        "train.seconds_to_stop": progress.seconds,
        "train.seconds_to_best": progress.latest.seconds_to_best,
        "train.events_per_second": progress.events / max(progress.seconds, 1e-9),
        "num_parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
        "num_ranks": dist.get_world_size() if dist.is_initialized() else ranks.num_ranks,
        "threads": job.threads,
        "device": trainer.device.type,
        "number_format": trainer.number_format,
        "reader": trainer.settings.reader,
        "seed": job.seed,
    }


def _note(path: Path, **content: Any) -> None:
    replace_text(path, json.dumps({"time": time.time(), **content}))
