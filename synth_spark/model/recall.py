"""What a history holds already, straight into the logits of the next codes: repetition, and the order of time. [torch]

A subject repeats itself: shops, routes, amounts come again. Embeddings and their mean carry that only after long
training, and blurred; here each code's logit gets what the network makes of whether, how often and whether just now
that code came in this history. Of the codes that tell the time, logits are relative to the code of the event before,
and codes that would go back in time are ruled out.

Shapes, as in model/network.py: N rows (events), B subjects, T steps, C event sub-columns, K codes of one sub-column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from synth_spark.codecs.calendar import SAME_DAY
from synth_spark.model.plans import NO_CODE, Plan, PlannedFirst, PlannedVariety, Plans, must_repeat

RULED_OUT = -1e4  # as a logit: exp gives 0, and unlike minus infinity its differences are numbers
UNPLANNED = -1e3  # likewise, but where a plan leaves no code at all, time still does not go back
LOG2_E = math.log2(math.e)  # exp2 of this times x is exp(x), and as fast for a code that is ruled out
VARIETY_WIDTH = 16
_NUM_VARIETY = 5
_WEEKDAYS, MONDAY, SUNDAY = 7, 0, 6
PACE = 0.5  # at first; 1 would be that of events that come one by one, bursts go slower


@dataclass(frozen=True)
class TimeCodes:
    """The event sub-columns that tell the time; a clock that only counts has no days, no clock has none of it.

    ordered: leading sub-columns that never go back, as one number: the period or week, and its slice.
    day: whether the next one is the day: weekdays 0-6 ascending in a week, then the code for the same day.
    times: if not 0, the one after it holds times of day below this code, gaps of the same day from it on.
    end: the static sub-column that says the last event's code of the first ordered one, or, by the code after all of
        these, that it is the first event's. There is one where there is a clock.
    first_week, first_weekday, last_week, last_weekday: code and weekday of the first and of the last day there is, if
        there are days.
    """

    ordered: int = 0
    day: bool = False
    times: int = 0
    end: int = 0
    first_week: int = 0
    first_weekday: int = MONDAY
    last_week: int = 0
    last_weekday: int = SUNDAY


@dataclass(frozen=True)
class Standing:
    """Where N events stand in their histories."""

    before: Tensor  # NC, codes of the event before; NO_CODE where there is none
    weekday: Tensor  # N, of the latest day that the history named; NO_CODE before the first event
    num_before: Tensor  # N, events before
    remaining: Tensor  # N, events to come, this one included
    plan: Plan
    distinct: Tensor  # NC, how many codes of a sub-column came
    once: Tensor  # NC, how many of them came once


@dataclass(frozen=True)
class Came:
    """Which codes of a sub-column came before N events."""

    once: Tensor  # NK, 1 where a code came at least once, else 0
    amount: Tensor  # NK, logarithm of one more than how often


class Leap(nn.Module):
    """What it costs to leap on in time, as logits.

    One bold leap early in a long history leaves too little time for what remains: what a leap costs must be seen for
    each code by itself. Of r events that lie anywhere in the time that is left, all lie beyond a share s of it with
    chance (1 - s)^r. A history that came too far too early, which no real one shows, has many events for little time:
    only a cost in proportion to r then waits for the others.
    """

    def __init__(self, hidden: int, most: int) -> None:
        """most: steps of the longest leap."""
        super().__init__()
        # by how many steps ahead; by what share of the time that is left: linear, squared, times the events to come
        self.worth = nn.Linear(hidden, most + 4)
        nn.init.zeros_(self.worth.weight)
        nn.init.zeros_(self.worth.bias)
        nn.init.constant_(self.worth.bias[-1:], PACE)

    def forward(self, hidden: Tensor, steps: Tensor, left: Tensor, to_come: Tensor) -> Tensor:
        """added_NK, of hidden_NH, steps_NK ahead, left_N1 steps to the planned end, to_come_N1 events after this."""
        used = torch.log1p(left.float()) - torch.log1p((left - steps).clamp(min=0).float())
        by_steps, linear, squared, pace = self.worth(hidden).float().split([self.worth.out_features - 3, 1, 1, 1], 1)
        return by_steps.gather(1, steps) + (linear - pace * to_come) * used + squared * used.square()


class Recall(nn.Module):
    """Sums to add to the logits of each sub-column. All but `stay` begins at zero."""

    def __init__(
        self,
        cardinalities: Sequence[int],
        hidden: int,
        time: TimeCodes,
        planned: Sequence[PlannedVariety] = (),
        firsts: Sequence[PlannedFirst] = (),
    ) -> None:
        super().__init__()
        self.cardinalities, self.time = tuple(cardinalities), time
        self.plans = Plans(planned, VARIETY_WIDTH, firsts=firsts, num_periods=self.cardinalities[0], end=time.end)
        self.starts = [0, *accumulate(self.cardinalities)]
        self.weight = nn.Parameter(torch.zeros(len(self.cardinalities), hidden, 3))
        self.bias = nn.Parameter(torch.zeros(len(self.cardinalities), 1, 3))
        self.from_variety = nn.Parameter(torch.randn(len(self.cardinalities), _NUM_VARIETY, VARIETY_WIDTH) * 0.7)
        self.of_variety = nn.Parameter(torch.zeros(len(self.cardinalities), VARIETY_WIDTH, 3))
        self.ahead = Leap(hidden, self.cardinalities[0] - 1) if time.ordered else None
        self.days_ahead = Leap(hidden, _WEEKDAYS - 1) if time.day and time.ordered == 1 else None
        # by the weekday of the event before; at first in proportion to what is left of its week: after a Sunday nothing
        # but the same day, and hundreds of events would have to tell so
        days_left = torch.arange(_WEEKDAYS, 0, -1)
        self.stay = nn.Parameter((days_left / days_left.float().mean()).log()) if time.day else None

    def gates(self, hidden: Tensor, standing: Standing) -> Tensor:
        """gates_CN3: what a code's logit gets if it came, by how often, and if it came just before.

        Args:
            hidden: CNH, what the output maps of the sub-columns read.
        """
        return torch.bmm(hidden, self.weight).float() + self.gates_of_standing(standing)

    def gates_of_standing(self, standing: Standing) -> Tensor:
        """The part of gates_CN3 that no code of the event itself changes."""
        variety = torch.bmm(_variety(standing), self.from_variety)
        variety = self.plans.with_features(variety, standing.plan, standing.distinct, standing.remaining)
        gates = torch.bmm(torch.tanh(variety), self.of_variety).float() + self.bias
        for column in self.plans.place:
            to_come = self.plans.to_come(column, standing.plan, standing.distinct)
            gates[column, :, 0] -= UNPLANNED * must_repeat(to_come, standing.remaining)
        return gates

    def onward(self, column: int, hidden: Tensor, codes: Tensor, standing: Standing) -> Tensor | None:
        """added_NK for going on to a later code of time, or staying; None for sub-columns that tell no time.

        Args:
            codes: NC, of the event itself; only the columns before this one are looked at.
        """
        added = self._leap(column, hidden, codes, standing)
        if self.stay is None or column != self.time.ordered - 1:
            return added
        weekday, last = standing.weekday, standing.before[:, column : column + 1]
        stays = (weekday != NO_CODE) & (codes[:, :column] == standing.before[:, :column]).all(1)
        worth = (self.stay[weekday.clamp(min=0)] * stays)[:, None]
        if added is None:
            added = worth.new_zeros(len(last), self.cardinalities[column])
        return added.scatter_add(1, last.clamp(min=0), worth)

    def _leap(self, column: int, hidden: Tensor, codes: Tensor, standing: Standing) -> Tensor | None:
        every = torch.arange(self.cardinalities[column], device=codes.device)
        last, end = standing.before[:, :1], standing.plan.end[:, None]
        to_come = (standing.remaining[:, None] - 1).clamp(min=0)
        if column == 0 and self.ahead is not None:
            left = self.plans.time_left(last, end)
            added = self.ahead(hidden, (every - last.clamp(min=0)).clamp(min=0), left, to_come)
            return added * (last != NO_CODE)
        if column == 1 and self.days_ahead is not None:
            week = codes[:, :1]
            since = torch.where(week == last, standing.weekday[:, None], 0)  # Monday, if the week is new
            weeks_left = self.plans.time_left(week, end)
            until = torch.where(week + weeks_left == self.time.last_week, self.time.last_weekday, SUNDAY)
            left = (_WEEKDAYS * weeks_left + until - since).clamp(min=0)
            return self.days_ahead(hidden, (every - since).clamp(min=0) * (every != SAME_DAY), left, to_come)
        return None

    def forbidden(self, column: int, codes: Tensor, standing: Standing) -> list[tuple[Tensor, float]]:
        """Masks NK of codes of a sub-column that time or the plan forbids, and what their logits become, in order.

        Args:
            codes: NC, of the event itself; only the columns before this one are looked at.
        """
        found = []
        plan, before, remaining = standing.plan, standing.before, standing.remaining
        if column == 0 and self.time.ordered:
            found.append((self.plans.leads_elsewhere(before[:, :1], remaining[:, None], plan), UNPLANNED))
        for ruled_out in (
            self.plans.begins_elsewhere(column, self.cardinalities[column], plan, before[:, :1] != NO_CODE),
            self._ruled_out(column, codes, before, standing.weekday),
        ):
            if ruled_out is not None:
                found.append((ruled_out, RULED_OUT))
        return found

    @torch.no_grad()
    def add_to(
        self, logits: Tensor, column: int, hidden: Tensor, codes: Tensor, came: Came, standing: Standing, known: Tensor
    ) -> None:
        """Add all of it to logits_NK of one sub-column, given hidden_NH and known_N3, its gates_of_standing."""
        gates = torch.addmm(known, hidden, self.weight[column])
        onward = self.onward(column, hidden, codes, standing)
        add_recalled(logits, gates, came, standing.before[:, column])
        if onward is not None:
            logits += onward
        for mask, logit in self.forbidden(column, codes, standing):
            logits.masked_fill_(mask, logit)

    def _ruled_out(self, column: int, codes: Tensor, before: Tensor, weekday: Tensor) -> Tensor | None:
        """Codes NK that would go back in time, or that do not go with the codes before them."""
        time, every = self.time, torch.arange(self.cardinalities[column], device=codes.device)
        if column <= time.ordered:
            as_before = (codes[:, :column] == before[:, :column]).all(1, keepdim=True)
            if column < time.ordered:
                return as_before & (every < before[:, column : column + 1])
            if time.day:
                week = codes[:, :1]
                too_early = (week == time.first_week) & (every < time.first_weekday)
                too_late = (week == time.last_week) & (every > time.last_weekday) & (every != SAME_DAY)
                return too_early | too_late | torch.where(as_before, every <= weekday[:, None], every == SAME_DAY)
        if time.times and column == time.ordered + 1:
            same = codes[:, column - 1 : column] == SAME_DAY
            return (every < time.times) == same
        return None


def add_recalled(logits: Tensor, gates: Tensor, came: Came, before: Tensor) -> None:
    """Add to logits_NK in place: gates_N3 times whether and how often a code came, and whether it came just before.

    Args:
        before: N, the code of the event before; NO_CODE where there is none.
    """
    logits.addcmul_(came.once, gates[:, 0:1]).addcmul_(came.amount, gates[:, 1:2])
    logits.scatter_add_(1, before.clamp(min=0)[:, None], (gates[:, 2] * (before != NO_CODE))[:, None])


def _variety(standing: Standing) -> Tensor:
    """How much a history has tried so far: features_CNF, for who tried little will go on repeating that.

    Logarithms of how many codes came, of their share of all events, of the share of codes that came once (the chance of
    something new, by Good and Turing), and of the number of events; and 1.
    """
    codes = standing.distinct.t().float().log1p()
    once = standing.once.t().float().log1p()
    events = standing.num_before.float().log1p().expand_as(codes)
    return torch.stack([codes, codes - events, once - events, events, torch.ones_like(codes)], dim=2)
