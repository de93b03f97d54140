"""Toy models on which shapes, masks and sampling are checked."""

from __future__ import annotations

import pytest
import torch

from synth_spark.model.network import ModelConfig, SequenceModel
from tests import toy


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
    """Random weights, larger than at the start of training so that every input matters."""
    torch.manual_seed(0)
    model = SequenceModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()
