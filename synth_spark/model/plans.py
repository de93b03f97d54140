"""What is settled before a history begins, and how its events come to fulfil it. [torch]

Static codes say the period of the last event (`TimeCodes.end`), for some event sub-columns which codes the first event
can have, and for some how many different codes the history will hold. Event by event, small errors of a chance add up
along hundreds of events; a plan keeps them from it: docs/decisions/planned-histories.md.

Shapes, as in model/network.py: N rows (events or histories), K codes of one sub-column, V planned varieties, F planned
first codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

NO_CODE = -1
_NUM_FEATURES = 4
_SPREAD = 0.7  # of weights at first


@dataclass(frozen=True)
class PlannedVariety:
    """How many different codes of an event sub-column a history will hold: lows[c] to highs[c], c a static code."""

    event_column: int
    static_column: int
    lows: tuple[int, ...]
    highs: tuple[int, ...]


@dataclass(frozen=True)
class PlannedFirst:
    """Which codes of an event sub-column a history can begin with: lows[c] to highs[c].

    c is the static code; where it has slices, it counts those: the code times their number plus the code of the static
    sub-column after it.
    """

    event_column: int
    static_column: int
    slices: int
    lows: tuple[int, ...]
    highs: tuple[int, ...]

    def place(self, static_codes: Any) -> Any:
        """c_N of static_codes_NS, an array or a tensor."""
        code = static_codes[:, self.static_column]
        return code if self.slices == 1 else code * self.slices + static_codes[:, self.static_column + 1]


@dataclass(frozen=True)
class Plan:
    """Of N histories, or of their events."""

    varieties: Tensor  # NV2, fewest and most codes of each planned variety
    firsts: Tensor  # NF2, lowest and highest code that the first event can have
    end: Tensor  # N, code of the last event's period; the code after all of these: it is the first event's

    def first(self, count: int) -> Plan:
        """Of the foremost histories."""
        return Plan(self.varieties[:count], self.firsts[:count], self.end[:count])

    def of_events(self, num_steps: int, rows: Tensor) -> Plan:
        """Of rows_N among the events of a window, which has num_steps of each history."""
        histories = rows // num_steps
        return Plan(self.varieties[histories], self.firsts[histories], self.end[histories])


class Plans(nn.Module):
    """From static codes to plans, and from plans to what they mean for the next event."""

    def __init__(
        self,
        planned: Sequence[PlannedVariety],
        width: int,
        *,
        firsts: Sequence[PlannedFirst],
        num_periods: int,
        end: int,
    ) -> None:
        """width: of `features`; end: static sub-column; num_periods: codes of the event sub-column 0."""
        super().__init__()
        self.firsts = tuple(firsts)
        self.first_place = {first.event_column: place for place, first in enumerate(firsts)}
        for place, first in enumerate(firsts):
            self.register_buffer(f"firsts{place}", torch.tensor([first.lows, first.highs]).t(), persistent=False)
        self.place = {variety.event_column: place for place, variety in enumerate(planned)}
        self.static_columns = [variety.static_column for variety in planned]
        self.num_periods, self.end = num_periods, end
        for place, variety in enumerate(planned):
            bounds = torch.tensor([variety.lows, variety.highs]).t()
            self.register_buffer(f"bounds{place}", bounds, persistent=False)
        self.weights = nn.ParameterList(map(nn.Parameter, _SPREAD * torch.randn(len(planned), _NUM_FEATURES, width)))

    def of(self, static_codes: Tensor) -> Plan:
        """Of static_codes_NS."""
        bounds = [getattr(self, f"bounds{p}")[static_codes[:, c]] for p, c in enumerate(self.static_columns)]
        firsts = [self._first(place, static_codes) for place in range(len(self.firsts))]
        none = static_codes.new_zeros(len(static_codes), 0, 2)
        varieties, firsts_of = (torch.stack(found, dim=1) if found else none for found in (bounds, firsts))
        return Plan(varieties, firsts_of, static_codes[:, self.end])

    def _first(self, place: int, static_codes: Tensor) -> Tensor:
        """Lowest and highest code of a planned first sub-column: N2."""
        bounds: Tensor = getattr(self, f"firsts{place}")
        return bounds[self.firsts[place].place(static_codes)]

    def ends_too_early(self, static_codes: Tensor) -> Tensor | None:
        """Ends N(periods + 1) that a start rules out, of static_codes_NS as far as they are drawn; None without one."""
        if 0 not in self.first_place:
            return None
        earliest = self._first(self.first_place[0], static_codes)[:, :1]
        every = torch.arange(self.num_periods + 1, device=earliest.device)
        return (every <= earliest) & (every < self.num_periods)

    def begins_elsewhere(self, column: int, num_codes: int, plan: Plan, begun: Tensor) -> Tensor | None:
        """Codes NK that the first event cannot have, begun_N1 histories may have any; None where none is planned."""
        if column not in self.first_place:
            return None
        low, high = plan.firsts[:, self.first_place[column]].split(1, dim=1)
        every = torch.arange(num_codes, device=low.device)
        return ((every < low) | (every > high)) & ~begun

    def to_come(self, column: int, plan: Plan, distinct: Tensor) -> Tensor:
        """New codes of a planned sub-column that are still to come, fewest and most: N2; distinct_NC came already."""
        return (plan.varieties[:, self.place[column]] - distinct[:, column, None]).clamp(min=0)

    def with_features(self, variety: Tensor, plan: Plan, distinct: Tensor, remaining: Tensor) -> Tensor:
        """variety_CN(width), plus what the codes to come mean in remaining_N events."""
        if not self.place:
            return variety
        columns = list(variety.unbind(0))
        for column, place in self.place.items():
            features = self._features(self.to_come(column, plan, distinct), remaining)
            columns[column] = columns[column] + features @ self.weights[place]
        return torch.stack(columns)

    def _features(self, to_come: Tensor, remaining: Tensor) -> Tensor:
        """to_come_N2 -> features_NF."""
        logs, events = to_come.float().log1p(), remaining.float().clamp(min=0).log1p()
        pace = to_come.float().mean(1).log1p() - events
        return torch.stack([logs[:, 0], logs[:, 1], pace, (to_come[:, 1] == 0).float()], dim=1)

    def time_left(self, last: Tensor, end: Tensor) -> Tensor:
        """Periods from that of the event before (below 0: none yet) to the planned end; shapes as broadcast."""
        return torch.where(end == self.num_periods, 0, (end - last.clamp(min=0)).clamp(min=0))

    def leads_elsewhere(self, last: Tensor, remaining: Tensor, plan: Plan) -> Tensor:
        """Periods NK that do not lead to the planned end, after last_N1 (NO_CODE: none yet), remaining_N1."""
        every = torch.arange(self.num_periods, device=last.device)
        begun, as_first = last != NO_CODE, plan.end[:, None] == self.num_periods
        end = torch.where(as_first & begun, last, plan.end[:, None])
        too_late = torch.where(begun, every > end, (every >= end) & (remaining > 1))
        return too_late | (begun & (remaining == 1) & (every != end))


def must_repeat(to_come: Tensor, remaining: Tensor) -> Tensor:
    """Given to_come_N2 and remaining_N: 1 where only codes that came already keep to the plan, -1 where only new ones
    do, else 0; N."""
    fewest, most = to_come.unbind(1)
    return (most == 0).float() - ((fewest > 0) & (fewest >= remaining)).float()
