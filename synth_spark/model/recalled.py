"""Recall over the windows of events that train. [torch]

Everything of shape (events, codes) that recalling needs is made and differentiated here by hand: by itself each step
of it would be kept for the gradient, and reading and writing them would take longer than all products of the network.

Shapes, as in model/recall.py: N rows (events that exist), B subjects, T steps, C event sub-columns, K codes of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from synth_spark.codecs.calendar import SAME_DAY
from synth_spark.model.plans import NO_CODE, Plan
from synth_spark.model.recall import LOG2_E, Came, Recall, Standing, add_recalled


class RecalledPast(Protocol):
    """What is recalled of the events before a window."""

    @property
    def codes(self) -> Tensor:
        """BC, of the last event."""

    @property
    def weekday(self) -> Tensor:
        """B, of the last day."""

    @property
    def counts(self) -> Tensor:
        """B(sum of K), how often each code came."""


@dataclass(frozen=True)
class Recalled:
    """A Recall over a window of events; what is N is of the events that exist."""

    recall: Recall
    codes: Tensor  # NC
    came: list[Came]  # of each sub-column
    standing: Standing
    weekday: Tensor  # B, after the window
    counts: Tensor  # B(sum of K), after the window

    def nats(self, logits: list[Tensor], hidden: Tensor, pairs: list[Tensor] | None, shown: Tensor) -> Tensor:
        """nats_NC of the codes in float32.

        Args:
            logits: NK of each sub-column, without what is recalled.
            hidden: CNH, what made them.
            pairs: NK to add of each sub-column.
            shown: N1, 0 where nothing is recalled; what time forbids, and the plan of period and first event, holds.
        """
        gates = self.recall.gates(hidden, self.standing) * shown
        found = []
        for column, of_column in enumerate(logits):
            added = self.recall.onward(column, hidden[column], self.codes, self.standing)
            if pairs is not None:
                added = pairs[column] if added is None else added + pairs[column]
            fixed = _Fixed(
                self.came[column],
                self.standing.before[:, column],
                self.recall.forbidden(column, self.codes, self.standing),
                self.codes[:, column],
            )
            found.append(_RecalledNats.apply(of_column, gates[column], added, fixed))
        return torch.stack(found, dim=1)


@dataclass(frozen=True)
class _Fixed:
    """What of a sub-column has no gradient."""

    came: Came
    before: Tensor  # N
    forbidden: list[tuple[Tensor, float]]  # masks NK with logits
    codes: Tensor  # N, whose nats are asked for


class _RecalledNats(torch.autograd.Function):
    """logits_NK, gates_N3, added_NK (or None) -> nats_N: cross entropy after Recall.add_to, in one step."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, gates: Tensor, added: Tensor | None, fixed: _Fixed) -> Tensor:
        scores = logits.float() if added is None else logits + added
        if scores is logits:
            scores = logits.clone()
        add_recalled(scores, gates, fixed.came, fixed.before)
        for mask, logit in fixed.forbidden:
            scores.masked_fill_(mask, logit)
        log_chance = torch.log_softmax(scores, dim=1)
        ctx.fixed, ctx.kind, ctx.is_added = fixed, logits.dtype, added is not None
        ctx.save_for_backward(log_chance)
        return -log_chance.gather(1, fixed.codes[:, None])[:, 0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        (gradient,) = gradients
        (log_chance,) = ctx.saved_tensors
        fixed: _Fixed = ctx.fixed
        of_scores = log_chance.mul(LOG2_E).exp2_().mul_(gradient[:, None])
        of_scores.scatter_add_(1, fixed.codes[:, None], -gradient[:, None])
        of_amount = of_scores * fixed.came.amount
        of_once = of_scores * fixed.came.once
        of_last = of_scores.gather(1, fixed.before.clamp(min=0)[:, None])[:, 0] * (fixed.before != NO_CODE)
        of_gates = torch.stack([of_once.sum(1), of_amount.sum(1), of_last], dim=1)
        return of_scores.to(ctx.kind), of_gates, of_scores if ctx.is_added else None, None


def recall_window(
    recall: Recall, codes: Tensor, rows: Tensor, index: Tensor, remaining: Tensor, plan: Plan, past: RecalledPast
) -> Recalled:
    """For a window of events.

    Args:
        codes: BTC.
        rows: N, places of the events that exist among all B T.
        index: T, of each event in its history.
        remaining: BT, events to come.
        plan: of B.
        past: of B, before the window.
    """
    num_steps = codes.shape[1]
    of_rows = [
        _Column.of(codes[..., column], counts, rows) for column, counts in enumerate(_split(recall, past.counts))
    ]
    before = torch.cat([past.codes[:, None], codes[:, :-1]], dim=1)
    weekdays = torch.cat([past.weekday[:, None], _weekdays(recall, codes, past.weekday)], dim=1)
    standing = Standing(
        before.flatten(0, 1)[rows],
        weekdays[:, :-1].flatten()[rows],
        index.expand(len(codes), -1).flatten()[rows],
        remaining.flatten()[rows],
        plan.of_events(num_steps, rows),
        torch.stack([column.distinct for column in of_rows], dim=1),
        torch.stack([column.once for column in of_rows], dim=1),
    )
    came = [column.came for column in of_rows]
    counts = torch.cat([column.counts for column in of_rows], dim=1)
    return Recalled(recall, codes.flatten(0, 1)[rows], came, standing, weekdays[:, -1], counts)


def _split(recall: Recall, counts: Tensor) -> list[Tensor]:
    return list(counts.split(recall.cardinalities, dim=1))


@dataclass(frozen=True)
class _Column:
    """What came of one sub-column."""

    came: Came
    distinct: Tensor  # N, how many codes came before an event
    once: Tensor  # N, how many of them once
    counts: Tensor  # BK, after the window

    @classmethod
    def of(cls, codes: Tensor, past: Tensor, rows: Tensor) -> _Column:
        """Of codes_BT after a past of counts_BK, for the events rows_N."""
        num_subjects, num_steps = codes.shape
        counts = past.new_zeros(num_subjects, num_steps + 1, past.shape[1])
        counts[:, 0] = past
        counts[:, 1:].scatter_(2, codes[..., None], 1.0)
        counts.cumsum_(1)
        own = counts[:, :-1].gather(2, codes[..., None])[..., 0]
        is_new, is_second = (own == 0).long(), (own == 1).long()
        distinct = (past > 0).sum(1, keepdim=True) + is_new.cumsum(1) - is_new
        change = is_new - is_second
        once = (past == 1).sum(1, keepdim=True) + change.cumsum(1) - change
        # the row of counts before an event: each subject has one row more than steps
        amount = counts.flatten(0, 1)[rows + rows // num_steps].log1p_()
        return cls(Came(amount.sign(), amount), distinct.flatten()[rows], once.flatten()[rows], counts[:, -1])


def _weekdays(recall: Recall, codes: Tensor, weekday: Tensor) -> Tensor:
    """The latest weekday named at each event of codes_BTC: BT."""
    if not recall.time.day:
        return weekday[:, None].expand(-1, codes.shape[1])
    days = torch.cat([weekday[:, None], codes[..., recall.time.ordered]], dim=1)
    named = torch.where(days == SAME_DAY, 0, torch.arange(days.shape[1], device=days.device))
    return days.gather(1, named.cummax(1).values)[:, 1:]
