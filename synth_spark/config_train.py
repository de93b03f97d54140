"""The section `train` of the configuration: model and training. [plain]"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synth_spark.config_section import Section


class TrainSettings(Section):
    """The sequence model and its training."""

    launcher: Literal["inprocess", "torchdistributor", "torchrun", "cluster"] = Field(
        "inprocess",
        description="inprocess: one rank in this process; torchdistributor: num_ranks processes on this machine; "
        "torchrun: the same without Spark; cluster: num_ranks tasks of the Spark cluster (docs/cluster.md)",
    )
    num_ranks: int | None = Field(
        None,
        ge=1,
        le=64,
        description="number of DDP ranks; default: 1, but with torchdistributor and torchrun one for each GPU of the "
        "machine that trains; on GPUs never more than these",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="what trains and calibrates: auto takes an NVIDIA GPU per rank where torch can use one, else the "
        "CPU; cuda refuses to train without; with the launcher cluster Spark's spark.task.resource.gpu.amount decides",
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="torch threads per rank; default: CPUs granted / ranks on this machine"
    )
    reader: Literal["petastorm", "arrow"] = Field(
        "petastorm",
        description="what reads the training files, the same rows in the same order; arrow, which is plain pyarrow, is "
        "for machines where petastorm cannot be imported (synth-spark doctor tells)",
    )
    width: int = Field(128, ge=8, le=1024, description="width of the recurrent history")
    hidden: int = Field(64, ge=8, le=512, description="width of each sub-column's head")
    dropout: float = Field(
        0.05,
        ge=0.0,
        lt=1.0,
        description="dropout on inputs of the heads, fivefold on static columns and on the past as a whole",
    )
    learning_rate: float = Field(4e-3, gt=0.0, lt=1.0, description="peak learning rate of AdamW")
    batch_events: int | None = Field(
        None,
        ge=16,
        le=10**7,
        description="padded events per batch and rank; default: 24 mean histories, within 256 to 4,096, or a "
        "thousandth of the training events, up to 8,192, divided by the number of ranks; fewer where tables are wide",
    )
    window_events: int = Field(
        128,
        ge=2,
        le=10**6,
        description="longer histories are trained in equal windows of at most so many events, each going on from the "
        "one before",
    )
    window_subjects: int = Field(
        65536, ge=64, le=10**8, description="subjects held in memory at once, batches are bucketed inside"
    )
    epoch_events: int = Field(
        5_000_000,
        ge=1,
        description="an epoch, after which there are validation and a checkpoint, is one pass over the training data, "
        "or so many events of it, to the next end of a window of subjects; the next epoch goes on where it ended",
    )
    max_epochs: int = Field(100, ge=1, le=10**6, description="upper limit of epochs")
    max_minutes: float | None = Field(
        None, gt=0, description="time budget in minutes; training ends well after the step that uses it up"
    )
    patience: int = Field(
        3, ge=1, le=10**6, description="epochs without a better validation loss before training stops"
    )
    number_format: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto takes bfloat16 where processor or GPU multiply it natively"
    )
    calibration_rounds: int = Field(3, ge=0, le=10, description="rounds of on-policy calibration: marginals and pairs")
    timeout_seconds: int = Field(600, ge=10, le=10**6, description="a collective that waits longer ends the run")

    @property
    def needs_spark(self) -> bool:
        """Whether the launcher starts its ranks through a Spark session."""
        return self.launcher in ("torchdistributor", "cluster")
