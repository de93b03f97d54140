"""Launchers: the same train function in this process, as processes of this machine, or as tasks of a cluster. [torch]

The room's one bridge to Spark, which is imported inside the function that needs it. A launcher only starts
processes; what happened is read from the notes that the ranks leave, because TorchDistributor's return value is the
last rank's to end and its error is the tail of a log.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.devices import CUDA
from synth_spark.errors import ConfigError, SynthError, TrainingError
from synth_spark.files import replace_text
from synth_spark.logs import stage_logger

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from synth_spark.train.rank import TrainJob

_DISTRIBUTED_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK")
_ECHOES = ("DistBackendError", "DistNetworkError", "SignalException", "SystemExit")  # of another rank's end
_LOST_PEER = re.compile(r"gloo|peer|process group|timed out", re.IGNORECASE)  # in a RuntimeError that is one, too
JOB_FILE = "job.json"  # a TrainJob, for torchrun
log = stage_logger("train")
_TOO_FEW_SLOTS = "SPARK-24819"  # Spark's message for it begins so
_PR_SET_PDEATHSIG = 1


def launch_training(spark: SparkSession | None, job: TrainJob, *, launcher: str, num_ranks: int) -> dict[str, Any]:
    """Run all ranks of a job; rank 0's figures.

    Raises:
        TrainingError: a rank raised or died; the message holds the first failing rank and its own error.
        ConfigError: the launcher needs what is not there.
    """
    notes = Path(job.folder) / "ranks"
    Path(job.folder).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(notes, ignore_errors=True)
    failure: BaseException | None = None
    try:
        _LAUNCHERS[launcher](spark, asdict(job), num_ranks)
    except SynthError:
        raise
    except Exception as error:  # whatever the launcher says, the ranks' own notes say it better
        failure = error
    return _verdict(notes, num_ranks, failure)


def _in_process(spark: SparkSession | None, document: dict[str, Any], num_ranks: int) -> None:
    if num_ranks != 1:
        raise ConfigError(
            f"train.num_ranks: {num_ranks} with train.launcher inprocess, which is one rank; "
            "set train.launcher to torchdistributor, torchrun or cluster"
        )
    from synth_spark.train.rank import train_rank

    for name in _DISTRIBUTED_VARIABLES:  # a reused Python worker may carry another job's
        os.environ.pop(name, None)
    train_rank(document)


def _torch_distributor(spark: SparkSession | None, document: dict[str, Any], num_ranks: int) -> None:
    from pyspark.ml.torch.distributor import TorchDistributor

    from synth_spark.train.rank import train_rank

    assert spark is not None, "TorchDistributor needs the Spark session"
    os.environ.setdefault("OMP_NUM_THREADS", str(document["threads"]))
    use_gpu = document["device"] == CUDA and _driver_gpus(spark) >= num_ranks
    TorchDistributor(num_processes=num_ranks, local_mode=True, use_gpu=use_gpu).run(train_rank, document)


def _driver_gpus(spark: SparkSession) -> int:
    """GPUs of the driver that Spark manages. TorchDistributor refuses use_gpu without; ranks on the driver's machine
    then see all GPUs of it and take their own all the same.
    """
    managed = "gpu" in spark.sparkContext.resources
    return int(spark.conf.get("spark.driver.resource.gpu.amount", "0") or 0) if managed else 0


def _cluster(spark: SparkSession | None, document: dict[str, Any], num_ranks: int) -> None:
    """Each rank is a task; all of them start together or none does (a barrier stage of Spark)."""
    from pyspark.ml.torch.distributor import TorchDistributor

    from synth_spark.train.rank import train_rank

    assert spark is not None, "TorchDistributor needs the Spark session"
    try:
        use_gpu = document["device"] == CUDA
        TorchDistributor(num_processes=num_ranks, local_mode=False, use_gpu=use_gpu).run(train_rank, document)
    except Exception as error:
        if _TOO_FEW_SLOTS in str(error):
            raise ConfigError(
                f"train.num_ranks: {num_ranks} ranks on a cluster need as many free tasks at once, it has fewer; "
                "set fewer ranks, or give the application more cores (spark.cores.max, spark.executor.cores)"
            ) from error
        raise


def _torchrun(spark: SparkSession | None, document: dict[str, Any], num_ranks: int) -> None:
    notes = Path(document["folder"]) / "ranks"
    notes.mkdir(parents=True)
    replace_text(notes / JOB_FILE, json.dumps(document))
    threads = {"OMP_NUM_THREADS": str(document["threads"])}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nnodes=1", f"--nproc-per-node={num_ranks}"]
    command = [sys.executable, *launcher, "-m", "synth_spark.train.torchrun", str(notes / JOB_FILE)]
    with (notes / "torchrun.log").open("wb") as log:
        ended = subprocess.run(command, stdout=log, stderr=log, env=threads | os.environ, preexec_fn=_end_with_parent)
    if ended.returncode:
        raise RuntimeError(f"torchrun ended with {ended.returncode}, see {log.name}")


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies: ranks must not go on behind a lock that is free again."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_LAUNCHERS: dict[str, Callable[[SparkSession | None, dict[str, Any], int], None]] = {
    "inprocess": _in_process,
    "torchdistributor": _torch_distributor,
    "torchrun": _torchrun,
    "cluster": _cluster,
}


def _verdict(notes: Path, num_ranks: int, failure: BaseException | None) -> dict[str, Any]:
    found = {rank: _read(notes / f"rank-{rank}.json") for rank in range(num_ranks)}
    interrupted = failure is not None and not isinstance(failure, Exception)
    if not interrupted and all(note["status"] == "done" for note in found.values()):
        if failure is not None:  # ranks that end, or what they return on the way, and not their work
            log.warning("all ranks are done; what came after them failed (%s)", type(failure).__name__)
        return found[0]
    failed = {rank: note for rank, note in found.items() if note["status"] == "failed"}
    own = {rank: note for rank, note in failed.items() if not _is_echo(note)}
    died = [rank for rank, note in found.items() if note["status"] == "started"]
    if died and not own:
        raise TrainingError(
            f"rank {died[0]} of {num_ranks} died without an error of its own (killed, out of memory, or no answer "
            "within train.timeout_seconds); run again to resume from the last epoch"
        ) from failure
    if failed:
        rank, note = min((own or failed).items(), key=lambda item: item[1]["time"])
        raise TrainingError(
            f"rank {rank} of {num_ranks} failed first: {note['error']}\n{note['traceback']}"
        ) from failure
    absent = [rank for rank, note in found.items() if note["status"] == "absent"]
    raise TrainingError(f"ranks {absent} of {num_ranks} never started: {failure}") from failure


def _is_echo(note: dict[str, Any]) -> bool:
    if note["kind"] == "RuntimeError":
        return _LOST_PEER.search(note["error"]) is not None
    return note["kind"] in _ECHOES


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"status": "absent"}
    note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return note
