"""The sequence model: static sub-columns, then a recurrent history with a masked autoregressive event head. [torch]

Everything the model sees is a small discrete code. Static sub-columns (attributes, start, length) are
predicted one after the other; then each event's sub-columns in their fixed order, conditioned on

- the recurrent state over all past events,
- the previous event and the running mean of all past events directly (the recurrence alone forgets detail),
- the static codes, and the event's index and remaining count.

Shapes, by suffix of a name:
    B subjects, T steps, S static sub-columns, E event sub-columns, N rows of any kind,
    C sub-columns of a table (S or E), D embedding width of a table, H head width, W history width, P position features
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_POSITION = 31  # index and remaining count have their own embedding up to here, a logarithm carries on
POSITION_WIDTH = 8
NUM_POSITION_FEATURES = 2 * POSITION_WIDTH + 4


@dataclass(frozen=True)
class ModelConfig:
    """All that rebuilds the network; saved in every checkpoint."""

    static_cardinalities: tuple[int, ...]
    event_cardinalities: tuple[int, ...]
    length_lows: tuple[int, ...]  # fewest events per code of the last static sub-column
    length_highs: tuple[int, ...]  # most events, inclusive
    width: int = 128
    hidden: int = 64
    dropout: float = 0.05

    def to_document(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> ModelConfig:
        """The inverse of to_document."""
        tuples = ("static_cardinalities", "event_cardinalities", "length_lows", "length_highs")
        values: dict[str, Any] = {key: tuple(value) if key in tuples else value for key, value in document.items()}
        return cls(**values)


def embedding_width(cardinality: int) -> int:
    """About 3 * sqrt(cardinality), between 2 and 64."""
    return max(2, min(64, round(3 * math.sqrt(cardinality))))


class CodeEmbedding(nn.Module):
    """Codes of one table to their concatenated embeddings: codes_NC -> x_ND."""

    def __init__(self, cardinalities: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = [embedding_width(cardinality) for cardinality in cardinalities]
        self.tables = nn.ModuleList(
            nn.Embedding(cardinality, width) for cardinality, width in zip(cardinalities, self.widths, strict=True)
        )
        for table in self.layers:
            nn.init.normal_(table.weight, std=0.3)

    @property
    def layers(self) -> list[nn.Embedding]:
        """One embedding per sub-column."""
        return cast("list[nn.Embedding]", list(self.tables))

    @property
    def total_width(self) -> int:
        """D of the table."""
        return sum(self.widths)

    def forward(self, codes: Tensor) -> Tensor:
        """codes_...C -> embedded_...D."""
        columns = codes.unbind(-1)
        return torch.cat([table(column) for table, column in zip(self.layers, columns, strict=True)], dim=-1)


class ColumnHeads(nn.Module):
    """Masked autoregressive heads: column c sees the context and the columns before it, nothing else.

    One linear map from all embeddings (block-masked) and one from the context give every column's first hidden
    layer; a residual block per column and a linear map to its logits follow.
    """

    mask: Tensor

    def __init__(self, cardinalities: tuple[int, ...], widths: list[int], context_width: int, hidden: int) -> None:
        super().__init__()
        num_columns = len(cardinalities)
        self.num_columns, self.hidden = num_columns, hidden
        self.context = nn.Linear(max(1, context_width), num_columns * hidden)
        self.within = nn.Parameter(torch.empty(sum(widths), num_columns * hidden))
        self.block_weight = nn.Parameter(torch.empty(num_columns, hidden, hidden))
        self.block_bias = nn.Parameter(torch.zeros(num_columns, 1, hidden))
        self.outputs = nn.ModuleList(nn.Linear(hidden, cardinality) for cardinality in cardinalities)
        nn.init.normal_(self.within, std=1 / math.sqrt(max(1, sum(widths))))
        nn.init.normal_(self.block_weight, std=1 / math.sqrt(hidden))
        for output in self.output_layers:
            nn.init.normal_(output.weight, std=0.3 / math.sqrt(hidden))
        mask = torch.zeros(sum(widths), num_columns, hidden)
        start = 0
        for column, width in enumerate(widths):
            mask[start : start + width, column + 1 :] = 1.0
            start += width
        self.register_buffer("mask", mask.reshape(sum(widths), num_columns * hidden), persistent=False)

    @property
    def output_layers(self) -> list[nn.Linear]:
        """One map from hidden to logits per column."""
        return cast("list[nn.Linear]", list(self.outputs))

    def hidden_layer(self, context: Tensor, embedded: Tensor) -> Tensor:
        """context_NX, embedded_ND -> hidden_CNH, what each column's output map reads."""
        first = self.context(context) + embedded @ (self.within * self.mask)
        first = F.relu(first).view(-1, self.num_columns, self.hidden).transpose(0, 1)
        return first + F.relu(torch.baddbmm(self.block_bias, first, self.block_weight))

    def negative_log_likelihood(self, context: Tensor, embedded: Tensor, codes: Tensor) -> Tensor:
        """nats_NC of codes_NC, in float32."""
        hidden = self.hidden_layer(context, embedded)
        losses = [
            F.cross_entropy(output(rows).float(), column, reduction="none")
            for output, rows, column in zip(self.output_layers, hidden.unbind(0), codes.unbind(-1), strict=True)
        ]
        return torch.stack(losses, dim=-1)

    @torch.no_grad()
    def start_from_marginals(self, counts: list[Tensor]) -> None:
        """Output biases at the log of the (smoothed) marginals, so that training starts where counting ends."""
        for output, column_counts in zip(self.output_layers, counts, strict=True):
            output.bias.copy_(torch.log((column_counts + 0.5) / (column_counts + 0.5).sum()))


