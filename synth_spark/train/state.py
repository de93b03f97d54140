"""What training needs to go on after a crash, written after every epoch: one pass over the data, or a part. [torch]

<folder>/epoch-0007/   weights, averaged and best weights, optimiser moments (safetensors), progress (JSON)
<folder>/latest.json   name of the newest complete folder and digests of its files, replaced atomically
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from synth_spark.errors import ContractError
from synth_spark.files import replace_text, write_bytes
from synth_spark.json_file import read_json
from synth_spark.model.checkpoint import file_digest

Weights = dict[str, Tensor]


# what must be as it was where training goes on, besides manifest, ranks and the model's own sizes
RESUMED_WITH = (
    *("dropout", "learning_rate", "batch_events", "window_events", "window_subjects", "epoch_events", "number_format"),
)
MIN_IMPROVEMENT = 1e-4  # relative; smaller gains count as none
STANDARD_ERRORS = 2.0  # of a gain; one of fewer may be chance, and counts as none


@dataclass
class PartProgress:
    """How far one part of the network has come; parts share no weights, so each has its own best epoch."""

    learning_rate: float
    best_loss: float = float("inf")
    best_epoch: int = -1
    bad_epochs: int = 0
    seconds_to_best: float = 0.0

    def is_better(self, loss: float, epoch: int, seconds: float, *, error: float) -> bool:
        """Note an epoch's validation loss: whether it is the best so far. If not, the learning rate is halved.

        Args:
            error: standard error of what it gained on the best so far. A gain within two of them may be chance, and
                what training meanwhile learned by heart is not: the earlier weights stay (after the rule of one
                standard error of Breiman et al., "Classification and Regression Trees", 1984).
        """
        better = self.best_loss - loss > max(STANDARD_ERRORS * error, MIN_IMPROVEMENT * abs(loss))
        if better:
            self.best_loss, self.best_epoch, self.bad_epochs, self.seconds_to_best = loss, epoch, 0, seconds
        else:
            self.bad_epochs += 1
            self.learning_rate /= 2
        return better


@dataclass
class Progress:
    """Scalars of a training run; everything random is derived from seed and place, so no generator state is kept."""

    manifest_digest: str
    num_ranks: int
    parts: dict[str, PartProgress]  # static, and event unless the data is flat
    epoch: int = 0  # epochs done
    passes: int = 0  # passes over the training data done: as many, or fewer where a pass is several epochs
    windows: int = 0  # windows done of the pass that is begun
    step: int = 0
    seconds: float = 0.0  # spent training so far, without this process's start
    events: int = 0  # events trained on so far, all ranks
    settings: dict[str, Any] = field(default_factory=dict)  # those of RESUMED_WITH

    def finished(self, *, max_epochs: int, patience: int, max_minutes: float | None) -> bool:
        """Whether another epoch would be one too many."""
        out_of_time = max_minutes is not None and self.seconds >= 60 * max_minutes
        out_of_patience = all(part.bad_epochs >= patience for part in self.parts.values())
        return self.epoch >= max_epochs or out_of_patience or (self.epoch > 0 and out_of_time)

    @property
    def best_loss(self) -> float:
        """Nats per validation subject under the weights that are kept."""
        return sum(part.best_loss for part in self.parts.values())

    @property
    def latest(self) -> PartProgress:
        """The part that got better last."""
        return max(self.parts.values(), key=lambda part: part.best_epoch)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Progress:
        """The inverse of asdict."""
        parts = {name: PartProgress(**part) for name, part in document["parts"].items()}
        return cls(**{**document, "parts": parts})


def save_state(folder: Path, progress: Progress, weights: dict[str, Weights], optimizer: torch.optim.Optimizer) -> None:
    """One more complete epoch on disk, which counts once latest.json names it; older ones are removed afterwards."""
    name = f"epoch-{progress.epoch:04d}"
    newest = folder / name
    shutil.rmtree(newest, ignore_errors=True)
    newest.mkdir(parents=True)
    for kind, tensors in weights.items():
        write_bytes(newest / f"{kind}.safetensors", save({key: t.contiguous() for key, t in tensors.items()}))
    write_bytes(newest / "optimizer.safetensors", save(_moments(optimizer)))
    replace_text(newest / "progress.json", json.dumps(asdict(progress)))
    digests = {file.name: file_digest(file) for file in sorted(newest.iterdir())}
    replace_text(folder / "latest.json", json.dumps({"folder": name, "sha256": digests}))
    for old in folder.glob("epoch-*"):
        if old.name != name:
            shutil.rmtree(old, ignore_errors=True)


def load_state(
    folder: Path, begun: Progress, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Weights]] | None:
    """The newest complete epoch of such a model, its optimiser moments put into `optimizer`; None where there is none.

    Args:
        begun: how training would begin here: the same manifest, ranks and settings.

    Raises:
        ContractError: it was trained on another manifest, with another number of ranks, other settings or for another
            model, or is damaged.
    """
    pointer = folder / "latest.json"
    if not pointer.exists():
        return None
    try:
        latest = read_json(pointer)
        newest = folder / Path(latest["folder"]).name
        changed = [name for name, digest in latest["sha256"].items() if file_digest(newest / Path(name).name) != digest]
        if changed:
            raise ValueError(f"{', '.join(changed)} of {newest.name}: not as written")
        progress = Progress.from_document(read_json(newest / "progress.json"))
        weights = {kind: load_file(newest / f"{kind}.safetensors") for kind in ("current", "averaged", "best")}
        moments = load_file(newest / "optimizer.safetensors")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise ContractError(
            f"checkpoint {folder}: damaged ({error}); remove the folder to train from the start"
        ) from None
    if progress.manifest_digest != begun.manifest_digest:
        raise ContractError(
            f"checkpoint {folder}: was trained on manifest {progress.manifest_digest}, this run has "
            f"{begun.manifest_digest}; remove the folder to train from the start, or restore the manifest"
        )
    if progress.num_ranks != begun.num_ranks:
        raise ContractError(
            f"checkpoint {folder}: was trained with {progress.num_ranks} ranks, train.num_ranks is {begun.num_ranks}; "
            "use the same number, or remove the folder to train from the start"
        )
    other = [
        f"train.{name} was {value}, is {begun.settings[name]}"
        for name, value in progress.settings.items()
        if value != begun.settings[name]
    ]
    if other:
        raise ContractError(
            f"checkpoint {folder}: {'; '.join(other)}; set it as it was, or remove the folder to train from the start "
            "(synth-spark run --fresh makes a new run)"
        )
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if any({name: tensor.shape for name, tensor in held.items()} != wanted for held in weights.values()):
        raise ContractError(
            f"checkpoint {folder}: holds weights of another model than train.width, train.hidden and the codebook give "
            "now; set them as they were, or remove the folder to train from the start"
        )
    _restore_moments(optimizer, moments)
    return progress, weights


def _moments(optimizer: torch.optim.Optimizer) -> Weights:
    flat: Weights = {}
    for index, parameter in enumerate(_parameters(optimizer)):
        for key, value in optimizer.state[parameter].items():
            flat[f"{index}.{key}"] = torch.as_tensor(value).cpu().contiguous()
    return flat


def _restore_moments(optimizer: torch.optim.Optimizer, flat: Weights) -> None:
    for index, parameter in enumerate(_parameters(optimizer)):
        prefix = f"{index}."
        optimizer.state[parameter] = {
            key.removeprefix(prefix): value.to(parameter.device)
            for key, value in flat.items()
            if key.startswith(prefix)
        }


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
