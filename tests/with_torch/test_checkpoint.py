"""A model folder comes back as it was, or not at all."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from synth_spark.errors import ContractError
from synth_spark.model.checkpoint import load_checkpoint, save_checkpoint
from synth_spark.model.network import ModelConfig
from synth_spark.model.plans import PlannedVariety
from synth_spark.model.recall import TimeCodes


def test_round_trip(folder, model):
    loaded = load_checkpoint(folder)
    assert loaded.facts == {"seed": 1}
    assert loaded.model.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)


def test_what_histories_plan_comes_back(config):
    variety = PlannedVariety(event_column=1, static_column=0, lows=(1, 3), highs=(2, 12))
    time = TimeCodes(ordered=1, day=False, times=0, end=0)
    planned = dataclasses.replace(config, varieties=(variety,), time=time)
    assert ModelConfig.from_document(json.loads(json.dumps(planned.to_document()))) == planned


def test_saving_again_replaces_the_folder(folder, model, tmp_path):
    save_checkpoint(folder, model, tmp_path / "codebook.json", {"seed": 2})
    assert load_checkpoint(folder).facts == {"seed": 2}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["codebook.json", "model"]


def _truncate(folder):
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])


def _flip(folder):
    weights = folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)


def _foreign_codebook(folder):
    document = json.loads((folder / "codebook.json").read_text())
    (folder / "codebook.json").write_text(json.dumps({**document, "seed": 2}))


def _other_format(folder):
    document = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**document, "format": 99}))


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _flip,
        _foreign_codebook,
        _other_format,
        lambda folder: (folder / "model.json").unlink(),
        lambda folder: (folder / "weights.safetensors").unlink(),
        lambda folder: (folder / "model.json").write_text("[]"),
    ],
)
def test_damage_is_named(folder, damage):
    damage(folder)
    with pytest.raises(ContractError, match="run the train stage"):
        load_checkpoint(folder)
