"""Sums for pairs of groups of codes, added to the logits of the later of two sub-columns. [torch]

Training leaves them at zero. Calibration sets them (train/calibrate.py), so that pairs of sub-columns occur in sampled
histories as often as in training: docs/decisions/calibrated-pairs.md. Codes are taken together in groups, for pairs of
single codes are too rare to be counted.

Shapes: N rows, C sub-columns of the table, S of the given table (static ones, for events), K codes of one sub-column,
G groups of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from synth_spark.codecs.order import UNORDERED, Ranks
from synth_spark.model.plans import NO_CODE

MAX_GROUPS = 20  # of a sub-column, besides that of all other codes
MAX_TABLE = 1000  # groups of all sub-columns of a table: wide tables have fewer of each
REST = 0  # the group of all other codes


def groups_per_column(num_columns: int) -> int:
    """G: the rest, and up to MAX_GROUPS more."""
    return 1 + max(2, min(MAX_GROUPS, MAX_TABLE // max(1, num_columns)))


def group_codes(counts: Tensor, ranks: Ranks, num_groups: int) -> Tensor:
    """group_K of the codes of one sub-column, 0 to num_groups - 1.

    Of codes in an order: neighbours that together hold about an equal part of the subjects; those without a rank are
    the rest. Without an order: the most frequent codes each by itself.
    """
    place, most = torch.tensor(ranks), num_groups - 1
    groups = torch.full_like(place, REST)
    if (place == UNORDERED).all():
        top = counts.argsort(descending=True, stable=True)[:most]
        groups[top] = torch.arange(1, 1 + len(top))
        return groups
    ascending = place.argsort(stable=True)
    held = torch.where(place == UNORDERED, 0.0, counts.double())[ascending]
    before = held.cumsum(0) - held / 2
    groups[ascending] = (before / held.sum().clamp(min=1) * most).long().clamp(max=most - 1) + 1
    return torch.where(place == UNORDERED, REST, groups)


class CodeGroups(nn.Module):
    """Which group each code of a table belongs to."""

    groups: Tensor  # (sum of K), of all sub-columns side by side

    def __init__(self, cardinalities: Sequence[int]) -> None:
        super().__init__()
        self.cardinalities, self.num_groups = tuple(cardinalities), groups_per_column(len(cardinalities))
        self.register_buffer("groups", torch.zeros(sum(cardinalities), dtype=torch.int64))

    @property
    def width(self) -> int:
        """C G."""
        return len(self.cardinalities) * self.num_groups

    def of_columns(self) -> list[Tensor]:
        """group_K of each sub-column."""
        return list(self.groups.split(self.cardinalities)) if self.cardinalities else []

    def parts(self, table: Tensor, dim: int = 0) -> list[Tensor]:
        """Views of a table with C G rows (or columns): those of each sub-column."""
        places = range(0, self.width, self.num_groups)
        return [table.narrow(dim, place, self.num_groups) for place in places]

    def set(self, groups: Sequence[Tensor]) -> None:
        """From group_K of every sub-column."""
        self.groups.copy_(torch.cat(list(groups)))

    def places(self, codes: Tensor) -> Tensor:
        """codes_NC -> places_NC in 0 to C G - 1; each sub-column has its own."""
        columns = [groups[column] for groups, column in zip(self.of_columns(), codes.unbind(1), strict=True)]
        first = torch.arange(len(columns), device=codes.device) * self.num_groups
        return torch.stack(columns, dim=1) + first


class PairSums(nn.Module):
    """What the sub-columns before, the given ones and the event before add to the logits of each group."""

    within: Tensor  # (C G, C G), from a group of an earlier sub-column
    given: Tensor  # (S G, C G), from a group of a given sub-column
    previous: Tensor  # (C, G + 1, G), from the sub-column itself in the event before; the last row: there was none
    calibrated: Tensor  # whether any of it counts

    def __init__(self, cardinalities: Sequence[int], given: Sequence[int] = ()) -> None:
        super().__init__()
        self.own, self.of_given = CodeGroups(cardinalities), CodeGroups(given)
        width, groups = self.own.width, self.own.num_groups
        self.register_buffer("within", torch.zeros(width, width))
        self.register_buffer("given", torch.zeros(self.of_given.width, width))
        self.register_buffer("previous", torch.zeros(len(cardinalities), groups + 1, groups))
        self.register_buffer("calibrated", torch.tensor(False))

    def before(self, given_codes: Tensor, codes_before: Tensor) -> Tensor:
        """sums_N(CG) of given_NS and of the event before, codes_before_NC with NO_CODE where there was none."""
        sums = self.given[self.of_given.places(given_codes)].sum(1)
        none = codes_before[:, 0] == NO_CODE
        columns = zip(self.previous, self.own.of_columns(), codes_before.clamp(min=0).unbind(1), strict=True)
        last = [table[torch.where(none, self.own.num_groups, groups[codes])] for table, groups, codes in columns]
        return sums + torch.cat(last, dim=1)

    def added(self, column: int, codes: Tensor, sums: Tensor | None) -> Tensor:
        """added_NK for a sub-column, from the sums of what is `before` and of the columns of codes_NC before it."""
        groups = self.own.num_groups
        here = slice(column * groups, (column + 1) * groups)
        found = sums[:, here] if sums is not None else torch.zeros(len(codes), groups, device=codes.device)
        for place in self.own.places(codes)[:, :column].unbind(1):
            found = found + self.within[place, here]
        return found[:, self.own.of_columns()[column]]
