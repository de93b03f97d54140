"""The sequence model: static sub-columns, then a recurrent history with a masked autoregressive event head. [torch]

Everything the model sees is a small discrete code. Static sub-columns (attributes, start, length) are
predicted one after the other; then each event's sub-columns in their fixed order, conditioned on

- the recurrent state over all past events,
- the previous event and the running mean of all past events directly (the recurrence alone forgets detail),
- once the history is long, its first event (which recurrence and mean have lost by then),
- the static codes, and the event's index and remaining count.

A long history is given in consecutive windows of events; `Past` is what one window leaves to the next, so that the
windows together are the same function as the whole. Flat data has no event network at all.

Shapes, by suffix of a name:
    B subjects, T steps of a window, R random subjects, S static sub-columns, E event sub-columns, N rows of any kind,
    C sub-columns of a table (S or E), D embedding width of a table, H head width, W history width, P position features
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from synth_spark.codecs.order import UNORDERED, Ranks
from synth_spark.model.layers import CodeEmbedding, CodeLogits, ColumnHeads, PositionFeatures
from synth_spark.model.number_format import fewer_sizes
from synth_spark.model.pairs import PairSums
from synth_spark.model.plans import NO_CODE, PlannedFirst, PlannedVariety
from synth_spark.model.recall import Recall, TimeCodes
from synth_spark.model.recalled import recall_window

STATIC_DROPOUT = 5  # times dropout, a half at most: what of the attributes is left out
HISTORY_DROPOUT = 5  # likewise: how often the past is
FIRST_EVENT_FROM = 16  # index from which the first event is given: earlier, small data only learns it by heart


@dataclass(frozen=True)
class ModelConfig:
    """All that rebuilds the network; saved in every checkpoint."""

    static_cardinalities: tuple[int, ...]
    event_cardinalities: tuple[int, ...]  # none: flat data
    length_lows: tuple[int, ...]  # fewest events per code of the last static sub-column
    length_highs: tuple[int, ...]  # most events, inclusive
    static_ranks: tuple[Ranks, ...] = ()  # of every code, see codecs/order.py; default: no code has an order
    event_ranks: tuple[Ranks, ...] = ()
    time: TimeCodes = field(default_factory=TimeCodes)
    varieties: tuple[PlannedVariety, ...] = ()
    firsts: tuple[PlannedFirst, ...] = ()
    width: int = 128
    hidden: int = 64
    dropout: float = 0.05

    @property
    def static_dropout(self) -> float:
        """Chance that a static sub-column is hidden from events, or a part of its embedding from other attributes."""
        return min(0.5, STATIC_DROPOUT * self.dropout)

    @property
    def history_dropout(self) -> float:
        """Chance that a subject's past is hidden from the events of a window."""
        return min(0.5, HISTORY_DROPOUT * self.dropout)

    def ranks(self) -> tuple[Sequence[Ranks], Sequence[Ranks]]:
        """Of every code of each static and each event sub-column."""
        static = self.static_ranks or [(UNORDERED,) * codes for codes in self.static_cardinalities]
        return static, self.event_ranks or [(UNORDERED,) * codes for codes in self.event_cardinalities]

    def to_document(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> ModelConfig:
        """The inverse of to_document."""
        tuples = ("static_cardinalities", "event_cardinalities", "length_lows", "length_highs")
        values: dict[str, Any] = {key: tuple(value) if key in tuples else value for key, value in document.items()}
        values |= {key: tuple(map(tuple, document[key])) for key in ("static_ranks", "event_ranks")}
        for key, kind in (("varieties", PlannedVariety), ("firsts", PlannedFirst)):
            values[key] = tuple(
                kind(**{**planned, **{bound: tuple(planned[bound]) for bound in ("lows", "highs")}})
                for planned in document[key]
            )
        return cls(**{**values, "time": TimeCodes(**document["time"])})


@dataclass(frozen=True)
class Past:
    """What the events before a window leave behind, cut off from their gradients."""

    num_steps: int  # how many events came before
    hidden: Tensor  # 1 B W
    cell: Tensor  # 1 B W
    first: Tensor  # B D, the first event
    previous: Tensor  # B D, the last event
    total: Tensor  # B D, the sum of all events before the last
    codes: Tensor  # B E, of the last event
    weekday: Tensor  # B, of the last day
    counts: Tensor  # B (sum of K), how often each code of each sub-column came

    @classmethod
    def empty(cls, embedded: Tensor, history_width: int, cardinalities: Sequence[int]) -> Past:
        """Before the first event of embedded_BTD."""
        num_subjects, device = len(embedded), embedded.device
        state = torch.zeros(1, num_subjects, history_width, device=device)
        nothing = torch.zeros_like(embedded[:, 0])
        codes = torch.full((num_subjects, len(cardinalities)), NO_CODE, device=device)
        counts = torch.zeros(num_subjects, sum(cardinalities), device=device)
        return cls(0, state, state, nothing, nothing, nothing.float(), codes, codes[:, 0], counts)

    def kept(self, num_subjects: int) -> Past:
        """The past of the foremost subjects only, whose histories go on."""
        return Past(
            self.num_steps,
            self.hidden[:, :num_subjects].contiguous(),
            self.cell[:, :num_subjects].contiguous(),
            self.first[:num_subjects],
            self.previous[:num_subjects],
            self.total[:num_subjects],
            self.codes[:num_subjects],
            self.weekday[:num_subjects],
            self.counts[:num_subjects],
        )


class EventNetwork(nn.Module):
    """Events, given static codes and what came before."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout, self.static_dropout = config.dropout, config.static_dropout
        self.history_dropout = config.history_dropout
        static_ranks, event_ranks = config.ranks()
        self.static_embedding = CodeEmbedding(static_ranks)
        self.embedding = CodeEmbedding(event_ranks)
        self.position = PositionFeatures(config.event_cardinalities[0] if config.time.ordered else 0)
        width = self.embedding.total_width
        self.history = nn.LSTM(width, config.width, batch_first=True)
        self.heads = ColumnHeads(event_ranks, self.embedding.widths, config.hidden)
        self.recall = Recall(
            config.event_cardinalities, self.heads.hidden, config.time, config.varieties, config.firsts
        )
        self.pairs = PairSums(config.event_cardinalities, config.static_cardinalities)
        given = self.heads.num_columns * self.heads.hidden
        self.from_past = nn.Linear(config.width + 2 * width + self.position.width, given, bias=False)
        self.from_first = nn.Linear(width, given, bias=False)
        self.from_static = nn.Linear(self.static_embedding.total_width, given, bias=False)
        maps = (self.from_past, self.from_first, self.from_static)
        bound = 1 / math.sqrt(sum(part.in_features for part in maps))  # together they are one linear map
        for part in maps:
            nn.init.uniform_(part.weight, -bound, bound)

    def past_maps(self) -> list[Tensor]:
        """Weights whose scaling, column by column (the first axis), scales what its head is given of the past."""
        of_columns = self.from_past.weight.view(self.heads.num_columns, self.heads.hidden, -1)
        return [of_columns[..., : -self.position.width], *self.first_maps()]

    def first_maps(self) -> list[Tensor]:
        """Likewise, of what it makes of the first event directly."""
        return [self.from_first.weight.view(self.heads.num_columns, self.heads.hidden, -1)]

    def forward(
        self, static_codes: Tensor, event_codes: Tensor, num_events: Tensor, past: Past | None
    ) -> tuple[Tensor, Past]:
        """static_codes_BS, event_codes_BTE -> nats_BTE, zero after each history's end, and the past they leave."""
        num_subjects, num_steps, _ = event_codes.shape
        embedded = _as_multiplied(self.embedding(event_codes))
        if past is None:
            past = Past.empty(embedded, self.history.hidden_size, self.recall.cardinalities)
        index = torch.arange(past.num_steps, past.num_steps + num_steps, device=embedded.device)
        remaining = (num_events[:, None] - index).clamp(min=0)  # the event itself remains
        first = past.first if past.num_steps else embedded[:, 0]
        previous = torch.cat([past.previous[:, None], embedded[:, :-1]], dim=1)
        states, (hidden, cell) = self._recurred(previous, past)
        total = previous.float().cumsum(1)
        if past.num_steps:
            total += past.total[:, None]
        plan = self.recall.plans.of(static_codes)
        before = torch.cat([past.codes[:, None], event_codes[:, :-1]], dim=1)
        time_left = self.recall.plans.time_left(before[..., 0], plan.end[:, None])
        position = self.position(index.expand(num_subjects, -1), remaining, time_left)
        shown = self._shown(num_subjects).to(embedded.device)
        moving = self._moving(states, previous, total / index.clamp(min=1)[:, None], position, shown)
        existing = (remaining > 0).flatten().nonzero()[:, 0]  # heads work on these events alone
        rows = _filled_up(existing)  # N
        given = self.from_past(moving.flatten(0, 1).index_select(0, rows))
        given = given + self._lasting(static_codes, first * shown.to(first.dtype), index, rows)
        recalled = recall_window(self.recall, event_codes, rows, index, remaining, plan, past)
        heads_read = self.heads.hidden_layer(embedded.flatten(0, 1).index_select(0, rows), given)
        pairs = self._pairs(static_codes[rows // num_steps], recalled.codes, recalled.standing.before)
        logits = self.heads.logits(heads_read)
        found = recalled.nats(logits, heads_read, pairs, shown[rows // num_steps])[: len(existing)]
        nats = found.new_zeros(num_subjects * num_steps, found.shape[1]).index_copy(0, existing, found)
        left = (
            hidden,
            cell,
            first,
            embedded[:, -1],
            total[:, -1],
            event_codes[:, -1],
            recalled.weekday,
            recalled.counts,
        )
        past = Past(past.num_steps + num_steps, *(part.detach() for part in left))
        return nats.view(event_codes.shape), past

    def _recurred(self, previous: Tensor, past: Past) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What the history's network makes of previous_BTD: states_BTW, and hidden and cell of the last.

        On a GPU in float32: autocast takes float16 for cuDNN's recurrences, whatever it was asked for, and small
        gradients vanish in that.
        """
        if previous.device.type == "cpu":
            return self.history(previous, (past.hidden, past.cell))
        with torch.autocast(previous.device.type, enabled=False):
            states, last = self.history(previous.float(), (past.hidden, past.cell))
        return states.to(previous.dtype), last

    def _lasting(self, static_codes: Tensor, first: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        """What static codes and, once the history is long, its first event give: N(CH)."""
        of_static = self.from_static(self._without_columns(self.static_embedding(static_codes)))
        both = torch.cat([of_static, of_static + self.from_first(self._thinned(first[:, None]))[:, 0]])
        is_late = (index >= FIRST_EVENT_FROM)[rows % len(index)]
        return both.index_select(0, rows // len(index) + is_late * len(static_codes))

    def _pairs(self, static_codes: Tensor, codes: Tensor, before: Tensor) -> list[Tensor] | None:
        """added_NK of each sub-column."""
        if not self.pairs.calibrated:
            return None
        sums = self.pairs.before(static_codes, before)
        return [self.pairs.added(column, codes, sums) for column in range(codes.shape[1])]

    def _moving(self, states: Tensor, previous: Tensor, mean: Tensor, position: Tensor, shown: Tensor) -> Tensor:
        """What changes from step to step of what the heads are given, joined."""
        seen = shown[:, None].to(previous.dtype)
        parts = [self._thinned(part) * seen for part in (states, previous, mean.to(previous.dtype))]
        return torch.cat([*parts, position.to(previous.dtype)], dim=-1)

    def _shown(self, num_subjects: int) -> Tensor:
        """1 where the events of a window see their subject's past, 0 where they do not: shown_B1.

        An event that knows its past repeats it, and little is learned of what makes up an event; first events, which
        must know that, are too few to learn it from. So some others do without their past. Drawn on the CPU, as in
        _without_columns.
        """
        if not self.training or self.history_dropout == 0.0:
            return torch.ones(num_subjects, 1)
        return (torch.rand(num_subjects, 1) >= self.history_dropout).float()

    def _without_columns(self, static: Tensor) -> Tensor:
        """static_BD with whole sub-columns left out at random: together they name a subject, whose events would be
        learned by heart. Which ones is drawn on the CPU, so that every device leaves out the same."""
        chance = self.static_dropout
        if not self.training or chance == 0.0:
            return static
        widths = torch.tensor(self.static_embedding.widths)
        kept = torch.rand(len(static), len(widths)) >= chance
        return static * kept.repeat_interleave(widths, 1).to(static.device) / (1 - chance)

    def _thinned(self, part: Tensor) -> Tensor:
        """Dropout with one mask per subject, shared over time: drawing masks is serial and costs more than it gives."""
        if not self.training or self.dropout == 0.0:
            return part
        keep = 1.0 - self.dropout
        mask = torch.empty(part.shape[0], 1, part.shape[2], device=part.device, dtype=part.dtype).bernoulli_(keep)
        return part * (mask / keep)


def _filled_up(rows: Tensor) -> Tensor:
    """rows_N and the first place of all, again and again, up to one of few sizes."""
    return functional.pad(rows, (0, fewer_sizes(len(rows)) - len(rows)))


def _as_multiplied(part: Tensor) -> Tensor:
    """In the number format of matrix products: whatever moves between them then has half the size in bfloat16.

    A product tells which that is; the functions that do have other names before torch 2.4.
    """
    one = part.new_zeros(1, 1)
    return part.to((one @ one).dtype)


class SequenceModel(nn.Module):
    """See the module's first lines."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        static_ranks, _ = config.ranks()
        self.static_embedding = CodeEmbedding(static_ranks)
        self.static_heads = ColumnHeads(static_ranks, self.static_embedding.widths, config.hidden)
        self.static_pairs = PairSums(config.static_cardinalities)
        self.events = EventNetwork(config) if config.event_cardinalities else None

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.static_heads.bias.device

    @property
    def output_layers(self) -> list[CodeLogits]:
        """The map to the logits of every sub-column, static ones first."""
        event_layers = self.events.heads.output_layers if self.events is not None else []
        return self.static_heads.output_layers + event_layers

    def describe_inputs(self) -> dict[str, tuple[str, torch.dtype]]:
        """Name -> (shape, dtype) of the tensors that forward takes."""
        return {
            "static_codes": ("B S", torch.int64),
            "event_codes": ("B T E", torch.int64),
            "num_events": ("B", torch.int64),
            "random_static_codes": ("R S", torch.int64),
        }

    def forward(
        self,
        static_codes: Tensor,
        event_codes: Tensor,
        num_events: Tensor,
        random_static_codes: Tensor,
        past: Past | None = None,
    ) -> tuple[Tensor, Tensor, Past | None]:
        """Negative log likelihoods in nats, padding zero: static_nats_RS of the random subjects, event_nats_BTE.

        The static heads learn from `random_static_codes`, plain random subjects, because the batch itself is
        bucketed by length and would bias them. `num_events` counts whole histories. The returned past goes in with
        the window of events that follows; without one, histories begin.
        """
        return self.static_nats(random_static_codes), *self.event_nats(static_codes, event_codes, num_events, past)

    def static_nats(self, static_codes: Tensor) -> Tensor:
        """nats_BS of static_codes_BS."""
        heads, pairs = self.static_heads, self.static_pairs
        given = functional.dropout(self.static_embedding(static_codes), self.config.static_dropout, self.training)
        logits = [part.float() for part in heads.logits(heads.hidden_layer(given, None))]
        if pairs.calibrated:
            logits = [part + pairs.added(column, static_codes, None) for column, part in enumerate(logits)]
        columns = zip(logits, static_codes.unbind(1), strict=True)
        return torch.stack([functional.cross_entropy(part, codes, reduction="none") for part, codes in columns], dim=1)

    def event_nats(
        self, static_codes: Tensor, event_codes: Tensor, num_events: Tensor, past: Past | None = None
    ) -> tuple[Tensor, Past | None]:
        """nats_BTE of event_codes_BTE, zero after each history's end, and what they leave to the next window."""
        if self.events is None:
            return torch.zeros(event_codes.shape, device=event_codes.device), None
        return self.events(static_codes, event_codes, num_events, past)

    @torch.no_grad()
    def start_from_marginals(self, counts: list[Tensor]) -> None:
        """Output biases at the log of the (smoothed) marginals, so that training starts where counting ends."""
        for output, column_counts in zip(self.output_layers, counts, strict=True):
            output.bias.copy_(torch.log((column_counts + 0.5) / (column_counts + 0.5).sum()))
