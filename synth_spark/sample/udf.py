"""The thin Spark side of sampling: chunk numbers in, sequences rows out. [spark]"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from synth_spark.sample.plan import SamplePlan
from synth_spark.sample.worker import load_generator, sample_rows

SPARK_SCHEMA = (
    "subject_number BIGINT, split STRING, num_events INT, static_codes ARRAY<SMALLINT>, event_codes ARRAY<SMALLINT>"
)


def sample_chunks(
    spark: SparkSession, plan: SamplePlan, *, model_folder: str, weights_digest: str, chunks: range, num_partitions: int
) -> DataFrame:
    """One row per synthetic subject of the given chunks; the same rows whatever the number of partitions."""
    specs = spark.range(chunks.start, chunks.stop, 1, num_partitions)
    threads = int(spark.conf.get("spark.task.cpus", "1") or 1)
    sampler = _sampler(plan.to_document(), model_folder, weights_digest, threads)
    return specs.mapInArrow(sampler, SPARK_SCHEMA)


def _sampler(
    plan_document: dict[str, int], model_folder: str, weights_digest: str, threads: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def sampler(specs: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        generator = load_generator(model_folder, weights_digest, threads)
        plan = SamplePlan.from_document(plan_document)
        for spec in specs:
            for chunk in spec.column(0).to_pylist():
                yield from sample_rows(generator, plan, chunk)

    return sampler
