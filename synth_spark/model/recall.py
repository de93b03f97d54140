"""What a history holds already, straight into the logits of the next codes: repetition, and the order of time. [torch]

A subject repeats itself: shops, routes, amounts come again. Embeddings and their mean carry that only after long
training, and blurred; here each code's logit gets what the network makes of whether, how often and whether just now
that code came in this history. Of the codes that tell the time, logits are relative to the code of the event before,
and codes that would go back in time are ruled out.

Shapes, as in model/network.py: N rows (events), B subjects, T steps, C event sub-columns, K codes of one sub-column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor, nn

from synth_spark.codecs.calendar import SAME_DAY
from synth_spark.model.plans import NO_CODE, Plan, PlannedVariety, Plans, breaks_plan

RULED_OUT = -1e4  # added to a logit: exp gives 0, and unlike minus infinity it can be multiplied by 0
UNPLANNED = -5e3  # likewise, but where a plan leaves no code at all, time still does not go back
VARIETY_WIDTH = 16
_NUM_VARIETY = 5


@dataclass(frozen=True)
class TimeCodes:
    """The event sub-columns that tell the time; a clock that only counts has no days, no clock has none of it.

    ordered: leading sub-columns that never go back, as one number: the period or week, and its slice.
    day: whether the next one is the day: weekdays 0-6 ascending in a week, then the code for the same day.
    times: if not 0, the one after it holds times of day below this code, gaps of the same day from it on.
    end: the static sub-column that says the last event's code of the first ordered one, or, by the code after all of
        these, that it is the first event's. There is one where there is a clock.
    """

    ordered: int = 0
    day: bool = False
    times: int = 0
    end: int = 0


@dataclass(frozen=True)
class Standing:
    """Where N events stand in their histories."""

    before: Tensor  # NC, codes of the event before; NO_CODE where there is none
    weekday: Tensor  # N, of the latest day that the history named; NO_CODE before the first event
    num_before: Tensor  # N, events before
    remaining: Tensor  # N, events to come, this one included
    plan: Plan


class Recall(nn.Module):
    """Sums to add to the logits of each sub-column. Begins at zero."""

    def __init__(
        self, cardinalities: Sequence[int], hidden: int, time: TimeCodes, planned: Sequence[PlannedVariety] = ()
    ) -> None:
        super().__init__()
        self.cardinalities, self.time = tuple(cardinalities), time
        self.plans = Plans(planned, VARIETY_WIDTH, num_periods=self.cardinalities[0], end=time.end)
        self.starts = [0, *accumulate(self.cardinalities)]
        self.weight = nn.Parameter(torch.zeros(len(self.cardinalities), hidden, 3))
        self.bias = nn.Parameter(torch.zeros(len(self.cardinalities), 1, 3))
        self.from_variety = nn.Parameter(torch.randn(len(self.cardinalities), _NUM_VARIETY, VARIETY_WIDTH) * 0.7)
        self.of_variety = nn.Parameter(torch.zeros(len(self.cardinalities), VARIETY_WIDTH, 3))
        # by how many periods ahead, and by what share of the time that is left: linear and squared
        self.ahead = nn.Linear(hidden, self.cardinalities[0] + 2) if time.ordered else None
        if self.ahead is not None:
            nn.init.zeros_(self.ahead.weight)
            nn.init.zeros_(self.ahead.bias)

    def forward(self, column: int, hidden: Tensor, codes: Tensor, amount: Tensor, standing: Standing) -> Tensor:
        """added_NK for one sub-column.

        Args:
            hidden: NH, what the column's output map reads.
            codes: NC, of the event itself; only the columns before this one are looked at.
            amount: NK, logarithm of one more than how often each code of this column came.
            standing: of N.
        """
        gates = torch.baddbmm(self.bias[column, None], hidden[None], self.weight[column, None])[0].float()
        seen, remaining, plan = amount > 0, standing.remaining, standing.plan
        variety = _variety(seen, amount, standing.num_before) @ self.from_variety[column]
        to_come = self.plans.to_come(column, plan, seen)
        if to_come is not None:
            variety = variety + self.plans.features(column, to_come, remaining)
        gates = gates + (torch.tanh(variety) @ self.of_variety[column]).float()
        added = gates[:, 0:1] * seen + gates[:, 1:2] * amount
        last = standing.before[:, column : column + 1]
        begun = last != NO_CODE
        added = added.scatter_add(1, last.clamp(min=0), gates[:, 2:3] * begun)
        if column == 0 and self.ahead is not None:
            left = self.plans.time_left(last, plan.end[:, None])
            added = added + self._ahead(self.ahead(hidden).float(), last, left) * begun
            added = added.masked_fill(self.plans.leads_elsewhere(last, remaining[:, None], plan), UNPLANNED)
        if to_come is not None:
            added = added.masked_fill(breaks_plan(to_come, seen, remaining), UNPLANNED)
        ruled_out = self._ruled_out(column, codes, standing.before, standing.weekday)
        return added if ruled_out is None else added.masked_fill(ruled_out, RULED_OUT)

    def _ahead(self, of_hidden: Tensor, last: Tensor, left: Tensor) -> Tensor:
        """added_NK for the period. One bold leap early in a long history leaves too little time for what remains:
        what a leap costs must be seen for each code by itself."""
        every = torch.arange(self.cardinalities[0], device=last.device)
        leap = (every - last.clamp(min=0)).clamp(min=0)
        used = torch.log1p(left.float()) - torch.log1p((left - leap).clamp(min=0).float())
        steps, linear, squared = of_hidden.split([len(every), 1, 1], dim=1)
        return steps.gather(1, leap) + linear * used + squared * used.square()

    def over(self, index: Tensor, remaining: Tensor, plan: Plan, codes: Tensor, past: RecalledPast) -> Recalled:
        """For a window of events.

        Args:
            index: T, of each event in its history.
            remaining: BT, events to come.
            plan: of B.
            codes: BTC.
            past: of B, before the window.
        """
        before = torch.cat([past.codes[:, None], codes[:, :-1]], dim=1)
        weekdays = torch.cat([past.weekday[:, None], self._weekdays(codes, past.weekday)], dim=1)
        standing = Standing(
            before.flatten(0, 1),
            weekdays[:, :-1].flatten(),
            index.expand(len(codes), -1).flatten(),
            remaining.flatten(),
            plan.of_events(codes.shape[1]),
        )
        return Recalled(self, codes, standing, before[..., 0], weekdays[:, -1], past.counts)

    def _weekdays(self, codes: Tensor, weekday: Tensor) -> Tensor:
        """The latest weekday named at each event: BT."""
        if not self.time.day:
            return weekday[:, None].expand(-1, codes.shape[1])
        days = torch.cat([weekday[:, None], codes[..., self.time.ordered]], dim=1)
        named = torch.where(days == SAME_DAY, 0, torch.arange(days.shape[1], device=days.device))
        return days.gather(1, named.cummax(1).values)[:, 1:]

    def _ruled_out(self, column: int, codes: Tensor, before: Tensor, weekday: Tensor) -> Tensor | None:
        """Codes NK that would go back in time, or that do not go with the codes before them."""
        time, every = self.time, torch.arange(self.cardinalities[column], device=codes.device)
        if column <= time.ordered:
            as_before = (codes[:, :column] == before[:, :column]).all(1, keepdim=True)
            if column < time.ordered:
                return as_before & (every < before[:, column : column + 1])
            if time.day:
                return torch.where(as_before, every <= weekday[:, None], every == SAME_DAY)
        if time.times and column == time.ordered + 1:
            same = codes[:, column - 1 : column] == SAME_DAY
            return (every < time.times) == same
        return None


def _variety(seen: Tensor, amount: Tensor, num_before: Tensor) -> Tensor:
    """How much a history has tried so far, by sub-column: features_NF, for who tried little will go on repeating that.

    Logarithms of how many codes came, of their share of all events, of the share of codes that came once (the chance of
    something new, by Good and Turing), and of the number of events; and 1.
    """
    codes = seen.sum(1).float().log1p()
    once = (seen & (amount < 1)).sum(1).float().log1p()
    events = num_before.float().log1p()
    return torch.stack([codes, codes - events, once - events, events, torch.ones_like(events)], dim=1)


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


class Recalled:
    """A Recall over a window of events: `added` for their logits; then weekday_B and counts_B(sum of K) after it.

    period_before_BT: the first code of the event before.
    """

    def __init__(
        self, recall: Recall, codes: Tensor, standing: Standing, period_before: Tensor, weekday: Tensor, counts: Tensor
    ) -> None:
        self._recall, self._codes, self._standing, self._counts = recall, codes, standing, counts
        self.period_before, self.weekday = period_before, weekday
        self.counts = counts.clone()

    def added(self, column: int, hidden: Tensor) -> Tensor:
        """added_NK of one sub-column, N = B T; once for every sub-column."""
        first, end = self._recall.starts[column : column + 2]
        own = self._codes[..., column, None]
        came = torch.zeros(*own.shape[:2], end - first, device=own.device).scatter_(2, own, 1.0)
        upto = came.cumsum(1) + self._counts[:, None, first:end]
        self.counts[:, first:end] = upto[:, -1]
        amount = (upto - came).log1p().flatten(0, 1)
        return self._recall(column, hidden, self._codes.flatten(0, 1), amount, self._standing)
