"""The train stage: manifest and codebook in, checkpoint out. [torch; Spark only through the launcher]"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from synth_spark.config import Config
from synth_spark.config_train import TrainSettings
from synth_spark.machine import granted_cpus
from synth_spark.manifest import Manifest
from synth_spark.readers import require_reader
from synth_spark.train.launch import launch_training
from synth_spark.workspace import RunPaths

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def run_train(spark: SparkSession | None, config: Config, paths: RunPaths) -> dict[str, Any]:
    """Train, or go on training, into paths.checkpoint; figures of rank 0.

    Raises:
        ContractError: manifest, codebook or an earlier checkpoint are missing, damaged or of another run.
        TrainingError: a rank failed; the message names it and its own error.
        ConfigError: launcher and number of ranks do not go together, or train.reader cannot read on this machine.
    """
    # Before torch is loaded, and inherited by ranks: threads that wait for one another give the processor up soon.
    # Why 1000, and what it costs on an idle machine: docs/decisions/sequence-model.md.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from synth_spark.train.rank import TrainJob

    settings = config.train
    Manifest.load(paths.manifest)  # before any process starts
    require_reader(settings.reader)
    paths.checkpoint.mkdir(parents=True, exist_ok=True)
    threads = settings.threads or _threads_granted(spark, settings)
    job = TrainJob(
        manifest=str(paths.manifest),
        codebook=str(paths.codebook),
        folder=str(paths.checkpoint),
        seed=config.seed,
        threads=threads,
        settings=settings.model_dump(),
    )
    figures = launch_training(spark, job, launcher=settings.launcher, num_ranks=settings.num_ranks)
    return {key: value for key, value in figures.items() if key not in ("status", "time")}


def _threads_granted(spark: SparkSession | None, settings: TrainSettings) -> int:
    """Processors of each rank: of its task on a cluster, else its share of this machine."""
    if settings.launcher == "cluster":
        assert spark is not None, "the cluster's launcher needs the Spark session"
        return int(spark.conf.get("spark.task.cpus", "1") or 1)
    return max(1, granted_cpus() // settings.num_ranks)
