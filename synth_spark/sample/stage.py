"""The sample stage: checkpoint in, sampled_sequences out. [spark]"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.codebook import Codebook
from synth_spark.columns import NUM_EVENTS, SUBJECT_NUMBER, TRAINING, VALIDATION
from synth_spark.config import Config
from synth_spark.errors import ContractError
from synth_spark.logs import stage_logger
from synth_spark.model.chunks import chunk_subjects_for
from synth_spark.model.facts import read_facts
from synth_spark.progress import spark_progress
from synth_spark.sample.plan import SamplePlan
from synth_spark.sample.udf import sample_chunks
from synth_spark.seeds import derive, drawing_seed
from synth_spark.workspace import RunPaths


def run_sample(spark: SparkSession, config: Config, paths: RunPaths, *, subjects: int | None) -> dict[str, Any]:
    """Generate `subjects` synthetic subjects (default: as many as training and validation have) from the run's model.

    The table is replaced in one commit; until then, and after a crash, the earlier one stands.

    Raises:
        ContractError: the checkpoint is missing, damaged or of another codebook, or rows are missing afterwards.
    """
    logger = stage_logger("sample")
    model_folder = paths.checkpoint / "model"
    codebook = Codebook.load(paths.codebook)
    digest = _weights_digest(model_folder, codebook.fingerprint)
    plan = plan_sample(config, codebook, subjects, weights_digest=digest)
    partitions = plan.num_partitions(spark.sparkContext.defaultParallelism)
    logger.info(
        "%d subjects in %d chunks of %d, %d tasks", plan.num_subjects, plan.num_chunks, plan.chunk_subjects, partitions
    )
    started = time.perf_counter()
    sequences = sample_chunks(
        spark,
        plan,
        model_folder=model_folder,
        weights_digest=digest,
        chunks=range(plan.num_chunks),
        num_partitions=partitions,
    )
    properties = {"synth_spark.is_synthetic": "true", tables.WEIGHTS_DIGEST: digest}
    properties |= {f"synth_spark.sample.{key}": str(value) for key, value in plan.to_document().items()}
    with spark_progress(spark, "sample"):
        tables.write_table(sequences, paths.sampled_sequences, fingerprint=codebook.fingerprint, properties=properties)
    seconds = time.perf_counter() - started
    num_events = _verified(spark, paths.sampled_sequences, plan)
    return {
        "subjects": plan.num_subjects,
        "events": num_events,
        "chunks": plan.num_chunks,
        "chunk_subjects": plan.chunk_subjects,
        "seed": plan.seed,
        "sample.seconds": seconds,
        "sample.events_per_second": num_events / seconds,
    }


def plan_sample(config: Config, codebook: Codebook, subjects: int | None, *, weights_digest: str = "") -> SamplePlan:
    """How many subjects, in which chunks, from which seed; both numbers come from the codebook where none is set.

    Args:
        weights_digest: of the model that is drawn from, which the seed depends on; whoever asks for sizes needs none.
    """
    if subjects is None:
        subjects = config.sample.subjects
    if subjects is None:
        subjects = _known(codebook.num_subjects)
    tables = codebook.static_cardinalities, codebook.event_cardinalities
    chunk_subjects = config.sample.chunk_subjects or chunk_subjects_for(codes_per_subject(codebook), *tables)
    return SamplePlan(subjects, chunk_subjects, derive(drawing_seed(config.seed, weights_digest), "sample"))


def codes_per_subject(codebook: Codebook) -> float:
    """Codes of a mean subject: its own and those of its events."""
    num_events = _known(codebook.num_events) / max(_known(codebook.num_subjects), 1)
    return len(codebook.static_cardinalities) + num_events * len(codebook.event_cardinalities)


def _known(counts: dict[str, int]) -> int:
    return counts[TRAINING] + counts[VALIDATION]


def _weights_digest(model_folder: Path, fingerprint: str) -> str:
    document = read_facts(model_folder)
    if document["codebook_fingerprint"] != fingerprint:
        raise ContractError(
            f"checkpoint {model_folder}: was trained with codebook {document['codebook_fingerprint']}, "
            f"this run has {fingerprint}; run train again"
        )
    return str(document["weights_sha256"])


def _verified(spark: SparkSession, path: Path, plan: SamplePlan) -> int:
    """The number of events, after checking that exactly the planned subjects are there."""
    row = (
        tables.read_table(spark, path)
        .agg(
            F.count("*").alias("rows"),
            F.count_distinct(SUBJECT_NUMBER).alias("distinct"),
            F.sum(F.col(NUM_EVENTS).cast("bigint")).alias("events"),
        )
        .first()
    )
    assert row is not None, "an aggregate without groups has one row"
    if (row["rows"], row["distinct"]) != (plan.num_subjects, plan.num_subjects):
        raise ContractError(
            f"table {path}: {row['rows']} rows and {row['distinct']} distinct subjects after writing, "
            f"{plan.num_subjects} were planned; run sample again"
        )
    return int(row["events"] or 0)
