"""Which device trains, and how many ranks there are: one for each GPU. [plain; torch loads when asked for]"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synth_spark.config_train import TrainSettings
from synth_spark.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CPU, CUDA = "cpu", "cuda"
TASK_GPUS = "spark.task.resource.gpu.amount"  # Spark's setting: GPUs of each task
_OF_NVIDIA = "nvidia[0-9]*"  # what its driver puts into /dev
_INSTEAD = f"or train.device: {CPU}"


@dataclass(frozen=True)
class Placement:
    """Where a training runs. `remark`: what else is to know, for logs; empty if nothing is."""

    device: str  # CPU or CUDA
    num_ranks: int
    remark: str = ""

    @property
    def told(self) -> str:
        """In words."""
        ranks = "1 rank" if self.num_ranks == 1 else f"{self.num_ranks} ranks"
        return f"{self.device}, {ranks}" + (f"; {self.remark}" if self.remark else "")


def prepare_processors() -> None:
    """Before torch is loaded, and inherited by ranks: threads that wait for one another give the processor up soon, and
    all products that were compiled are kept, of many columns as well.

    Why, and what it costs on an idle machine: docs/decisions/sequence-model.md.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")


def gpus_here() -> tuple[int, str]:
    """How many GPUs torch can use on this machine, and why there is none; empty if there is one."""
    prepare_processors()
    import torch

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found:
        return found, ""
    if told:  # such as a driver that is too old
        return 0, str(told[0].message).split(" (Triggered")[0]
    if torch.version.cuda is None:
        return 0, f"torch {torch.__version__} is built without CUDA"
    return 0, "torch sees none on this machine"


def told_gpus(count: int) -> str:
    """In words."""
    return "1 GPU" if count == 1 else f"{count or 'no'} GPUs"


def placement(settings: TrainSettings, spark: SparkSession | None, *, most_ranks: int | None = None) -> Placement:
    """Device and number of ranks that a training with these settings takes here; loads torch unless device is cpu.

    Args:
        spark: asked by the launcher cluster only.
        most_ranks: that the data have files for; the default number of ranks is not above it.

    Raises:
        ConfigError: train.device is cuda and there is no GPU, or there are fewer than ranks.
    """
    if settings.device == CPU:
        return Placement(CPU, settings.num_ranks or 1)
    if settings.launcher == "cluster":
        assert spark is not None, "the cluster's launcher needs the Spark session"
        return _on_cluster(settings, spark.conf.get(TASK_GPUS, "0") or "0")
    gpus, reason = gpus_here()
    if gpus:
        return _on_gpus(settings, gpus, most_ranks or gpus)
    if settings.device == CUDA:
        raise ConfigError(
            f"train.device: cuda, but there is no GPU ({reason}); run it where there is one, set train.device: auto, "
            "which takes a GPU where there is one, " + _INSTEAD
        )
    return Placement(CPU, settings.num_ranks or 1)


def check_device(settings: TrainSettings) -> None:
    """Before hours of work: as placement, but without Spark, and without torch on a machine that has no GPU for sure.

    Raises:
        ConfigError: see placement.
    """
    if settings.launcher == "inprocess" and (settings.num_ranks or 1) > 1:
        raise ConfigError(
            f"train.num_ranks: {settings.num_ranks}, but the launcher inprocess has one rank; set train.launcher to "
            "torchdistributor, torchrun or cluster"
        )
    if settings.launcher == "cluster" or settings.device == CPU:
        return
    if settings.device == CUDA or any(Path("/dev").glob(_OF_NVIDIA)):
        placement(settings, None)


def _on_gpus(settings: TrainSettings, gpus: int, most_ranks: int) -> Placement:
    alone = settings.launcher == "inprocess"
    wanted = settings.num_ranks or (1 if alone else min(gpus, most_ranks))
    if wanted > gpus:
        raise ConfigError(
            f"train.num_ranks: {wanted} ranks, but {told_gpus(gpus)} here, and each rank takes one of its own; "
            f"set {gpus} or fewer, " + _INSTEAD
        )
    way_out = " (train.launcher: torchrun takes all)" if alone else ""
    return Placement(CUDA, wanted, f"{gpus - wanted} of {gpus} GPUs stay idle{way_out}" if wanted < gpus else "")


def _on_cluster(settings: TrainSettings, task_gpus: str) -> Placement:
    """On executors it is Spark that gives GPUs; nothing here can look for them."""
    num_ranks = settings.num_ranks or 1
    if task_gpus == "1":
        return Placement(CUDA, num_ranks)
    if settings.device == CUDA:
        raise ConfigError(
            f"train.device: cuda with train.launcher cluster, but {TASK_GPUS} is {task_gpus}, and each rank takes one "
            "GPU of its own; set it to 1 and spark.executor.resource.gpu.amount to what executors have, " + _INSTEAD
        )
    return Placement(CPU, num_ranks, f"{TASK_GPUS} is {task_gpus}, not 1" if task_gpus != "0" else "")
