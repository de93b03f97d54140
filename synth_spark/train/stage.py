"""The train stage: manifest and codebook in, checkpoint out. [torch; Spark only through the launcher]"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synth_spark.columns import TRAINING, VALIDATION
from synth_spark.config import Config
from synth_spark.config_train import TrainSettings
from synth_spark.devices import placement, prepare_processors
from synth_spark.logs import stage_logger
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
        ConfigError: launcher and number of ranks do not go together, train.reader cannot read on this machine, or
            train.device is not there.
    """
    prepare_processors()
    from synth_spark.train.rank import TrainJob

    settings = config.train
    manifest = Manifest.load(paths.manifest)  # before any process starts
    require_reader(settings.reader)
    files = min(len(manifest.of_split(split)) for split in (TRAINING, VALIDATION))
    placed = placement(settings, spark, most_ranks=max(1, files))
    stage_logger("train").info("trains on %s", placed.told)
    paths.checkpoint.mkdir(parents=True, exist_ok=True)
    threads = settings.threads or _threads_granted(spark, settings, placed.num_ranks)
    job = TrainJob(
        manifest=str(paths.manifest),
        codebook=str(paths.codebook),
        folder=str(paths.checkpoint),
        seed=config.seed,
        threads=threads,
        settings=settings.model_dump(),
        device=placed.device,
    )
    figures = launch_training(spark, job, launcher=settings.launcher, num_ranks=placed.num_ranks)
    return {key: value for key, value in figures.items() if key not in ("status", "time")}


def _threads_granted(spark: SparkSession | None, settings: TrainSettings, num_ranks: int) -> int:
    """Processors of each rank: of its task on a cluster, else its share of this machine."""
    if settings.launcher == "cluster":
        assert spark is not None, "the cluster's launcher needs the Spark session"
        return int(spark.conf.get("spark.task.cpus", "1") or 1)
    return max(1, granted_cpus() // num_ranks)
