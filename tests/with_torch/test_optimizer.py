"""What weights forget, by passes over the data, whatever the steps; and when a gain counts."""

from __future__ import annotations

import math

import pytest
import torch

from synth_spark.train import optimizer as module
from synth_spark.train.optimizer import make_optimizer, set_rates
from synth_spark.train.state import PartProgress


def _after_passes(network: torch.nn.Module, passes: float, steps: int, *, slower: float = 1.0) -> None:
    """So many passes in equal steps, none of which has a gradient."""
    optimizer = make_optimizer(network, 0.01)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(steps):
        set_rates(optimizer, {"static": 0.01 * slower}, {"static": passes / steps}, full=0.01)
        optimizer.step()


@pytest.mark.parametrize("steps", [400, 4000])
def test_forgetting_is_counted_in_passes_not_in_steps(steps):
    network = torch.nn.Linear(3, 2)
    weight, bias = network.weight.detach().clone(), network.bias.detach().clone()
    _after_passes(network, module.FORGET_PASSES["static"], steps)
    torch.testing.assert_close(network.weight.detach(), weight / math.e, rtol=0.01, atol=0)
    torch.testing.assert_close(network.bias.detach(), bias)


def test_a_lower_learning_rate_forgets_more_slowly():
    network = torch.nn.Linear(3, 2)
    weight = network.weight.detach().clone()
    _after_passes(network, module.FORGET_PASSES["static"], 400, slower=0.5)
    torch.testing.assert_close(network.weight.detach(), weight * math.exp(-0.5), rtol=0.01, atol=0)


def test_more_than_a_pass_in_a_step_is_a_reader_that_was_not_counted():
    with pytest.raises(AssertionError, match="a part of a pass"):
        set_rates(make_optimizer(torch.nn.Linear(3, 2), 0.01), {"static": 0.01}, {"static": 2.0}, full=0.01)


def test_parts_have_rates_of_their_own(model):
    optimizer = make_optimizer(model, 0.01)
    rates, shares = {"static": 0.01, "event": 0.005}, {"static": 0.1, "event": 0.2}
    set_rates(optimizer, rates, shares, full=0.01)
    found = {
        (group["part"], group["forgets"]): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups
    }
    decay = {part: share / module.FORGET_PASSES[part] / 0.01 for part, share in shares.items()}
    assert found == {
        (part, forgets): (rate, pytest.approx(decay[part] if forgets else 0.0))
        for part, rate in rates.items()
        for forgets in (True, False)
    }
    grouped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(map(id, grouped)) == sorted(map(id, model.parameters()))


def test_a_gain_that_may_be_chance_keeps_the_earlier_weights():
    """What is learned by heart between two epochs is certain, what is gained within two standard errors is not."""
    part = PartProgress(learning_rate=1.0)
    told = [part.is_better(loss, epoch, 0.0, error=0.05) for epoch, loss in enumerate([9.0, 8.95, 8.85, 8.8, 8.7])]
    assert told == [True, False, True, False, True]
    assert (part.best_loss, part.best_epoch) == (8.7, 4)
    assert part.learning_rate == 1 / 4, "halved by each epoch that is not better"
