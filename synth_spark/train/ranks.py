"""Joining and leaving the process group, whoever launched this rank. [torch]"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class RankInfo:
    """Which of how many."""

    rank: int
    num_ranks: int

    @property
    def is_first(self) -> bool:
        """Whether this rank writes what all ranks share."""
        return self.rank == 0


def rank_from_environment() -> RankInfo:
    """What torchrun or TorchDistributor set; rank 0 of 1 where nothing did."""
    return RankInfo(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def process_group(ranks: RankInfo, *, timeout_seconds: int) -> Iterator[None]:
    """The gloo group of all ranks; one rank alone gets a group of one without a network.

    Leaving takes a barrier first: a rank that exits early kills the others at exit. After an error there is no
    barrier, since the others may never come; they end by the timeout or with the lost connection.
    """
    timeout = timedelta(seconds=timeout_seconds)
    if ranks.num_ranks == 1:
        store = dist.HashStore()  # type: ignore[attr-defined]  # public, but not exported by name
        dist.init_process_group("gloo", store=store, rank=0, world_size=1, timeout=timeout)
    else:
        dist.init_process_group("gloo", rank=ranks.rank, world_size=ranks.num_ranks, timeout=timeout)
    try:
        yield
        dist.barrier()
    finally:
        dist.destroy_process_group()


def summed(*values: float) -> list[float]:
    """Each value summed over all ranks, in float64."""
    total = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(total)
    return [float(value) for value in total]


def largest(value: int) -> int:
    """The maximum over all ranks."""
    total = torch.tensor(value)
    dist.all_reduce(total, op=dist.ReduceOp.MAX)
    return int(total)


def summed_tensors(tensors: list[Tensor]) -> list[Tensor]:
    """Each tensor summed over all ranks."""
    joined = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(joined)
    parts = joined.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