class PositionFeatures(nn.Module):
    """Index of an event and events remaining (itself included) -> features_NP."""

    def __init__(self) -> None:
        super().__init__()
        self.index = nn.Embedding(MAX_POSITION + 1, POSITION_WIDTH)
        self.remaining = nn.Embedding(MAX_POSITION + 1, POSITION_WIDTH)

    def forward(self, index: Tensor, remaining: Tensor) -> Tensor:
        """index_N, remaining_N -> features_NP."""
        index_f, remaining_f = index.float(), remaining.float()
        scalars = torch.stack(
            [
                torch.log1p(index_f) / 4,
                torch.log1p(remaining_f) / 4,
                index_f / (index_f + remaining_f).clamp(min=1),
                1 / remaining_f.clamp(min=1),
            ],
            dim=-1,
        )
        near = [
            self.index(index.clamp(max=MAX_POSITION)),
            self.remaining(remaining.clamp(min=0, max=MAX_POSITION)),
        ]
        return torch.cat([*near, scalars], dim=-1)


class SequenceModel(nn.Module):
    """See the module's first lines."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.static_embedding = CodeEmbedding(config.static_cardinalities)
        self.event_embedding = CodeEmbedding(config.event_cardinalities)
        self.position = PositionFeatures()
        static_width, event_width = self.static_embedding.total_width, self.event_embedding.total_width
        self.static_heads = ColumnHeads(config.static_cardinalities, self.static_embedding.widths, 0, config.hidden)
        self.history = nn.LSTM(event_width, config.width, batch_first=True)
        context_width = config.width + 2 * event_width + static_width + NUM_POSITION_FEATURES
        self.event_heads = ColumnHeads(
            config.event_cardinalities, self.event_embedding.widths, context_width, config.hidden
        )

    def describe_inputs(self) -> dict[str, tuple[str, torch.dtype]]:
        """Name -> (shape, dtype) of what forward takes."""
        return {
            "static_codes": ("B S", torch.int64),
            "event_codes": ("B T E", torch.int64),
            "num_events": ("B", torch.int64),
            "random_static_codes": ("R S", torch.int64),
        }

    def forward(
        self, static_codes: Tensor, event_codes: Tensor, num_events: Tensor, random_static_codes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Negative log likelihoods in nats, padding zero: static_nats_RS of the random subjects, event_nats_BTE.

        The static heads learn from `random_static_codes`, plain random subjects, because the batch itself is
        bucketed by length and would bias them.
        """
        return self.static_nats(random_static_codes), self.event_nats(static_codes, event_codes, num_events)

    def static_nats(self, static_codes: Tensor) -> Tensor:
        """nats_BS of static_codes_BS."""
        no_context = torch.zeros(static_codes.shape[0], 1, device=static_codes.device)
        return self.static_heads.negative_log_likelihood(no_context, self.static_embedding(static_codes), static_codes)

    def event_nats(self, static_codes: Tensor, event_codes: Tensor, num_events: Tensor) -> Tensor:
        """nats_BTE of event_codes_BTE; zero after each history's end."""
        num_subjects, num_steps, num_columns = event_codes.shape
        embedded = self.event_embedding(event_codes)
        context = self._context(static_codes, embedded, num_events)
        nats = self.event_heads.negative_log_likelihood(
            context.flatten(0, 1), embedded.flatten(0, 1), event_codes.flatten(0, 1)
        ).view(num_subjects, num_steps, num_columns)
        steps = torch.arange(num_steps, device=event_codes.device)
        return nats * (steps[None, :] < num_events[:, None])[..., None]

    def _context(self, static_codes: Tensor, embedded: Tensor, num_events: Tensor) -> Tensor:
        """What each event's heads read: context_BTX."""
        num_subjects, num_steps, _ = embedded.shape
        previous = F.pad(embedded[:, :-1], (0, 0, 1, 0))
        steps = torch.arange(num_steps, device=embedded.device)
        mean = previous.float().cumsum(1) / steps.clamp(min=1)[None, :, None]
        states, _ = self.history(previous)
        index = steps[None, :].expand(num_subjects, -1)
        position = self.position(index, (num_events[:, None] - index).clamp(min=0))
        static = self.static_embedding(static_codes)[:, None].expand(-1, num_steps, -1)
        parts = [states, previous, mean.to(previous.dtype), static, position]
        return torch.cat([self._thinned(part) for part in parts[:3]] + [part.float() for part in parts[3:]], dim=-1)

    def _thinned(self, part: Tensor) -> Tensor:
        """Dropout with one mask per subject, shared over time: drawing masks is serial and costs more than it gives."""
        if not self.training or self.config.dropout == 0.0:
            return part.float()
        keep = 1.0 - self.config.dropout
        mask = torch.empty(part.shape[0], 1, part.shape[2], device=part.device).bernoulli_(keep) / keep
        return part.float() * mask
