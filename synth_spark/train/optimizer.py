"""AdamW whose weights forget over so many passes of the data: what few data hold is learned by heart less. [torch]"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

# of each part: passes at the full learning rate after which a weight without gradient is 1/e of itself; attributes are
# learned by heart sooner than events
FORGET_PASSES = {"static": 4.0, "event": 8.0}


def make_optimizer(model: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """Groups of parameters by "part" of the network, and by whether they forget: biases hold marginals, and stay."""
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        forgets = parameter.ndim > 1 and "bias" not in name
        groups.setdefault((part_of(name), forgets), []).append(parameter)
    # compared as versions, not by letter; for processors it came with 2.4
    fused = next(model.parameters()).device.type != "cpu" or torch.__version__ >= "2.4"
    described = [
        {"params": parameters, "part": part, "forgets": forgets} for (part, forgets), parameters in groups.items()
    ]
    return torch.optim.AdamW(described, lr=learning_rate, weight_decay=0.0, fused=fused)


def set_rates(
    optimizer: torch.optim.Optimizer, learning_rates: Mapping[str, float], shares: Mapping[str, float], *, full: float
) -> None:
    """Learning rates and decay of the next step.

    AdamW multiplies a weight by 1 - learning rate x decay, which is 1 - share / FORGET_PASSES at the full learning
    rate: a pass forgets as much whatever batches, ranks and data are (the time scale of Wang and Aitchison 2024).

    Args:
        learning_rates: of each part.
        shares: what share of a pass over the data the step trains, of each part.
        full: the learning rate that training begins with.
    """
    assert all(share <= 1 for share in shares.values()), f"a step trains a part of a pass, not {dict(shares)} of one"
    for group in optimizer.param_groups:
        group["lr"] = learning_rates[group["part"]]
        if group["forgets"]:
            group["weight_decay"] = shares[group["part"]] / (FORGET_PASSES[group["part"]] * full)


def rest(optimizer: torch.optim.Optimizer, shares: Mapping[str, float]) -> None:
    """Parts that a step trains nothing of have no gradient, rather than one of zeros.

    AdamW would move them all the same, by what steps before left in its running means: where long histories make many
    steps of few subjects, static weights would move several times as far for each subject.

    Args:
        shares: as in set_rates.
    """
    for group in optimizer.param_groups:
        if shares[group["part"]] == 0:
            for parameter in group["params"]:
                parameter.grad = None


def part_of(name: str) -> str:
    """Which part of the network a weight belongs to."""
    return "event" if name.startswith("events.") else "static"
