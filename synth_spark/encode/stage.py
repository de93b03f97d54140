"""The encode stage: source tables -> codebook, sequences, manifest. [spark]"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from synth_spark.codebook import Codebook
from synth_spark.columns import HOLDOUT, SPLITS, TRAINING
from synth_spark.config import Config
from synth_spark.encode.destination import check_destination
from synth_spark.encode.fields import plan_tables
from synth_spark.encode.fit import Plan, Thresholds, fit_codebook, fit_units, learnable
from synth_spark.encode.frames import Frames, number_events, number_subjects, time_events, with_spans
from synth_spark.encode.sequences import to_sequences, write_sequences
from synth_spark.encode.texts import check_texts
from synth_spark.errors import SourceError
from synth_spark.logs import stage_logger
from synth_spark.manifest import Manifest
from synth_spark.places import Places
from synth_spark.progress import spark_progress
from synth_spark.seeds import salt_fingerprint
from synth_spark.session import arrow_batches
from synth_spark.source.read import Source, read_source
from synth_spark.source.split import split_subjects
from synth_spark.workspace import RunPaths

log = stage_logger("encode")

Figures = dict[str, int | float | str]


@dataclass(frozen=True)
class _Work:
    """What will be encoded."""

    source: Source
    assignment: DataFrame
    num_subjects: dict[str, int]
    plan: Plan


def run_encode(
    spark: SparkSession, config: Config, paths: RunPaths, *, salt: bytes, published: Places | None = None
) -> Figures:
    """Read, split, fit, encode; writes paths.codebook, paths.sequences and paths.manifest.

    Where the run was encoded before, those rows go, and so does what it trained and sampled since.

    Args:
        published: where the run's tables will be written; what is there must have the same columns.

    Returns:
        Rows, subjects, fields, files, policy counts, and the seconds of each part.

    Raises:
        SourceError: the source cannot be learned from, or is too small.
        ConfigError: the tables at `published` are another data set's.
    """
    laps = _Laps()
    paths.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        with spark_progress(spark, "read, check and split"):
            work = _prepare(spark, config, salt, published, held)
        laps.end("read")
        with spark_progress(spark, "fit the codebook"), arrow_batches(spark):
            frames, codebook = _fit(spark, config, work, held)
        laps.end("fit")
        _forget_earlier(paths)
        with spark_progress(spark, "encode and write"), arrow_batches(spark):
            sequences = to_sequences(frames, codebook, work.plan)
            properties = {"synth_spark.run_id": paths.run_id, "synth_spark.source": _origin(work.source)}
            manifest = write_sequences(sequences, str(paths.sequences), codebook, work.source.digest, properties)
            manifest = replace(manifest, salt=salt_fingerprint(salt))
    codebook.save(paths.codebook)
    manifest.save(paths.manifest)
    laps.end("write")
    return _figures(work, codebook, manifest) | laps.seconds


def _forget_earlier(paths: RunPaths) -> None:
    """Remove what an earlier encoding of this run left: training goes on from no other manifest.

    Else a model of people whom the new manifest does not name would stay where nobody looks for them. The manifest goes
    first: without one, whom the run holds counts as unknown, should this be broken off.
    """
    paths.manifest.unlink(missing_ok=True)
    for folder in (paths.checkpoint, paths.sampled_sequences, paths.sequences):
        if folder.exists():
            log.info("%s of an earlier encoding is removed", folder.name)
            shutil.rmtree(folder)


def preview(
    spark: SparkSession, config: Config, *, salt: bytes, published: Places | None = None
) -> tuple[Codebook, Figures]:
    """Read, split and fit as run_encode does, and write nothing: the codebook, and the counts of source and policies.

    Raises:
        SourceError, ConfigError: as run_encode.
    """
    with ExitStack() as held:
        with spark_progress(spark, "read, check and split"):
            work = _prepare(spark, config, salt, published, held)
        with spark_progress(spark, "fit the codebook"), arrow_batches(spark):
            _, codebook = _fit(spark, config, work, held)
    return codebook, _source_figures(work.source)


def _prepare(spark: SparkSession, config: Config, salt: bytes, published: Places | None, held: ExitStack) -> _Work:
    """What is cached is released with `held`, however the work ends."""
    accept = None if published is None else partial(check_destination, spark, published)
    source = read_source(spark, config, accept=accept)
    subject_fields, event_fields = plan_tables(config, source.subjects_table, source.events_table)
    assignment = split_subjects(source, salt=salt, seed=config.seed, split=config.split).persist()
    held.callback(assignment.unpersist)
    sizes = {row["split"]: row["count"] for row in assignment.groupBy("split").count().collect()}
    num_subjects = {split: sizes.get(split, 0) for split in SPLITS}
    events = source.events_table
    if events is not None and not event_fields and events.order_by is None:
        raise SourceError(
            f"source events: nothing to learn beside the key {events.key!r} and the stored order "
            f"{events.stored_order!r}; bring a column, or a clock as order_by"
        )
    clock_type = events.type_of(events.order_by) if events is not None and events.order_by else None
    log.info(
        "plan: %d events of %d subjects (%s); %d static and %d event columns%s",
        source.counts.get("events_rows", 0),
        sum(num_subjects.values()),
        ", ".join(f"{number} {split}" for split, number in num_subjects.items()),
        sum(len(field.columns) for field in subject_fields),
        sum(len(field.columns) for field in event_fields),
        f" on a clock of type {clock_type}" if clock_type else "",
    )
    _preflight(config, num_subjects)
    plan = Plan(subject_fields, event_fields, clock_type, Thresholds(salt, config.seed))
    return _Work(source, assignment, num_subjects, plan)


def _preflight(config: Config, num_subjects: dict[str, int]) -> None:
    number, limits = num_subjects[TRAINING], config.preflight
    if number < limits.min_subjects and not limits.allow_small:
        more = "bring more" if config.split.share == 1 else f"raise split.share (now {config.split.share:g})"
        raise SourceError(
            f"source: {number} training subjects, preflight.min_subjects is {limits.min_subjects}: too few to learn "
            f"from without retelling single subjects; {more}, or set preflight.allow_small to true to go on anyway"
        )
    if number < limits.warn_subjects:
        log.warning(
            "%d training subjects, fewer than preflight.warn_subjects (%d): expect coarse results",
            number,
            limits.warn_subjects,
        )
    if not num_subjects[HOLDOUT]:
        log.warning("no subject is in the holdout (split.holdout): privacy cannot be judged, nor will the gate pass")


def _fit(spark: SparkSession, config: Config, work: _Work, held: ExitStack) -> tuple[Frames, Codebook]:
    partitions = _partitions(spark)
    histories, plan = work.source.histories, work.plan
    raw = number_events(histories, work.assignment, work.source.events_table, plan.event_fields).persist()
    held.callback(raw.unpersist)
    attributes = number_subjects(histories, work.assignment, plan.subject_fields)
    check_texts({"subjects": attributes, "events": raw}, plan.fields, config)
    units = fit_units(learnable(raw), learnable(attributes), plan)
    timed = time_events(raw, clock_type=plan.clock_type, unit=units.get("o", {}))
    frames = Frames(with_spans(attributes, timed, partitions=partitions).persist(), timed)
    held.callback(frames.subjects.unpersist)
    return frames, fit_codebook(work.source, frames, config, plan, units)


def _partitions(spark: SparkSession) -> int:
    """As many as Spark shuffles into; a Databricks cluster may have it decide that each time (auto)."""
    number = spark.conf.get("spark.sql.shuffle.partitions") or ""
    return int(number) if number.isdecimal() else spark.sparkContext.defaultParallelism


def _origin(source: Source) -> str:
    return "; ".join(
        f"{table} {digest}" + (f" version {source.versions[table]}" if table in source.versions else "")
        for table, digest in sorted(source.digest.items())
    )


def _figures(work: _Work, codebook: Codebook, manifest: Manifest) -> Figures:
    figures = _source_figures(work.source)
    figures |= {f"subjects.{split}": number for split, number in codebook.num_subjects.items()}
    figures |= {f"events.{split}": number for split, number in codebook.num_events.items()}
    figures |= {
        "fields.static": len(codebook.static_fields),
        "fields.event": len(codebook.event_fields),
        "codes": sum(codebook.static_cardinalities) + sum(codebook.event_cardinalities),
        "files": len(manifest.files),
        "codebook": codebook.fingerprint,
    }
    return figures


def _source_figures(source: Source) -> Figures:
    figures: Figures = {f"source.{name}": number for name, number in source.counts.items()}
    return figures | {f"source.{table}_delta_version": number for table, number in source.versions.items()}


class _Laps:
    """Seconds since the lap before."""

    def __init__(self) -> None:
        self.seconds: Figures = {}
        self._last = time.monotonic()

    def end(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[f"seconds.{name}"] = round(now - self._last, 2)
        self._last = now
