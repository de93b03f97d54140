"""The thin Spark side of sampling: chunk numbers in, sequences rows out. [spark]

The model travels as a broadcast, in a local session as on a cluster, so no executor needs to see the driver's disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession

from synth_spark.errors import ContractError
from synth_spark.model.facts import CODEBOOK_FILE, MODEL_FILE, WEIGHTS_FILE
from synth_spark.sample.plan import SamplePlan
from synth_spark.sample.worker import load_generator, sample_rows

if TYPE_CHECKING:
    from pyspark import Broadcast

SPARK_SCHEMA = (
    "subject_number BIGINT, split STRING, num_events INT, static_codes ARRAY<SMALLINT>, event_codes ARRAY<SMALLINT>"
)


def sample_chunks(
    spark: SparkSession,
    plan: SamplePlan,
    *,
    model_folder: Path,
    weights_digest: str,
    chunks: range,
    num_partitions: int,
) -> DataFrame:
    """One row per synthetic subject of the given chunks; the same rows whatever the number of partitions.

    Raises:
        ContractError: a file of the model is missing or altered.
    """
    specs = spark.range(chunks.start, chunks.stop, 1, num_partitions)
    threads = int(spark.conf.get("spark.task.cpus", "1") or 1)
    model = spark.sparkContext.broadcast(_model_files(model_folder, weights_digest))
    sampler = _sampler(plan.to_document(), model, weights_digest, threads)
    return specs.mapInArrow(sampler, SPARK_SCHEMA)


def _model_files(folder: Path, weights_digest: str) -> dict[str, bytes]:
    try:
        files = {name: (folder / name).read_bytes() for name in (MODEL_FILE, WEIGHTS_FILE, CODEBOOK_FILE)}
    except OSError as error:
        raise ContractError(f"checkpoint {folder}: cannot be read ({error}); run the train stage again") from None
    if hashlib.sha256(files[WEIGHTS_FILE]).hexdigest() != weights_digest:
        raise ContractError(
            f"checkpoint {folder}: damaged or foreign ({WEIGHTS_FILE} does not match its digest); "
            "run the train stage again"
        )
    return files


def _sampler(
    plan_document: dict[str, int], model: Broadcast[dict[str, bytes]], weights_digest: str, threads: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def sampler(specs: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        generator = load_generator(weights_digest, threads, lambda: model.value, SparkFiles.getRootDirectory())
        plan = SamplePlan.from_document(plan_document)
        for spec in specs:
            for chunk in spec.column(0).to_pylist():
                yield from sample_rows(generator, plan, chunk)

    return sampler
