"""Generation: weights and keyed random numbers to codes. Knows nothing of Spark, files or training. [torch]

`Generator.sample_chunk` is a pure function of (weights, seed, subject numbers). A step is one product for the
recurrence, one for all that the past gives to the heads, and a small block per sub-column. What does not change within
a history (static codes, its first event) is added up once.

Shapes: N subjects still active at a step, E event and S static sub-columns, H head width, W history width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from synth_spark.codecs.calendar import SAME_DAY
from synth_spark.model.draws import ChunkDraws
from synth_spark.model.layers import CodeEmbedding, ColumnHeads
from synth_spark.model.network import FIRST_EVENT_FROM, EventNetwork, SequenceModel
from synth_spark.model.number_format import FLOAT32, fewer_sizes, sampling_format
from synth_spark.model.pairs import PairSums
from synth_spark.model.plans import NO_CODE, Plan
from synth_spark.model.recall import LOG2_E, RULED_OUT, Came, Recall, Standing

_STEPS_PER_DRAW = 64  # uniforms are drawn for this many steps at once: few calls
_MAX_DRAWS = 4_000_000  # for fewer steps where these are more uniforms than this: bounded memory
_Recalled = Callable[[Tensor, int, Tensor, Tensor], None]


@dataclass(frozen=True)
class SampledChunk:
    """Codes of consecutive subjects. events_offset[i]:events_offset[i+1] are subject i's rows of event_codes."""

    first_subject: int
    static_codes: NDArray[np.int16]  # (subjects, S)
    num_events: NDArray[np.int64]  # (subjects,)
    event_codes: NDArray[np.int16]  # (all events, E)

    @property
    def events_offset(self) -> NDArray[np.int64]:
        """First row of each subject's events, and the end of the last: (subjects + 1,)."""
        return np.concatenate([[0], np.cumsum(self.num_events)])


class Generator:
    """A model made ready for sampling on one device.

    The two large products of a step, which take in what the past leaves, are in the number format that the model was
    trained in; all else is in float32.
    """

    @torch.no_grad()
    def __init__(self, model: SequenceModel, trained_in: str = FLOAT32) -> None:
        """trained_in: see model/number_format.py."""
        model = model.float().eval()
        self.config, self.device = model.config, model.device
        self.lows = np.asarray(model.config.length_lows, dtype=np.int64)
        self.highs = np.asarray(model.config.length_highs, dtype=np.int64)
        self.static_bias = model.static_heads.bias
        self.static_pairs = _Pairs(model.static_pairs)
        self.static_columns = _Columns(model.static_heads, model.static_embedding, self.static_pairs)
        number_format = sampling_format(trained_in, self.device)
        self.events = None if model.events is None else _Events(model.events, number_format)

    @property
    def num_event(self) -> int:
        """E; none where the data is flat."""
        return len(self.config.event_cardinalities)

    @torch.no_grad()
    def sample_chunk(self, first_subject: int, num_subjects: int, seed: int) -> SampledChunk:
        """Codes of subjects first_subject .. first_subject + num_subjects - 1."""
        num_static = len(self.config.static_cardinalities) + 1  # the last one: how many events inside the length's code
        draws = ChunkDraws(seed, first_subject, num_subjects, num_static=num_static, num_event=self.num_event)
        first = self.static_bias.repeat(num_subjects, 1)
        sums = torch.zeros(num_subjects, self.static_pairs.width, device=self.device)
        embedded = torch.empty(num_subjects, self.static_columns.total_width, device=self.device)
        static_draws = torch.from_numpy(draws.static).to(self.device)
        static_codes = self.static_columns.draw(first, static_draws, embedded, sums, self._rule_out_ends)
        found = static_codes.cpu().numpy()
        num_events = self._num_events(found[:, -1], draws.static[:, -1])
        event_codes = np.empty((int(num_events.sum()), self.num_event), dtype=np.int16)
        if self.events is not None:
            self.events.fill(event_codes, static_codes, num_events, draws)
        return SampledChunk(first_subject, found.astype(np.int16), num_events, event_codes)

    def _rule_out_ends(self, logits: Tensor, column: int, _hidden: Tensor, codes: Tensor) -> None:
        """No history ends before it begins; what else goes together, static heads have learned."""
        if self.events is None or not self.events.recall.time.ordered or column != self.events.recall.time.end:
            return
        too_early = self.events.recall.plans.ends_too_early(codes)
        if too_early is not None:
            logits.masked_fill_(too_early, RULED_OUT)

    def _num_events(self, length_codes: NDArray[np.int64], draw: NDArray[np.float32]) -> NDArray[np.int64]:
        lows, highs = self.lows[length_codes], self.highs[length_codes]
        return lows + np.minimum((draw * (highs - lows + 1)).astype(np.int64), highs - lows)


