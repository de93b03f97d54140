"""Toy models on which shapes, masks and sampling are checked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from synth_spark.model.checkpoint import save_checkpoint
from synth_spark.model.network import ModelConfig, SequenceModel
from tests import toy


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Kernels this small gain nothing from more, and lose much beside other work."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """The same draws in every run of a test."""
    torch.manual_seed(0)


@pytest.fixture
def config() -> ModelConfig:
    return ModelConfig(
        static_cardinalities=toy.STATIC_CARDINALITIES,
        event_cardinalities=toy.EVENT_CARDINALITIES,
        length_lows=toy.LOWS,
        length_highs=toy.HIGHS,
        width=16,
        hidden=8,
        dropout=0.1,
    )


@pytest.fixture
def model(config: ModelConfig) -> SequenceModel:
    return with_random_weights(config)


@pytest.fixture
def folder(tmp_path: Path, model: SequenceModel) -> Path:
    """The model as it is saved."""
    toy.codebook().save(tmp_path / "codebook.json")
    save_checkpoint(tmp_path / "model", model, tmp_path / "codebook.json", {"seed": 1})
    return tmp_path / "model"


@pytest.fixture
def long_config(config: ModelConfig) -> ModelConfig:
    """One whose histories are up to 60 events long."""
    return dataclasses.replace(config, length_highs=(0, 1, 4, 60))


@pytest.fixture
def flat_model(config: ModelConfig) -> SequenceModel:
    """One without an event network."""
    return with_random_weights(
        dataclasses.replace(
            config,
            static_cardinalities=toy.FLAT_CARDINALITIES,
            event_cardinalities=(),
            length_lows=(0,),
            length_highs=(0,),
        )
    )


def with_random_weights(config: ModelConfig) -> SequenceModel:
    """Larger than at the start of training, so that every input matters."""
    torch.manual_seed(0)
    model = SequenceModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    for pairs in (model.static_pairs, *([model.events.pairs] if model.events else [])):
        pairs.calibrated.fill_(True)
        for table in (pairs.within, pairs.given, pairs.previous):
            table.copy_(0.5 * torch.randn_like(table))
        for groups in (pairs.own, pairs.of_given):
            groups.groups.copy_(torch.randint(0, groups.num_groups, groups.groups.shape))
    return model.eval()
