"""The parts of the network: embeddings of codes, masked autoregressive heads, position features. [torch]

Shapes as in model/network.py: N rows of any kind, C sub-columns of a table, D embedding width of a table,
H head width, X context width, P position features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_POSITION = 31  # index and remaining count have their own embedding up to here, a logarithm carries on
POSITION_WIDTH = 8
NUM_POSITION_FEATURES = 2 * POSITION_WIDTH + 4


# Parameters and work grow with the square of the number of sub-columns; from some 40 on these bounds hold them.
MAX_EMBEDDING = 1024  # joined width of all embeddings of a table
MAX_HEADS = 4096  # joined width of all heads of a table
MIN_HEAD = 8


def embedding_widths(cardinalities: Sequence[int]) -> list[int]:
    """Per sub-column about 3 * sqrt(cardinality), between 2 and 64; all in proportion narrower in a wide table."""
    wanted = [max(2, min(64, round(3 * math.sqrt(cardinality)))) for cardinality in cardinalities]
    share = min(1.0, MAX_EMBEDDING / max(1, sum(wanted)))
    return [max(2, int(width * share)) for width in wanted]


def head_width(num_columns: int, hidden: int) -> int:
    """Width of each head: `hidden`, less in a wide table."""
    return min(hidden, max(MIN_HEAD, MAX_HEADS // max(1, num_columns)))


class CodeEmbedding(nn.Module):
    """Codes of one table to their concatenated embeddings: codes_NC -> x_ND."""

    def __init__(self, cardinalities: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = embedding_widths(cardinalities)
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
    """Masked autoregressive heads: column c sees what is given and the columns before it, nothing else.

    One linear map from all embeddings (block-masked), plus what is given, makes every column's first hidden layer; a
    residual block per column and a linear map to its logits follow.
    """

    mask: Tensor

    def __init__(self, cardinalities: tuple[int, ...], widths: list[int], hidden: int) -> None:
        super().__init__()
        num_columns = len(cardinalities)
        hidden = head_width(num_columns, hidden)
        self.num_columns, self.hidden = num_columns, hidden
        self.bias = nn.Parameter(torch.zeros(num_columns * hidden))
        self.within = nn.Parameter(torch.empty(sum(widths), num_columns * hidden))
        self.block_weight = nn.Parameter(torch.empty(num_columns, hidden, hidden))
        self.block_bias = nn.Parameter(torch.zeros(num_columns, 1, hidden))
        self.outputs = nn.ModuleList(nn.Linear(hidden, cardinality) for cardinality in cardinalities)
        nn.init.normal_(self.within, std=1 / math.sqrt(sum(widths)))
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

    def hidden_layer(self, embedded: Tensor, given: Tensor | None) -> Tensor:
        """embedded_ND, given_N(CH) -> hidden_CNH, what each column's output map reads."""
        first = torch.addmm(self.bias, embedded, self.within * self.mask)
        first = F.relu(first if given is None else first + given)
        first = first.view(-1, self.num_columns, self.hidden).transpose(0, 1)
        return first + F.relu(torch.baddbmm(self.block_bias, first, self.block_weight))

    def negative_log_likelihood(self, codes: Tensor, embedded: Tensor, given: Tensor | None = None) -> Tensor:
        """nats_NC of codes_NC, in float32."""
        hidden = self.hidden_layer(embedded, given)
        losses = [
            F.cross_entropy(output(rows).float(), column, reduction="none")
            for output, rows, column in zip(self.output_layers, hidden.unbind(0), codes.unbind(-1), strict=True)
        ]
        return torch.stack(losses, dim=-1)


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
