"""Generation: weights and keyed random numbers to codes. Knows nothing of Spark, files or training. [torch]

`Generator.sample_chunk` is a pure function of (weights, seed, subject numbers). Embeddings enter the network only
through linear maps, so each code's contribution to every later layer is a table row computed once; sampling a
step is then gathers, one recurrent product, and a small block per sub-column.

Shapes: N subjects still active at a step, E event and S static sub-columns, H head width, W history width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth_spark.model.keyed_random import uniforms
from synth_spark.model.network import CodeEmbedding, ColumnHeads, SequenceModel

_STEPS_PER_DRAW = 64  # uniforms are drawn for this many steps at once: few calls, bounded memory


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
    """A model made ready for sampling in float32 on one device."""

    @torch.no_grad()
    def __init__(self, model: SequenceModel) -> None:
        model = model.float().eval()
        self.model = model
        self.config = model.config
        self.num_static = len(model.config.static_cardinalities)
        self.num_event = len(model.config.event_cardinalities)
        self.lows = np.asarray(model.config.length_lows, dtype=np.int64)
        self.highs = np.asarray(model.config.length_highs, dtype=np.int64)
        self.static_heads = _Heads(model.static_heads)
        self.event_heads = _Heads(model.event_heads)
        heads, width = model.event_heads, model.config.width
        event_width = model.event_embedding.total_width
        static_width = model.static_embedding.total_width
        context = heads.context.weight.t()  # (X, E*H)
        self.from_state, from_previous, from_mean, self.from_static, self.from_position = context.split(
            [width, event_width, event_width, static_width, context.shape[0] - width - 2 * event_width - static_width]
        )
        self.context_bias = heads.context.bias
        history = dict(model.history.named_parameters())
        self.recurrent = history["weight_hh_l0"].t().contiguous()
        self.recurrent_bias = history["bias_ih_l0"] + history["bias_hh_l0"]
        into_history = history["weight_ih_l0"].t()
        self.past = torch.cat([into_history, from_previous, from_mean], dim=1)
        self.past_tables = _row_tables(model.event_embedding, self.past)
        self.event_within = _row_tables(model.event_embedding, heads.within * heads.mask)
        self.static_within = _row_tables(model.static_embedding, model.static_heads.within * model.static_heads.mask)
        self.static_tables = _row_tables(model.static_embedding, self.from_static)

    @torch.no_grad()
    def sample_chunk(self, first_subject: int, num_subjects: int, seed: int) -> SampledChunk:
        """Codes of subjects first_subject .. first_subject + num_subjects - 1."""
        subjects = np.arange(first_subject, first_subject + num_subjects, dtype=np.int64)
        draws = uniforms(seed, subjects, np.zeros_like(subjects), self.num_static + 1)
        static_codes = self._sample_static(torch.from_numpy(draws))
        num_events = self._num_events(static_codes[:, -1].numpy(), draws[:, -1])
        order = np.argsort(-num_events, kind="stable")
        event_codes = self._sample_events(static_codes[order], num_events[order], subjects[order], seed, order)
        return SampledChunk(first_subject, static_codes.numpy().astype(np.int16), num_events, event_codes)

    def _num_events(self, length_codes: NDArray[np.int64], draw: NDArray[np.float32]) -> NDArray[np.int64]:
        lows, highs = self.lows[length_codes], self.highs[length_codes]
        return lows + np.minimum((draw * (highs - lows + 1)).astype(np.int64), highs - lows)

    def _sample_static(self, draws: Tensor) -> Tensor:
        first = self.model.static_heads.context.bias.expand(draws.shape[0], -1).clone()
        codes = torch.empty(draws.shape[0], self.num_static, dtype=torch.int64)
        self.static_heads.draw(first, draws, self.static_within, codes)
        return codes

    def _sample_events(
        self,
        static_codes: Tensor,
        num_events: NDArray[np.int64],
        subjects: NDArray[np.int64],
        seed: int,
        order: NDArray[np.int64],
    ) -> NDArray[np.int16]:
        """Rows in subject order; inputs are sorted by falling number of events, so active subjects are a prefix."""
        num_steps = int(num_events[0]) if len(num_events) else 0
        # active[t]: how many subjects still have an event at step t
        active = np.searchsorted(-num_events, -np.arange(num_steps), side="left")
        starts = np.empty(len(order), dtype=np.int64)  # first output row of each sorted subject
        by_subject = np.empty_like(num_events)
        by_subject[order] = num_events
        starts[:] = (np.cumsum(by_subject) - by_subject)[order]
        out = np.empty((int(num_events.sum()), self.num_event), dtype=np.int16)
        static_part = self.context_bias + _gather(self.static_tables, static_codes)
        state = _State.start(self, len(order))
        remaining = torch.from_numpy(num_events)
        for step in range(num_steps):
            if step % _STEPS_PER_DRAW == 0:
                draws = self._draws(seed, subjects, active, step, num_steps)
            count = int(active[step])
            state = state.first(count)
            codes = self._sample_step(state, static_part[:count], remaining[:count] - step, step, next(draws))
            out[starts[:count] + step] = codes.numpy().astype(np.int16)
        return out

    def _draws(
        self, seed: int, subjects: NDArray[np.int64], active: NDArray[np.int64], first: int, num_steps: int
    ) -> Iterator[Tensor]:
        """Iterator over uniform_NE of the next steps; step numbers in the key start at 1, 0 is the static part."""
        steps = range(first, min(first + _STEPS_PER_DRAW, num_steps))
        counts = active[steps.start : steps.stop]
        rows = np.concatenate([subjects[:count] for count in counts])
        keys = np.repeat(np.arange(steps.start, steps.stop, dtype=np.int64) + 1, counts)
        values = torch.from_numpy(uniforms(seed, rows, keys, self.num_event))
        return iter(values.split(counts.tolist()))

    def _sample_step(self, state: _State, static_part: Tensor, remaining: Tensor, step: int, draws: Tensor) -> Tensor:
        state.advance(self)
        index = torch.full_like(remaining, step)
        first = torch.addmm(static_part, state.hidden, self.from_state)
        first += self.model.position(index, remaining) @ self.from_position
        first += state.previous
        if step:
            first += state.mean_sum / step
        codes = torch.empty(len(remaining), self.num_event, dtype=torch.int64)
        self.event_heads.draw(first, draws, self.event_within, codes)
        state.remember(self, codes)
        return codes


@dataclass
class _State:
    """What the past leaves behind, for the active subjects: recurrent state and three sums of table rows."""

    hidden: Tensor
    cell: Tensor
    into_history: Tensor
    previous: Tensor
    mean_sum: Tensor

    @classmethod
    def start(cls, generator: Generator, num_subjects: int) -> _State:
        width = generator.config.width
        heads = generator.num_event * generator.config.hidden
        sizes = (width, width, 4 * width, heads, heads)
        return cls(*(torch.zeros(num_subjects, size) for size in sizes))

    def first(self, count: int) -> _State:
        if count == len(self.hidden):
            return self
        return _State(*(part[:count] for part in vars(self).values()))

    def advance(self, generator: Generator) -> None:
        """One step of the recurrence over the previous event (zeros before the first)."""
        gates = torch.addmm(self.into_history, self.hidden, generator.recurrent)
        gates += generator.recurrent_bias
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        self.cell = torch.sigmoid(forget) * self.cell + torch.sigmoid(enter) * torch.tanh(candidate)
        self.hidden = torch.sigmoid(leave) * torch.tanh(self.cell)

    def remember(self, generator: Generator, codes: Tensor) -> None:
        rows = _gather(generator.past_tables, codes)
        width, heads = 4 * generator.config.width, self.previous.shape[1]
        self.into_history, self.previous, mean = rows.split([width, heads, heads], dim=1)
        self.mean_sum = self.mean_sum + mean


class _Heads:
    """Column by column draws from a table's heads."""

    def __init__(self, heads: ColumnHeads) -> None:
        self.hidden = heads.hidden
        self.blocks = [weight.contiguous() for weight in heads.block_weight.unbind(0)]
        self.block_biases = list(heads.block_bias.squeeze(1).unbind(0))
        self.outputs = [(output.weight.t().contiguous(), output.bias) for output in heads.output_layers]

    def draw(self, first: Tensor, draws: Tensor, within: list[Tensor], codes: Tensor) -> None:
        """Fill codes_NC; first_N(C*H) holds the context's part and is consumed."""
        num_columns = len(self.blocks)
        for column in range(num_columns):
            start = column * self.hidden
            hidden = torch.relu(first[:, start : start + self.hidden])
            hidden = hidden + torch.relu(torch.addmm(self.block_biases[column], hidden, self.blocks[column]))
            weight, bias = self.outputs[column]
            drawn = inverse_cdf(torch.addmm(bias, hidden, weight), draws[:, column])
            codes[:, column] = drawn
            if column + 1 < num_columns:
                first[:, start + self.hidden :] += within[column][:, start + self.hidden :].index_select(0, drawn)


def inverse_cdf(logits: Tensor, draws: Tensor) -> Tensor:
    """The code at which the cumulated softmax of logits_NK first exceeds draw_N: code_N."""
    weights = torch.exp(logits - logits.amax(dim=1, keepdim=True))
    cumulated = weights.cumsum(1)
    found = torch.searchsorted(cumulated, (draws * cumulated[:, -1])[:, None], right=True)
    return found[:, 0].clamp_(max=logits.shape[1] - 1)


def _row_tables(embedding: CodeEmbedding, weight: Tensor) -> list[Tensor]:
    """For each sub-column, what every code adds through a linear map of the joined embeddings."""
    tables, start = [], 0
    for table in embedding.layers:
        width = table.weight.shape[1]
        tables.append((table.weight @ weight[start : start + width]).contiguous())
        start += width
    return tables


def _gather(tables: list[Tensor], codes: Tensor) -> Tensor:
    total = tables[0].index_select(0, codes[:, 0])
    for column in range(1, len(tables)):
        total += tables[column].index_select(0, codes[:, column])
    return total