class _Events:
    """An event network made ready for sampling."""

    def __init__(self, network: EventNetwork, number_format: torch.dtype) -> None:
        heads = network.heads
        self.width, self.num_columns, self.event_width = (
            network.history.hidden_size,
            heads.num_columns,
            network.embedding.total_width,
        )
        self.position = network.position
        self.pairs = _Pairs(network.pairs)
        self.columns = _Columns(heads, network.embedding, self.pairs)
        self.from_past = network.from_past.weight.t().contiguous().to(number_format)
        self.bias, self.device = heads.bias, heads.bias.device
        self.recall = network.recall
        self.starts = torch.tensor(self.recall.starts[:-1]).to(self.device)
        self.static_tables = _row_tables(network.static_embedding, network.from_static.weight.t())
        self.first_tables = _row_tables(network.embedding, network.from_first.weight.t())
        history = dict(network.history.named_parameters())
        self.recurrent = torch.cat([history["weight_hh_l0"], history["weight_ih_l0"]], dim=1)
        self.recurrent = self.recurrent.t().contiguous().to(number_format)
        self.recurrent_bias = history["bias_ih_l0"] + history["bias_hh_l0"]

    def fill(
        self,
        out: NDArray[np.int16],
        static_codes: Tensor,
        num_events: NDArray[np.int64],
        chunk_draws: ChunkDraws,
    ) -> None:
        """Draw all events of a chunk's subjects into their rows of `out`."""
        # by falling number of events, so that the subjects still active are a prefix
        order = np.argsort(-num_events, kind="stable")
        starts = (np.cumsum(num_events) - num_events)[order]
        num_events = num_events[order]
        # how many subjects still have an event at each step, and how many take it: the last of them may have ended
        active = np.searchsorted(-num_events, -np.arange(num_events.max(initial=0)), side="left")
        taking = np.minimum([fewer_sizes(int(count)) for count in active], len(order))
        static_codes = static_codes[torch.from_numpy(order).to(self.device)]
        lasting = self.bias + _gather(self.static_tables, static_codes)
        lasting_sums = self.pairs.of_given(static_codes)
        state = _State.start(self, len(order))
        remaining = torch.from_numpy(num_events).to(self.device)
        plan = self.recall.plans.of(static_codes)
        for step, draws in enumerate(self._draws(chunk_draws, order, taking)):
            count = len(draws)
            state = state.first(count)
            if step == FIRST_EVENT_FROM:
                # one without events has none, and may stand behind the last row; what it gets is not looked at
                rows = np.where(num_events[:count] > 0, starts[:count], 0)
                first_codes = torch.from_numpy(out[rows].astype(np.int64)).to(self.device)
                lasting = lasting[:count] + _gather(self.first_tables, first_codes)
            sums = self.pairs.of_event_before(lasting_sums[:count], state.codes)
            to_come = (remaining[:count] - step).clamp_(min=0)
            codes = self._step(state, lasting[:count], sums, to_come, step, plan.first(count), draws)
            own = codes[: active[step]].cpu().numpy()
            out[starts[: active[step]] + step] = own.astype(np.int16)

    def _draws(self, draws: ChunkDraws, order: NDArray[np.int64], taking: NDArray[np.int64]) -> Iterator[Tensor]:
        """uniform_NE of every step in turn, for the foremost subjects in `order`."""
        step = 0
        while step < len(taking):
            fitting = max(1, _MAX_DRAWS // (int(taking[step]) * self.num_columns))
            counts = taking[step : step + min(_STEPS_PER_DRAW, fitting)]
            rows = np.concatenate([order[:count] for count in counts])
            steps = np.repeat(np.arange(step, step + len(counts), dtype=np.int64), counts)
            yield from torch.from_numpy(draws.events(rows, steps)).to(self.device).split(counts.tolist())
            step += len(counts)

    def _step(
        self, state: _State, lasting: Tensor, sums: Tensor, remaining: Tensor, step: int, plan: Plan, draws: Tensor
    ) -> Tensor:
        state.advance(self)
        index = torch.full_like(remaining, step)
        left = self.recall.plans.time_left(state.codes[:, 0], plan.end)
        state.look_back(step, self.position(index, remaining, left))
        first = _product_and(lasting, state.past, self.from_past)
        recalled = state.recalled(self.recall, index, remaining, plan)
        codes = self.columns.draw(first, draws, state.previous, sums, recalled)
        state.remember(self, codes)
        return codes


@dataclass
class _State:
    """What the past leaves behind, for the active subjects."""

    past: Tensor  # what the heads are given, side by side: recurrent state, previous, mean of all events, position
    previous: Tensor  # the embedded event before; zeros where there is none
    cell: Tensor  # of the recurrence
    total: Tensor  # sum of all embedded events
    codes: Tensor  # of the event before
    weekday: Tensor
    counts: Tensor  # how often each code came, all sub-columns side by side
    seen: Tensor  # 1 where it came, else 0
    amounts: Tensor  # logarithm of one more than how often
    distinct: Tensor  # how many codes of each sub-column came
    once: Tensor  # how many of them once

    @classmethod
    def start(cls, events: _Events, num_subjects: int) -> _State:
        past = events.from_past.new_zeros(num_subjects, len(events.from_past))
        cell = events.bias.new_zeros(num_subjects, events.width)
        previous, total = cell.new_zeros(2, num_subjects, events.event_width)
        codes = torch.full((num_subjects, events.num_columns), NO_CODE, device=events.device)
        counts, seen, amounts = cell.new_zeros(3, num_subjects, events.recall.starts[-1])
        none = torch.zeros_like(codes)
        return cls(past, previous, cell, total, codes, codes[:, 0], counts, seen, amounts, none, none)

    def first(self, count: int) -> _State:
        if count == len(self.past):
            return self
        return _State(*(part[:count] for part in vars(self).values()))

    def advance(self, events: _Events) -> None:
        """One step of the recurrence over the event before (zeros before the first)."""
        begin, end = events.width, events.width + events.event_width
        self.past[:, begin:end] = self.previous
        gates = _product_and(events.recurrent_bias, self.past[:, :end], events.recurrent)
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        self.cell = torch.sigmoid(forget) * self.cell + torch.sigmoid(enter) * torch.tanh(candidate)
        self.past[:, :begin] = torch.sigmoid(leave) * torch.tanh(self.cell)

    def look_back(self, num_events: int, position: Tensor) -> None:
        """Set the parts of `past` behind the event before: the mean of all events, and where the history stands."""
        begin = self.cell.shape[1] + self.previous.shape[1]
        end = begin + self.total.shape[1]
        self.past[:, begin:end] = self.total * (1 / max(num_events, 1))
        self.past[:, end:] = position

    def remember(self, events: _Events, codes: Tensor) -> None:
        """Take in an event, whose embedding is the new `previous` already."""
        self.total += self.previous
        time, where = events.recall.time, codes + events.starts
        if time.day:
            day = codes[:, time.ordered]
            self.weekday = torch.where(day == SAME_DAY, self.weekday, day)
        counts = self.counts.gather(1, where) + 1
        self.distinct = self.distinct + (counts == 1)
        self.once = self.once + (counts == 1).long() - (counts == 2).long()
        self.counts.scatter_(1, where, counts)
        self.seen.scatter_(1, where, 1.0)
        self.amounts.scatter_(1, where, counts.log1p_())
        self.codes = codes

    def recalled(self, recall: Recall, index: Tensor, remaining: Tensor, plan: Plan) -> _Recalled:
        """Adds to the logits of a sub-column, given what its output map reads and the codes before it."""

        standing = Standing(self.codes, self.weekday, index, remaining, plan, self.distinct, self.once)
        known = recall.gates_of_standing(standing)

        def add(logits: Tensor, column: int, hidden: Tensor, codes: Tensor) -> None:
            own = slice(recall.starts[column], recall.starts[column + 1])
            came = Came(self.seen[:, own], self.amounts[:, own])
            recall.add_to(logits, column, hidden, codes, came, standing, known[column])

        return add


class _Columns:
    """Column by column draws from a table's heads."""

    def __init__(self, heads: ColumnHeads, embedding: CodeEmbedding, pairs: _Pairs) -> None:
        self.hidden, self.pairs = heads.hidden, pairs
        self.blocks = [weight.contiguous() for weight in heads.block_weight.unbind(0)]
        self.block_biases = list(heads.block_bias.squeeze(1).unbind(0))
        # what is read is the hidden layer, 1 for the bias, and the sums of pairs: so all of it is one product
        self.outputs = [
            torch.cat([output.rows().t(), output.bias[None], *([of_group] if pairs.calibrated else [])])
            for output, of_group in zip(heads.output_layers, pairs.of_group, strict=True)
        ]
        self.embeddings = [rows.contiguous() for rows in embedding.rows()]
        self.total_width = embedding.total_width
        # where each column's part of the joined embeddings begins, and what the parts before it give to the column
        self.begins = [0, *accumulate(embedding.widths)]
        within = (heads.within * heads.mask).split(heads.hidden, dim=1)
        self.within = [part[:begin].contiguous() for part, begin in zip(within, self.begins, strict=False)]

    def draw(
        self, first: Tensor, draws: Tensor, embedded: Tensor, sums: Tensor, added: _Recalled | None = None
    ) -> Tensor:
        """codes_NC, and their embeddings into embedded_ND.

        Args:
            first: N(CH), the context's part of what each column's first layer gives; it is written over.
            sums: those of pairs, the context's part.
        """
        codes = torch.empty(len(first), len(self.blocks), dtype=torch.int64, device=first.device)
        read = torch.ones(len(first), len(self.outputs[0]), device=first.device)
        hidden, groups = read[:, : self.hidden], read[:, self.hidden + 1 :]
        for column, here in enumerate(first.chunk(len(self.blocks), dim=1)):
            begin, end = self.begins[column : column + 2]
            if begin:
                here.addmm_(embedded[:, :begin], self.within[column])
            here.relu_()
            torch.add(here, torch.addmm(self.block_biases[column], here, self.blocks[column]).relu_(), out=hidden)
            groups.copy_(sums[:, : groups.shape[1]])
            logits = read @ self.outputs[column]
            if added is not None:
                added(logits, column, hidden, codes)
            drawn = inverse_cdf(logits, draws[:, column])
            codes[:, column] = drawn
            if self.pairs.calibrated:
                sums = self.pairs.after(column, drawn, sums)
            embedded[:, begin:end] = self.embeddings[column].index_select(0, drawn)
        return codes


class _Pairs:
    """PairSums made ready for sampling: what each code adds is looked up."""

    def __init__(self, pairs: PairSums) -> None:
        self.calibrated, self.width, self.num_groups = bool(pairs.calibrated), pairs.own.width, pairs.own.num_groups
        self.groups = pairs.own.of_columns()
        self.of_group = [functional.one_hot(of_code, self.num_groups).t().float() for of_code in self.groups]
        given = zip(pairs.of_given.parts(pairs.given), pairs.of_given.of_columns(), strict=True)
        self.given = [rows[of_code] for rows, of_code in given]
        self.previous = [
            torch.cat([rows[of_code], rows[-1:]]) for rows, of_code in zip(pairs.previous, self.groups, strict=True)
        ]
        within = zip(pairs.own.parts(pairs.within), self.groups, strict=True)
        self.within = [
            rows[of_code, (column + 1) * self.num_groups :].contiguous()
            for column, (rows, of_code) in enumerate(within)
        ]

    def of_given(self, codes: Tensor) -> Tensor:
        """sums_N(CG) of codes_NS of the given table."""
        if not self.calibrated:
            return torch.zeros(len(codes), self.width, device=codes.device)
        return _gather(self.given, codes)

    def of_event_before(self, sums: Tensor, codes: Tensor) -> Tensor:
        """sums_N(CG) with codes_NC of the event before; NO_CODE counts from the end, where the row for none is."""
        if not self.calibrated:
            return sums
        last = [
            table.index_select(0, column % len(table))
            for table, column in zip(self.previous, codes.unbind(1), strict=True)
        ]
        return sums + torch.cat(last, dim=1)

    def after(self, column: int, drawn: Tensor, sums: Tensor) -> Tensor:
        """Sums for the sub-columns that follow."""
        return sums[:, self.num_groups :] + self.within[column].index_select(0, drawn)


def _product_and(added: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """left @ right + added in float32, whatever the format of the product."""
    return torch.addmm(added, left, right) if left.dtype == added.dtype else torch.add(added, left @ right)


def inverse_cdf(logits: Tensor, draws: Tensor) -> Tensor:
    """The code at which the cumulated softmax of logits_NK first exceeds draw_N: code_N. Logits are written over."""
    # not exp, which takes dozens of times as long where a code is ruled out
    cumulated = logits.sub_(logits.amax(dim=1, keepdim=True)).mul_(LOG2_E).exp2_().cumsum_(1)
    found = torch.searchsorted(cumulated, (draws * cumulated[:, -1])[:, None], right=True)
    return found[:, 0].clamp_(max=logits.shape[1] - 1)


def _row_tables(embedding: CodeEmbedding, weight: Tensor) -> list[Tensor]:
    """For each sub-column, what every code adds through a linear map of the joined embeddings."""
    tables, start = [], 0
    for rows in embedding.rows():
        width = rows.shape[1]
        tables.append((rows @ weight[start : start + width]).contiguous())
        start += width
    return tables


def _gather(tables: list[Tensor], codes: Tensor) -> Tensor:
    total = tables[0].index_select(0, codes[:, 0])
    for column in range(1, len(tables)):
        total += tables[column].index_select(0, codes[:, column])
    return total
