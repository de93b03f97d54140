"""What is differentiated by hand and counted at once is what plain steps give."""

from __future__ import annotations

import pytest
import torch

from synth_spark.model.network import Past
from synth_spark.model.plans import NO_CODE, Plan
from synth_spark.model.recall import RULED_OUT, UNPLANNED, Came, Recall, TimeCodes
from synth_spark.model.recalled import _Fixed, _RecalledNats, recall_window

ROWS, CODES = 40, 7


def _plain_nats(logits, gates, added, fixed):
    """The same by differentiable steps of torch alone."""
    begun = (fixed.before != NO_CODE)[:, None]
    scores = logits + gates[:, 0:1] * fixed.came.once + gates[:, 1:2] * fixed.came.amount
    scores = scores.scatter_add(1, fixed.before.clamp(min=0)[:, None], gates[:, 2:3] * begun)
    scores = scores if added is None else scores + added
    for mask, logit in fixed.forbidden:
        scores = scores.masked_fill(mask, logit)
    return torch.nn.functional.cross_entropy(scores, fixed.codes, reduction="none")


@pytest.mark.parametrize("with_added", [True, False])
def test_gradients_are_those_of_plain_steps(with_added):
    generator = torch.Generator().manual_seed(3)
    codes = torch.randint(0, CODES - 2, (ROWS,), generator=generator)
    forbidden = [  # never the code itself
        (torch.arange(CODES).expand(ROWS, -1) == CODES - 1, RULED_OUT),
        ((torch.rand(ROWS, CODES, generator=generator) < 0.3).scatter(1, codes[:, None], False), UNPLANNED),
    ]
    counts = torch.randint(0, 3, (ROWS, CODES), generator=generator)
    before = torch.randint(NO_CODE, CODES, (ROWS,), generator=generator)
    fixed = _Fixed(Came((counts > 0).float(), counts.float().log1p()), before, forbidden, codes)
    weight = torch.randn(ROWS, generator=generator)
    found = []
    for nats in (_RecalledNats.apply, _plain_nats):
        own = torch.Generator().manual_seed(4)
        shapes = [(ROWS, CODES), (ROWS, 3), (ROWS, CODES)]
        given = [torch.randn(*shape, generator=own).requires_grad_() for shape in shapes]
        value = nats(given[0], given[1], given[2] if with_added else None, fixed)
        (value * weight).sum().backward()
        found.append([value.detach(), *(part.grad for part in given[: 3 if with_added else 2])])
    for by_hand, plain in zip(*found, strict=True):
        torch.testing.assert_close(by_hand, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("split", [5, 2])
def test_what_came_is_counted_across_windows(split):
    """Two windows know what a loop over the events knows."""
    cardinalities = (4, 3)
    recall = Recall(cardinalities, hidden=5, time=TimeCodes())
    codes = torch.stack([torch.randint(0, most, (6, 5)) for most in cardinalities], dim=2)
    past = Past.empty(torch.zeros(6, 5, 2), 3, cardinalities)
    amounts, distinct, once = [], [], []
    none = torch.zeros(6, 0, 2, dtype=torch.int64)
    plan = Plan(none, none, torch.zeros(6, dtype=torch.int64))
    for start, end in ((0, split), (split, 5)):
        if start == end:
            continue
        index = torch.arange(start, end)
        window = codes[:, start:end]
        rows = torch.arange(6 * (end - start))
        found = recall_window(recall, window, rows, index, (5 - index).expand(6, -1), plan, past)
        past = Past(end, *[getattr(past, name) for name in ("hidden", "cell", "first", "previous", "total")],
                    window[:, -1], found.weekday, found.counts)  # fmt: skip
        amounts.append(found.came[0].amount.view(6, end - start, -1))
        distinct.append(found.standing.distinct.view(6, end - start, 2))
        once.append(found.standing.once.view(6, end - start, 2))
    for subject in range(6):
        for step in range(5):
            for column in range(2):
                came = codes[subject, :step, column].bincount(minlength=cardinalities[column])
                assert torch.cat(distinct, 1)[subject, step, column] == (came > 0).sum()
                assert torch.cat(once, 1)[subject, step, column] == (came == 1).sum()
            came = codes[subject, :step, 0].bincount(minlength=cardinalities[0])
            torch.testing.assert_close(torch.cat(amounts, 1)[subject, step], came.float().log1p())
