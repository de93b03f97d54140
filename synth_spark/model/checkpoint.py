"""A trained model as a folder: weights (safetensors), configuration and codebook (JSON). No pickle. [torch]

model.json           format, network config, fingerprint, digests, training facts
weights.safetensors  float32
codebook.json        the codebook that gives the codes a meaning
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from synth_spark.codebook import Codebook
from synth_spark.codecs import calendar, number, order
from synth_spark.errors import ContractError
from synth_spark.files import replace_text, write_bytes
from synth_spark.model.facts import CODEBOOK_FILE, FORMAT, MODEL_FILE, WEIGHTS_FILE, read_facts
from synth_spark.model.network import ModelConfig, SequenceModel
from synth_spark.model.number_format import FLOAT32
from synth_spark.model.plans import PlannedFirst, PlannedVariety
from synth_spark.model.recall import MONDAY, SUNDAY, TimeCodes


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model with what it was trained on."""

    model: SequenceModel
    codebook: Codebook
    facts: dict[str, Any]  # seeds, world size, threads, number format, epochs, seconds, losses

    @property
    def trained_in(self) -> str:
        """The number format of training; where the facts do not say, float32, which is exact for any model."""
        return str(self.facts.get("number_format", FLOAT32))


def save_checkpoint(folder: Path, model: SequenceModel, codebook_file: Path, facts: dict[str, Any]) -> None:
    """Write the folder; what makes it a model comes last, so a write that is broken off leaves none.

    Files are written from start to end and no folder is renamed: mounted object stores allow nothing else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).unlink(missing_ok=True)
    weights = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(folder / WEIGHTS_FILE, save(weights))
    shutil.copyfile(codebook_file, folder / CODEBOOK_FILE)
    document = {
        "format": FORMAT,
        "config": model.config.to_document(),
        "codebook_fingerprint": Codebook.load(codebook_file).fingerprint,
        "weights_sha256": file_digest(folder / WEIGHTS_FILE),
        "facts": facts,
    }
    replace_text(folder / MODEL_FILE, json.dumps(document, indent=1, sort_keys=True))


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read and check a model folder.

    Raises:
        ContractError: missing, truncated, altered, of another format, or weights that do not fit the config.
    """
    document = read_facts(folder)
    codebook = Codebook.load(folder / CODEBOOK_FILE)
    try:
        if file_digest(folder / WEIGHTS_FILE) != document["weights_sha256"]:
            raise ValueError(f"{WEIGHTS_FILE} does not match its digest")
        if codebook.fingerprint != document["codebook_fingerprint"]:
            raise ValueError(
                f"{CODEBOOK_FILE} has fingerprint {codebook.fingerprint}, the model {document['codebook_fingerprint']}"
            )
        model = _built(ModelConfig.from_document(document["config"]), load_file(folder / WEIGHTS_FILE))
    except FileNotFoundError:
        raise ContractError(f"checkpoint {folder}: {WEIGHTS_FILE} is missing; run the train stage again") from None
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, OSError, SafetensorError) as error:
        raise ContractError(f"checkpoint {folder}: damaged or foreign ({error}); run the train stage again") from None
    return Checkpoint(model.eval(), codebook, document["facts"])


def _built(config: ModelConfig, weights: dict[str, Tensor]) -> SequenceModel:
    """The network with these weights; ValueError where they are not its own, before it takes memory."""
    with torch.device("meta"):  # shapes alone: a damaged config may ask for any size
        wanted = SequenceModel(config).state_dict()
    if {name: tensor.shape for name, tensor in wanted.items()} != {name: t.shape for name, t in weights.items()}:
        raise ValueError(f"{WEIGHTS_FILE} holds other weights than config in {MODEL_FILE} asks for")
    broken = sorted(name for name, tensor in weights.items() if not torch.isfinite(tensor).all())
    if broken:
        raise ValueError(f"{WEIGHTS_FILE}: {broken[0]} holds NaN or infinity")
    model = SequenceModel(config)
    model.load_state_dict(weights)
    return model


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_config_of(codebook: Codebook, *, width: int, hidden: int, dropout: float) -> ModelConfig:
    """The network that fits a codebook."""
    return ModelConfig(
        static_cardinalities=codebook.static_cardinalities,
        event_cardinalities=codebook.event_cardinalities,
        length_lows=tuple(codebook.length.params["lows"]),
        length_highs=tuple(codebook.length.params["highs"]),
        static_ranks=tuple(ranks for spec in codebook.static_fields for ranks in order.ranks(spec)),
        event_ranks=tuple(ranks for spec in codebook.event_fields for ranks in order.ranks(spec)),
        time=_time_codes(codebook),
        varieties=_planned_varieties(codebook),
        firsts=_planned_firsts(codebook),
        width=width,
        hidden=hidden,
        dropout=dropout,
    )


def _planned_varieties(codebook: Codebook) -> tuple[PlannedVariety, ...]:
    return tuple(
        PlannedVariety(event_column, static_column, tuple(spec.params["lows"]), tuple(spec.params["highs"]))
        for event_column, static_column, spec in codebook.planned_varieties
    )


def _planned_firsts(codebook: Codebook) -> tuple[PlannedFirst, ...]:
    """Of the period, by the start; and of what lasts, whose static codes are the first event's."""
    found = []
    if codebook.start is not None and codebook.period is not None:
        bounds = number.codes_beside(codebook.start, codebook.period)
        place = len(codebook.static_cardinalities) - 2 - len(codebook.start.cardinalities)  # before end and length
        found.append(PlannedFirst(0, place, *bounds))
    for event_column, static_column, num_codes in codebook.lasting_columns:
        same = tuple(range(num_codes))
        found.append(PlannedFirst(event_column, static_column, 1, same, same))
    return tuple(found)


def _time_codes(codebook: Codebook) -> TimeCodes:
    period, elapsed = codebook.period, codebook.elapsed
    if period is None or elapsed is None:
        return TimeCodes()
    ordered, end = len(period.cardinalities), len(codebook.static_cardinalities) - 2  # before the length
    if elapsed.family != "calendar":
        return TimeCodes(ordered, end=end)
    time = TimeCodes(ordered, day=calendar.is_exact(period), times=calendar.num_times(elapsed), end=end)
    assert codebook.time is not None, "there is a clock"
    if not time.day or ordered != 1:
        return time
    days = (calendar.coded_day(period, elapsed, int(codebook.time[bound])) for bound in ("low", "end"))
    (first_week, first_weekday), (last_week, last_weekday) = (
        day or usual for day, usual in zip(days, ((0, MONDAY), (0, SUNDAY)), strict=True)
    )
    return replace(
        time, first_week=first_week, first_weekday=first_weekday, last_week=last_week, last_weekday=last_weekday
    )


def tensors_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """A detached copy of all weights, on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}
