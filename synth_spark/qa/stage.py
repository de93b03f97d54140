"""The qa stage: source and synthetic tables in, QA result out. [spark]"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.codebook import Codebook
from synth_spark.columns import (
    EVENTS_TABLE,
    HOLDOUT,
    NUM_EVENTS,
    RUN_ID,
    SUBJECTS_TABLE,
    TRAINING,
    VALIDATION,
)
from synth_spark.config import Config
from synth_spark.errors import ContractError, GateUndecided, SourceError
from synth_spark.histories import Histories, histories_of
from synth_spark.manifest import Manifest
from synth_spark.places import Place, Places
from synth_spark.progress import spark_progress
from synth_spark.qa.compare import DIGITS, by_subject, compare
from synth_spark.qa.gate import judge
from synth_spark.qa.halves import FitProfiles
from synth_spark.qa.integrity import check_integrity
from synth_spark.qa.likelihood import SubjectNats, loss_figures
from synth_spark.qa_result import QaResult
from synth_spark.seeds import salt_fingerprint
from synth_spark.session import arrow_batches
from synth_spark.source.read import Source, read_source
from synth_spark.source.split import of_split, split_subjects
from synth_spark.workspace import RunPaths

FIELD_MINIMUM = {"training": 90, "holdout": 10, "synthetic": 100}  # subjects below which the field reports nothing


@dataclass(frozen=True)
class Attackers:
    """What attacks with networks, which this room does not load."""

    nats_of: SubjectNats
    fit_profiles: FitProfiles


def run_qa(
    spark: SparkSession,
    config: Config,
    paths: RunPaths,
    *,
    salt: bytes,
    published: Places,
    attackers: Attackers,
    measure: Callable[[], Mapping[str, float]],
    source_versions: Mapping[str, int],
) -> QaResult:
    """Compare the run's synthetic tables with the source, attack, judge. Writes nothing: who calls discloses.

    Args:
        published: folder or schema of the physical tables `subjects` and, unless data are flat, `events`.
        measure: gives figures of the caller's own, after whatever may refuse the run was checked.
        source_versions: of Delta tables, as they were encoded: a source that only grew meanwhile is no other one.

    Raises:
        ContractError: the source or the salt is not the one that was encoded with, or a table is missing.
        GateUndecided: there is nothing to compare.
    """
    codebook, manifest = Codebook.load(paths.codebook), Manifest.load(paths.manifest)
    manifest.check_salt(salt_fingerprint(salt))
    source = read_encoded_source(spark, config, manifest, source_versions)
    assignment = split_subjects(source, salt=salt, seed=config.seed, split=config.split).persist()
    subjects = _written(spark, published / SUBJECTS_TABLE, paths.run_id)
    events = _written(spark, published / EVENTS_TABLE, paths.run_id) if codebook.events else None
    with spark_progress(spark, "qa: integrity"), arrow_batches(spark):
        figures = _integrity(spark, subjects, events, codebook, paths)
    measured = measure()  # before tables are kept in memory: it may train a model
    real = [of_split(source.histories, assignment, splits) for splits in ((TRAINING, VALIDATION), (HOLDOUT,))]
    sets = [by_subject(own) for own in (*real, synthetic_histories(subjects, events, codebook, config))]
    figures |= _sizes(sets, has_events=events is not None)
    with spark_progress(spark, "qa: compare"), arrow_batches(spark):
        clock = codebook.events.order_by if codebook.events else None
        seed, profiles = config.qa.seed, attackers.fit_profiles
        found = compare(*sets, order_by=clock, codebook=codebook, seed=seed, fit_profiles=profiles)
    for table in (assignment, *(part for own in sets for part in (own.subjects, own.events))):
        table.unpersist()
    with spark_progress(spark, "qa: attack the model"):
        attacked = _attack_model(spark, codebook, manifest, paths, attackers.nats_of, seed=config.qa.seed)
    figures |= found.figures | attacked | {name: round(value, DIGITS) for name, value in measured.items()}
    return QaResult(
        run_id=paths.run_id,
        name=config.name,
        fingerprint=codebook.fingerprint,
        figures=figures,
        items=found.items,
        shown=found.shown,
        gate=judge(figures, config.qa.gate, has_events=events is not None, has_key=_subject_key(codebook) is not None),
        lineage=_lineage(config, codebook, manifest, source),
        protection=protection_counts(codebook),
        notes=_notes(figures),
        telling=found.telling,
        associations=found.associations,
        rules=found.rules,
    )


def _attack_model(
    spark: SparkSession, codebook: Codebook, manifest: Manifest, paths: RunPaths, nats_of: SubjectNats, *, seed: int
) -> dict[str, float]:
    """Nothing where the sequences that trained are gone: whoever owns them may remove them after training."""
    if not tables.exists(spark, manifest.table):
        return {}
    sequences = manifest_rows(spark, manifest)
    figures = loss_figures(sequences, codebook, paths.checkpoint / "model", nats_of, seed=seed)
    return {name: round(value, DIGITS) for name, value in figures.items()}


def manifest_rows(spark: SparkSession, manifest: Manifest) -> DataFrame:
    """The sequences that the run's model trained on; those of a generation lie with the run that it came from."""
    version, fingerprint = manifest.delta_version, manifest.codebook_fingerprint
    return tables.read_table(spark, manifest.table, fingerprint=fingerprint, at_version=version)


