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

from synth_spark.codecs.order import UNORDERED

MAX_POSITION = 31  # index and remaining count have their own embedding up to here, a logarithm carries on
POSITION_WIDTH = 8


# Parameters and work grow with the square of the number of sub-columns; from some 40 on these bounds hold them.
MAX_EMBEDDING = 512  # joined width of all embeddings of a table
MAX_HEADS = 4096  # joined width of all heads of a table
MIN_HEAD = 8

MAX_WAVES = 24  # how many cosines of the rank make up what neighbouring codes have in common
EMBEDDING_SPREADS = {"alone": 0.3, "own": 0.05, "shared": 0.15}
LOGITS_SPREADS = {"alone": 0.3, "own": 0.3, "shared": 0.0}  # times one over the root of the head's width


def embedding_widths(cardinalities: Sequence[int]) -> list[int]:
    """Per sub-column about 3 * sqrt(cardinality), between 2 and 64; all in proportion narrower in a wide table."""
    wanted = [max(2, min(64, round(3 * math.sqrt(cardinality)))) for cardinality in cardinalities]
    share = min(1.0, MAX_EMBEDDING / max(1, sum(wanted)))
    return [max(2, int(width * share)) for width in wanted]


def head_width(num_columns: int, hidden: int) -> int:
    """Width of each head: `hidden`, less in a wide table."""
    return min(hidden, max(MIN_HEAD, MAX_HEADS // max(1, num_columns)))


class CodeRows(nn.Module):
    """A row for each code of a sub-column: rows_KD.

    Codes in an order (numbers, times, lengths) have much in common with their neighbours: a sum of cosines of the rank
    is added to what each code has of its own. What training finds out at one code then holds near it as well.
    """

    waves: Tensor  # KM, constant; empty where codes have no order

    def __init__(self, width: int, ranks: Sequence[int], *, alone: float, own: float, shared: float) -> None:
        """ranks: one per code, see codecs/order.py.

        alone, own, shared: standard deviations at first: of the rows of codes without an order; of what those in an
        order have of their own, and of the coefficients of what they share.
        """
        super().__init__()
        self.register_buffer("waves", waves_of(ranks), persistent=False)
        spread = torch.where(self.waves.any(1, keepdim=True), own, alone)
        self.own = nn.Parameter(torch.randn(len(ranks), width) * spread)
        num_waves = self.waves.shape[1]
        self.shared = nn.Parameter(torch.randn(num_waves, width) * shared) if num_waves else None

    def forward(self) -> Tensor:
        """rows_KD, in float32: the product is too small for casting to pay."""
        if self.shared is None:
            return self.own
        with torch.autocast(self.own.device.type, enabled=False):
            return torch.addmm(self.own, self.waves, self.shared)


def waves_of(ranks: Sequence[int]) -> Tensor:
    """waves_KM: cosines of 1 to MAX_WAVES half periods over all ranks, that of n half periods weaker by the root of n.

    Zero for a code without a rank. Two codes are in an order anyway: no waves.
    """
    number = torch.arange(1, 1 + min(MAX_WAVES, max(ranks)) if max(ranks) > 1 else 1)
    rank = torch.tensor(ranks)[:, None]
    waves = torch.cos(math.pi * number * (rank + 0.5) / (max(ranks) + 1)) * number.rsqrt()
    return waves * (rank != UNORDERED)


class CodeEmbedding(nn.Module):
    """Codes of one table to their concatenated embeddings: codes_NC -> x_ND."""

    def __init__(self, ranks: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.widths = embedding_widths([len(of_codes) for of_codes in ranks])
        self.tables = nn.ModuleList(
            CodeRows(width, of_codes, **EMBEDDING_SPREADS) for width, of_codes in zip(self.widths, ranks, strict=True)
        )

    def rows(self) -> list[Tensor]:
        """rows_KD of each sub-column."""
        return [table() for table in self.tables]

    @property
    def total_width(self) -> int:
        """D of the table."""
        return sum(self.widths)

    def forward(self, codes: Tensor) -> Tensor:
        """codes_...C -> embedded_...D."""
        columns = codes.unbind(-1)
        return torch.cat([F.embedding(column, rows) for rows, column in zip(self.rows(), columns, strict=True)], dim=-1)


class CodeLogits(nn.Module):
    """A linear map, hidden_NH -> logits_NK of one sub-column."""

    def __init__(self, hidden: int, ranks: Sequence[int]) -> None:
        super().__init__()
        spreads = {name: spread / math.sqrt(hidden) for name, spread in LOGITS_SPREADS.items()}
        self.rows = CodeRows(hidden, ranks, **spreads)
        self.bias = nn.Parameter(torch.zeros(len(ranks)))

    def forward(self, hidden: Tensor) -> Tensor:
        """logits_NK."""
        return F.linear(hidden, self.rows(), self.bias)


class ColumnHeads(nn.Module):
    """Masked autoregressive heads: column c sees what is given and the columns before it, nothing else.

    One linear map from all embeddings (block-masked), plus what is given, makes every column's first hidden layer; a
    residual block per column and a linear map to its logits follow.
    """

    mask: Tensor

    def __init__(self, ranks: Sequence[Sequence[int]], widths: list[int], hidden: int) -> None:
        super().__init__()
        num_columns = len(ranks)
        hidden = head_width(num_columns, hidden)
        self.num_columns, self.hidden = num_columns, hidden
        self.bias = nn.Parameter(torch.zeros(num_columns * hidden))
        self.within = nn.Parameter(torch.empty(sum(widths), num_columns * hidden))
        self.block_weight = nn.Parameter(torch.empty(num_columns, hidden, hidden))
        self.block_bias = nn.Parameter(torch.zeros(num_columns, 1, hidden))
        self.outputs = nn.ModuleList(CodeLogits(hidden, of_codes) for of_codes in ranks)
        nn.init.normal_(self.within, std=1 / math.sqrt(sum(widths)))
        nn.init.normal_(self.block_weight, std=1 / math.sqrt(hidden))
        mask = torch.zeros(sum(widths), num_columns, hidden)
        start = 0
        for column, width in enumerate(widths):
            mask[start : start + width, column + 1 :] = 1.0
            start += width
        self.register_buffer("mask", mask.reshape(sum(widths), num_columns * hidden), persistent=False)

    @property
    def output_layers(self) -> list[CodeLogits]:
        """One map from hidden to logits per column."""
        return cast("list[CodeLogits]", list(self.outputs))

    def hidden_layer(self, embedded: Tensor, given: Tensor | None) -> Tensor:
        """embedded_ND, given_N(CH) -> hidden_CNH, what each column's output map reads."""
        first = torch.addmm(self.bias, embedded, self.within * self.mask)
        first = F.relu(first if given is None else first + given)
        first = first.view(-1, self.num_columns, self.hidden).transpose(0, 1)
        return first + F.relu(torch.baddbmm(self.block_bias, first, self.block_weight))

    def logits(self, hidden: Tensor) -> list[Tensor]:
        """logits_NK of each sub-column, of hidden_CNH."""
        return [output(rows) for output, rows in zip(self.output_layers, hidden.unbind(0), strict=True)]


class PositionFeatures(nn.Module):
    """Where an event lies in its history -> features_NP: index, events remaining (itself included), time remaining.

    Args:
        num_periods: codes that tell the time in ascending order; 0 without a clock.
    """

    def __init__(self, num_periods: int) -> None:
        super().__init__()
        self.num_periods = num_periods
        self.index = nn.Embedding(MAX_POSITION + 1, POSITION_WIDTH)
        self.remaining = nn.Embedding(MAX_POSITION + 1, POSITION_WIDTH)

    @property
    def width(self) -> int:
        """P."""
        return 2 * POSITION_WIDTH + (7 if self.num_periods else 4)

    def forward(self, index: Tensor, remaining: Tensor, left: Tensor) -> Tensor:
        """index_N, remaining_N, left_N (periods to the planned end) -> features_NP."""
        index_f, remaining_f = index.float(), remaining.float()
        scalars = [
            torch.log1p(index_f) / 4,
            torch.log1p(remaining_f) / 4,
            index_f / (index_f + remaining_f).clamp(min=1),
            1 / remaining_f.clamp(min=1),
        ]
        if self.num_periods:
            left_f = left.float()
            scalars += [
                left_f / self.num_periods,
                torch.log1p(left_f) / 4,
                # the pace that is needed to place all events that remain: without it histories run early into the end
                (torch.log1p(remaining_f) - torch.log1p(left_f)) / 4,
            ]
        near = [
            self.index(index.clamp(max=MAX_POSITION)),
            self.remaining(remaining.clamp(min=0, max=MAX_POSITION)),
        ]
        return torch.cat([*near, torch.stack(scalars, dim=-1)], dim=-1)
