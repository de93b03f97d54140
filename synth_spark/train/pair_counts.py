"""Pairs of groups of codes: how often they occur, and what makes them occur as often as they should. [torch]"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth_spark.model.network import SequenceModel
from synth_spark.model.pairs import CodeGroups

PSEUDO_COUNT = 20.0  # subjects; keeps what few subjects have from being moved by noise
_CHUNK = 20_000  # rows whose groups are laid out at once


class PairTables:
    """A number for each pair that a model's PairSums know, where the model is.

    static: (S G, S G), of two static sub-columns.
    given: (S G, C G), of a static and an event sub-column.
    within: (C G, C G), of two sub-columns of an event.
    previous: (C, G + 1, G), of an event sub-column before and now; the last row: this is the first event.
    """

    def __init__(self, model: SequenceModel) -> None:
        """All zero."""
        self.device = model.device
        self.of_static = model.static_pairs.own
        self.of_event = model.events.pairs.own if model.events is not None else CodeGroups(()).to(self.device)
        static, event, groups = self.of_static.width, self.of_event.width, self.of_event.num_groups
        self.static, self.given, self.within = (
            torch.zeros(rows, columns, dtype=torch.float64, device=self.device)
            for rows, columns in ((static, static), (static, event), (event, event))
        )
        self.previous = self.static.new_zeros(len(self.of_event.cardinalities), groups + 1, groups)

    @classmethod
    def added_by(cls, model: SequenceModel) -> PairTables:
        """The tables inside the model: what is changed in them changes it."""
        tables = cls(model)
        tables.static = model.static_pairs.within
        if model.events is not None:
            pairs = model.events.pairs
            tables.given, tables.within, tables.previous = pairs.given, pairs.within, pairs.previous
        return tables

    @property
    def owners(self) -> tuple[CodeGroups, CodeGroups]:
        """Of static and of event sub-columns."""
        return self.of_static, self.of_event

    def tensors(self) -> list[Tensor]:
        """All of them."""
        return [self.static, self.given, self.within, self.previous]

    def blocks(self) -> Iterator[list[Tensor]]:
        """For each static, then each event sub-column: a view for every sub-column that it is paired with."""
        for column, part in enumerate(self.of_static.parts(self.static, 1)):
            yield self.of_static.parts(part)[:column]
        events = zip(
            self.of_event.parts(self.given, 1), self.of_event.parts(self.within, 1), self.previous, strict=True
        )
        for column, (given, own, previous) in enumerate(events):
            yield [*self.of_static.parts(given), *self.of_event.parts(own)[:column], previous]

    def count(
        self, static_codes: NDArray[np.int16], num_events: NDArray[np.int64], event_codes: NDArray[np.int16]
    ) -> None:
        """Add subjects, each with weight 1: static_codes_NS, numbers of events, and all their event_codes in order."""
        static = self.of_static.places(self._tensor(static_codes.astype(np.int64)))
        for rows in static.split(_CHUNK):
            laid_out = _laid_out(rows, self.of_static.width)
            self.static += laid_out.T @ laid_out
        if not len(event_codes):
            return
        event = self.of_event.places(self._tensor(event_codes.astype(np.int64)))
        owner = self._tensor(np.repeat(np.arange(len(num_events)), num_events))
        weights = self._tensor(np.repeat(1.0 / np.maximum(num_events, 1), num_events)).float()
        for rows in torch.arange(len(event), device=self.device).split(_CHUNK):
            own = _laid_out(event[rows], self.of_event.width)
            weighted = own * weights[rows, None]
            self.given += _laid_out(static[owner[rows]], self.of_static.width).T @ weighted
            self.within += own.T @ weighted
        self._count_previous(event, owner, weights)

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    def _count_previous(self, event: Tensor, owner: Tensor, weights: Tensor) -> None:
        groups = self.of_event.num_groups
        first = torch.cat([owner.new_ones(1, dtype=torch.bool), owner[1:] != owner[:-1]])
        for column, counts in enumerate(self.previous):
            now = event[:, column] - column * groups
            before = torch.where(first, groups, now.roll(1))
            counts.view(-1).index_add_(0, before * groups + now, weights.double())


def pair_step(
    wanted: Tensor, found: Tensor, num_subjects: float, num_sampled: float, *, whole: bool
) -> tuple[Tensor, float]:
    """By how much a sub-column's groups should move, given those of another, and how much there is to gain.

    Args:
        wanted, found: subjects by group of the other and of the sub-column itself, from as many subjects.
        num_subjects, num_sampled: of how many subjects they really are.
        whole: each subject is in one cell. Where its events are spread over many, samples of one population differ by
            less than is reckoned with here.

    Returns:
        The logarithm of wanted to found chances, less what the sub-column's own marginal explains, of `whole` subjects
        shrunk by the share of the divergence that two samples of one population show; and the divergence above that,
        in nats per subject.
    """
    chances = [_chances(counts) for counts in (wanted, found)]
    marginals = [(counts.sum(0) + 1e-9) / counts.sum() for counts in (wanted, found)]
    step = chances[0].log() - chances[1].log() - (marginals[0].log() - marginals[1].log())
    gain = float((wanted * step).sum() / wanted.sum().clamp(min=1e-9))
    freedom = int((wanted > 0).sum()) - int((wanted.sum(1) > 0).sum()) - int((wanted.sum(0) > 0).sum()) + 1
    noise = max(freedom, 0) * (1 / num_subjects + 1 / num_sampled) / 2
    surplus = max(0.0, gain - noise)
    return step * (surplus / max(gain, 1e-9)) if whole else step, surplus


def _chances(counts: Tensor) -> Tensor:
    """Of the groups of a sub-column, given that of another; where subjects are few, near those of all."""
    marginal = (counts.sum(0) + 1e-9) / counts.sum().clamp(min=1e-9)
    return (counts + PSEUDO_COUNT * marginal) / (counts.sum(1, keepdim=True) + PSEUDO_COUNT)


def _laid_out(places: Tensor, width: int) -> Tensor:
    """places_NC -> ones_N(width)."""
    return torch.zeros(len(places), width, device=places.device).scatter_(1, places, 1.0)