def read_encoded_source(spark: SparkSession, config: Config, manifest: Manifest, versions: Mapping[str, int]) -> Source:
    """The source as it was when it was encoded: Delta tables at their versions, others if nothing changed.

    Raises:
        ContractError: it cannot be had any more.
    """
    try:
        source = read_source(spark, config, at_versions=versions)
    except SourceError as error:
        if not versions:
            raise
        told = ", ".join(f"{name} version {version}" for name, version in sorted(versions.items()))
        raise ContractError(
            f"source table {told}: this run encoded it, and it cannot be read as it was ({error}); VACUUM may have "
            "removed its files: start a new run, or restore them"
        ) from None
    check_source(source, manifest)
    return source


def check_source(source: Source, manifest: Manifest) -> None:
    """Raises ContractError if a source table is not what was encoded."""
    changed = sorted(name for name, digest in source.digest.items() if manifest.source_digest.get(name) != digest)
    if changed:
        raise ContractError(
            f"source table {', '.join(changed)}: its content changed since this run encoded it, so training and "
            "holdout subjects would be mixed up; start a new run, or restore the table's earlier version"
        )


def synthetic_histories(subjects: DataFrame, events: DataFrame | None, codebook: Codebook, config: Config) -> Histories:
    """Written synthetic tables of one run as histories, like those that read_source makes."""
    return histories_of(
        subjects.drop(RUN_ID),
        events.drop(RUN_ID) if events is not None else None,
        key=_subject_key(codebook),
        settings=config.source.event_table,
    )


def _subject_key(codebook: Codebook) -> str | None:
    described = codebook.subjects or codebook.events
    return described.key if described else None


def _written(spark: SparkSession, place: Place, run_id: str) -> DataFrame:
    return tables.read_table(spark, place).where(F.col(RUN_ID) == run_id)


def protection_counts(codebook: Codebook) -> dict[str, dict[str, int]]:
    """Field -> what protection did to it."""
    fields = [("subject", spec) for spec in codebook.static_fields]
    fields += [("event", spec) for spec in codebook.event_fields]
    return {f"{table}: {spec.name}": dict(spec.protection) for table, spec in fields if spec.protection}


def _integrity(
    spark: SparkSession, subjects: DataFrame, events: DataFrame | None, codebook: Codebook, paths: RunPaths
) -> dict[str, float]:
    planned = tables.read_table(spark, paths.sampled_sequences, fingerprint=codebook.fingerprint)
    row = planned.agg(F.count(F.lit(1)), F.sum(F.col(NUM_EVENTS).cast("bigint"))).first()
    assert row is not None, "an aggregate without groups has one row"
    return check_integrity(subjects, events, codebook, planned_subjects=int(row[0]), planned_events=int(row[1] or 0))


def _sizes(sets: list[Histories], *, has_events: bool) -> dict[str, float]:
    named = dict(zip(("training", "holdout", "synthetic"), sets, strict=True))
    figures = {f"subjects.{name}": float(histories.subjects.count()) for name, histories in named.items()}
    if has_events:
        figures |= {f"events.{name}": float(histories.events.count()) for name, histories in named.items()}
    rows = "events" if has_events else "subjects"
    if not figures[f"{rows}.synthetic"]:
        raise GateUndecided(f"synthetic {rows}: there are none, so there is nothing to compare; run sample and decode")
    return figures


def _notes(figures: dict[str, float]) -> tuple[str, ...]:
    small = [name for name, least in FIELD_MINIMUM.items() if figures[f"subjects.{name}"] < least]
    notes = [f"Only {figures[f'subjects.{name}']:.0f} {name} subjects: the figures are mostly noise." for name in small]
    if figures["accuracy.overall"] > figures["accuracy.overall.ceiling"] + 0.001:
        notes.append(
            "Overall accuracy is more than .001 above its ceiling, which is that of an independent sample: even draws "
            "scatter less, and so does a smooth model. Learning by heart would show in accuracy_gap and privacy tests."
        )
    return tuple(notes)


def _lineage(config: Config, codebook: Codebook, manifest: Manifest, source: Source) -> dict[str, str]:
    return {
        "codebook fingerprint": codebook.fingerprint,
        "manifest digest": manifest.digest,
        **{f"digest of source {name}": digest for name, digest in sorted(source.digest.items())},
        **{f"Delta version of source {name}": str(version) for name, version in sorted(source.versions.items())},
        "run seed": str(config.seed),
        "QA seed": str(config.qa.seed),
    }
