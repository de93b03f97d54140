"""Joining and leaving the process group, whoever launched this rank. [torch]"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from synth_spark.devices import CPU, gpus_here, told_gpus
from synth_spark.errors import EnvironmentProblem

_CPU = torch.device(CPU)


@dataclass(frozen=True)
class RankInfo:
    """Which of how many."""

    rank: int
    num_ranks: int
    local_rank: int = 0  # among those of its machine

    @property
    def is_first(self) -> bool:
        """Whether this rank writes what all ranks share."""
        return self.rank == 0


def rank_from_environment() -> RankInfo:
    """What torchrun or TorchDistributor set; rank 0 of 1 where nothing did."""
    rank, num_ranks, local_rank = (
        int(os.environ.get(name, nobody)) for name, nobody in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    )
    return RankInfo(rank, num_ranks, local_rank)


def own_device(device: str, ranks: RankInfo) -> torch.device:
    """This rank's own processor or GPU: cpu, or the GPU whose number is its own among the ranks of its machine.

    Raises:
        EnvironmentProblem: it has none.
    """
    if device == CPU:
        return _CPU
    gpus, reason = gpus_here()
    if ranks.local_rank >= gpus:
        found = told_gpus(gpus) + (f" ({reason})" if reason else "")
        raise EnvironmentProblem(
            f"train.device: {device}, but rank {ranks.rank} of {ranks.num_ranks} on {socket.gethostname()} finds "
            f"{found} and wants number {ranks.local_rank}; give each rank one of its own (docs/cluster.md), or set "
            "train.device: cpu"
        )
    torch.cuda.set_device(ranks.local_rank)
    return torch.device(device, ranks.local_rank)


def backend_for(device: torch.device) -> str:
    """What ranks talk over: gloo; on GPUs NCCL for what lies there, and gloo for the few numbers that never do."""
    return "gloo" if device.type == CPU else f"cpu:gloo,{device.type}:nccl"


@contextmanager
def process_group(ranks: RankInfo, *, timeout_seconds: int, device: torch.device = _CPU) -> Iterator[None]:
    """The group of all ranks; one rank alone gets a group of one without a network.

    Leaving takes a barrier first: a rank that exits early kills the others at exit. After an error there is no
    barrier, since the others may never come; they end by the timeout or with the lost connection.
    """
    timeout, backend = timedelta(seconds=timeout_seconds), backend_for(device)
    if ranks.num_ranks == 1:
        store = dist.HashStore()  # type: ignore[attr-defined]  # public, but not exported by name
        dist.init_process_group(backend, store=store, rank=0, world_size=1, timeout=timeout)
    else:
        dist.init_process_group(backend, rank=ranks.rank, world_size=ranks.num_ranks, timeout=timeout)
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


def is_same_everywhere(digest: str) -> bool:
    """Whether all ranks have these hexadecimal digits; the answer is the same on each."""
    number = int(digest[:15], 16)  # fits an int64
    return largest(number) == -largest(-number)


def summed_tensors(tensors: list[Tensor]) -> list[Tensor]:
    """Each tensor summed over all ranks."""
    joined = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(joined)
    parts = joined.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
