"""The encode stage: source tables -> codebook, sequences, manifest. [spark]"""

from __future__ import annotations

import time
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from synth_spark.codebook import Codebook
from synth_spark.columns import HOLDOUT, SPLITS, TRAINING
from synth_spark.config import Config
from synth_spark.encode.fields import FieldPlan, order_type, plan_fields, settings_of
from synth_spark.encode.fit import Thresholds, fit_codebook, fit_units, learnable
from synth_spark.encode.frames import Frames, number_events, number_subjects, time_events, with_spans
from synth_spark.encode.sequences import plan_files, to_sequences, write_sequences
from synth_spark.errors import SourceError
from synth_spark.logs import stage_logger
from synth_spark.manifest import Manifest
from synth_spark.progress import spark_progress
from synth_spark.source.read import Source, read_source
from synth_spark.source.split import split_subjects
from synth_spark.workspace import RunPaths

log = stage_logger("encode")

Figures = dict[str, int | float | str]


@dataclass(frozen=True)
class _Plan:
    """What will be encoded."""

    source: Source
    assignment: DataFrame
    num_subjects: dict[str, int]
    subject_fields: list[FieldPlan]
    event_fields: list[FieldPlan]
    thresholds: Thresholds


def run_encode(spark: SparkSession, config: Config, paths: RunPaths, *, salt: bytes) -> Figures:
    """Read, split, fit, encode; writes paths.codebook, paths.sequences and paths.manifest.

    Returns:
        Rows, subjects, fields, files, policy counts, and the seconds of each part.

    Raises:
        SourceError: the source cannot be learned from, or is too small.
    """
    clock = _Clock()
    paths.folder.mkdir(parents=True, exist_ok=True)
    with spark_progress(spark, "read, check and split"):
        plan = _plan(spark, config, salt)
    clock.lap("read")
    with spark_progress(spark, "fit the codebook"):
        frames, codebook = _fit(spark, config, plan)
    clock.lap("fit")
    with spark_progress(spark, "encode and write"):
        sequences = to_sequences(frames, codebook, subject_fields=plan.subject_fields, event_fields=plan.event_fields)
        properties = {"synth_spark.run_id": paths.run_id, "synth_spark.source": _origin(plan.source)}
        manifest = write_sequences(sequences, str(paths.sequences), codebook, plan.source.digest, properties)
    frames.release()
    plan.assignment.unpersist()
    codebook.save(paths.codebook)
    manifest.save(paths.manifest)
    clock.lap("write")
    return _figures(plan, codebook, manifest) | clock.seconds


def _plan(spark: SparkSession, config: Config, salt: bytes) -> _Plan:
    source = read_source(spark, config)
    for_subjects, for_events = settings_of(config)
    subject_fields = plan_fields(source.subjects_table, for_subjects, "s")
    event_fields = plan_fields(source.events_table, for_events, "e")
    assignment = split_subjects(source.histories, salt=salt, seed=config.seed, split=config.split).persist()
    sizes = {row["split"]: row["count"] for row in assignment.groupBy("split").count().collect()}
    num_subjects = {split: sizes.get(split, 0) for split in SPLITS}
    log.info(
        "plan: %d events of %d subjects (%s); %d static and %d event fields; %d files",
        source.counts["events_rows"],
        sum(num_subjects.values()),
        ", ".join(f"{number} {split}" for split, number in num_subjects.items()),
        len(subject_fields) + 2,
        len(event_fields) + 1,
        sum(part.files for part in plan_files(num_subjects)),
    )
    _preflight(config, num_subjects)
    return _Plan(source, assignment, num_subjects, subject_fields, event_fields, Thresholds(salt, config.seed))


def _preflight(config: Config, num_subjects: dict[str, int]) -> None:
    number, limits = num_subjects[TRAINING], config.preflight
    if number < limits.min_subjects and not limits.allow_small:
        raise SourceError(
            f"source: {number} training subjects, preflight.min_subjects is {limits.min_subjects}: too few to learn "
            "from without retelling single subjects; bring more, or set preflight.allow_small to true to go on anyway"
        )
    if number < limits.warn_subjects:
        log.warning(
            "%d training subjects, fewer than preflight.warn_subjects (%d): expect coarse results",
            number,
            limits.warn_subjects,
        )
    if config.split.holdout and not num_subjects[HOLDOUT]:
        log.warning("no subject fell into the holdout: quality and privacy cannot be judged")


def _fit(spark: SparkSession, config: Config, plan: _Plan) -> tuple[Frames, Codebook]:
    partitions = _partitions(spark)
    table = plan.source.events_table
    raw = number_events(
        plan.source.histories,
        plan.assignment,
        order_by=table.order_by or "",
        fields=plan.event_fields,
        partitions=partitions,
    ).persist()
    attributes = number_subjects(plan.source.histories, plan.assignment, fields=plan.subject_fields)
    order = FieldPlan(table.order_by or "", order_type(table), "o", "number")
    measured = [f for f in (*plan.subject_fields, order, *plan.event_fields) if f.family == "number"]
    units = fit_units(learnable(raw), learnable(attributes), measured, plan.thresholds)
    timed = time_events(raw, order_type=order.source_type, unit=units["o"]).persist()
    frames = Frames(with_spans(attributes, timed, partitions=partitions).persist(), timed)
    codebook = fit_codebook(
        plan.source,
        frames,
        config,
        subject_fields=plan.subject_fields,
        event_fields=plan.event_fields,
        units=units,
        thresholds=plan.thresholds,
    )
    raw.unpersist()
    return frames, codebook


def _partitions(spark: SparkSession) -> int:
    return int(spark.conf.get("spark.sql.shuffle.partitions") or 8)


def _origin(source: Source) -> str:
    return "; ".join(
        f"{table} {digest}" + (f" version {source.versions[table]}" if table in source.versions else "")
        for table, digest in sorted(source.digest.items())
    )


def _figures(plan: _Plan, codebook: Codebook, manifest: Manifest) -> Figures:
    figures: Figures = {f"source.{name}": number for name, number in plan.source.counts.items()}
    figures |= {f"source.{table}_delta_version": number for table, number in plan.source.versions.items()}
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


class _Clock:
    """Seconds since the lap before."""

    def __init__(self) -> None:
        self.seconds: Figures = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[f"seconds.{name}"] = round(now - self._last, 2)
        self._last = now
