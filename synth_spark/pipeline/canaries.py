"""Canaries: the model is trained once more, on a copy of the training data with secrets planted in it. [spark; training
and the attack load torch when they begin]
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.codebook import Codebook
from synth_spark.columns import (
    EVENT_CODES,
    HOLDOUT,
    NUM_EVENTS,
    SPLIT,
    STATIC_CODES,
    SUBJECT_NUMBER,
    TRAINING,
    VALIDATION,
)
from synth_spark.encode.sequences import write_sequences
from synth_spark.errors import ContractError
from synth_spark.manifest import Manifest
from synth_spark.qa.likelihood import events_that_count
from synth_spark.qa.stage import manifest_rows
from synth_spark.seeds import derive
from synth_spark.workspace import RunPaths

if TYPE_CHECKING:
    from synth_spark.pipeline.opened import OpenRun

Secrets = tuple[np.ndarray, np.ndarray, list[np.ndarray]]  # static codes, numbers of events, event codes per subject


def canary_figures(run: OpenRun) -> dict[str, float]:
    """canaries.*, see exposure_figures; nothing where qa.canaries is 0. The trained copy is removed afterwards.

    Raises:
        ConfigError: no column can hold a secret.
        ContractError: there are too few synthetic subjects to make secrets of.
        TrainingError: see run_train.
    """
    if not run.config.qa.canaries:
        return {}
    from synth_spark.attack.canaries import OTHERS, exposure_figures
    from synth_spark.train.stage import run_train

    codebook = Codebook.load(run.paths.codebook)
    count = run.config.qa.canaries
    secrets = _secrets(run, codebook, count + OTHERS)
    folder = run.paths.canaries
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copy = RunPaths(run.paths.run_id, folder)
    try:
        _plant(run, codebook, copy, _rows(secrets, slice(count)))
        spark = run.spark if run.config.train.needs_spark else None
        run_train(spark, run.config, copy)
        nats = _nats(copy, secrets, len(codebook.event_cardinalities))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return exposure_figures(nats[:count], nats[count:])


def _secrets(run: OpenRun, codebook: Codebook, wanted: int) -> Secrets:
    """Synthetic subjects, whose plans and times are possible, with all other codes drawn anew."""
    from synth_spark.attack.canaries import secret_columns, with_secrets

    static_columns, event_columns = secret_columns(codebook)
    sampled = tables.read_table(run.spark, run.paths.sampled_sequences, fingerprint=codebook.fingerprint)
    least = 1 if codebook.event_cardinalities else 0
    rows = sampled.where(F.col(NUM_EVENTS) >= least).orderBy(SUBJECT_NUMBER).limit(wanted).toPandas()
    if len(rows) < wanted:
        raise ContractError(
            f"qa.canaries: {len(rows)} synthetic subjects to make secrets of, {wanted} are needed; "
            "sample more, or set it to 0"
        )
    rng = np.random.default_rng(derive(run.config.seed, "qa", "canaries"))
    width = len(codebook.event_cardinalities)
    static = np.array([*rows[STATIC_CODES]], dtype=np.int64)
    events = [np.asarray(codes, dtype=np.int64).reshape(-1, max(width, 1)) for codes in rows[EVENT_CODES]]
    return (
        with_secrets(static, static_columns, codebook.static_cardinalities, rng),
        rows[NUM_EVENTS].to_numpy(dtype=np.int64),
        [with_secrets(own, event_columns, codebook.event_cardinalities, rng) for own in events],
    )


def _plant(run: OpenRun, codebook: Codebook, copy: RunPaths, planted: Secrets) -> None:
    """Write codebook, sequences and manifest of the copy: training subjects, then the planted ones, then validation."""
    count, real = len(planted[0]), codebook.num_subjects[TRAINING]
    num_events = codebook.num_events[TRAINING] + int(planted[1].sum())
    grown = replace(
        codebook,
        num_subjects={**codebook.num_subjects, TRAINING: real + count, HOLDOUT: 0},
        num_events={**codebook.num_events, TRAINING: num_events, HOLDOUT: 0},
    )
    manifest = Manifest.load(run.paths.manifest)
    known = manifest_rows(run.spark, manifest)
    moved = F.when(F.col(SPLIT) == VALIDATION, F.col(SUBJECT_NUMBER) + count).otherwise(F.col(SUBJECT_NUMBER))
    kept = known.where(F.col(SPLIT) != HOLDOUT).withColumn(SUBJECT_NUMBER, moved)
    rows = kept.unionByName(_planted_rows(kept, planted, first=real))
    grown.save(copy.codebook)
    write_sequences(rows, str(copy.sequences), grown, manifest.source_digest, {}).save(copy.manifest)


def _planted_rows(like: DataFrame, planted: Secrets, *, first: int) -> DataFrame:
    static, num_events, events = planted
    rows = [
        {
            SUBJECT_NUMBER: first + number,
            SPLIT: TRAINING,
            NUM_EVENTS: int(num_events[number]),
            STATIC_CODES: static[number].tolist(),
            EVENT_CODES: events[number].ravel().tolist(),
        }
        for number in range(len(static))
    ]
    return like.sparkSession.createDataFrame(rows, like.schema)


def _nats(copy: RunPaths, secrets: Secrets, width: int) -> np.ndarray:
    """Of the first events that count, as in the attack on the model itself: a long history would blow up all others."""
    from synth_spark.attack.likelihood import subject_nats

    static, num_events, events = secrets
    steps = min(int(num_events.max(initial=0)), events_that_count(width))
    padded = np.zeros((len(static), steps, width), dtype=np.int64)
    for row, own in enumerate(events):
        padded[row, : len(own)] = own[:steps, :width]
    return subject_nats(copy.checkpoint / "model", static, num_events, padded)


def _rows(secrets: Secrets, rows: slice) -> Secrets:
    return secrets[0][rows], secrets[1][rows], secrets[2][rows]
