"""What a run would do, before it does: rows, fields, protection, sizes and times; nothing is written. [spark]"""

from __future__ import annotations

import secrets
from pathlib import Path

from synth_spark.codebook import Codebook, FieldSpec
from synth_spark.columns import TRAINING
from synth_spark.config import Config, load_config
from synth_spark.encode.stage import preview
from synth_spark.pipeline.inventory import told_bytes
from synth_spark.pipeline.opened import session
from synth_spark.pipeline.summary import say
from synth_spark.workspace import Workspace

_CODE_BYTES = 2
_MINUTE = 60


def plan(config_path: str | Path) -> None:
    """Read and fit as encode does, and tell what a run would learn from and how long it would take.

    Raises:
        SourceError: the source cannot be learned from, or is too small.
    """
    config = load_config(config_path)
    workspace = Workspace.of(config.output)
    with session() as spark:
        # where there is no workspace yet, there is no secret of its own: another split, of the same sizes
        salt = workspace.salt() if workspace.salt_file.exists() else secrets.token_bytes(32)
        # tables with names are looked at by encode alone: a plan opens no catalog
        published = workspace.published if isinstance(workspace.published, Path) else None
        codebook, figures = preview(spark, config, salt=salt, published=published)
    say(f"plan of {config.name}: nothing was written")
    _tell_source(codebook, figures)
    _tell_fields(codebook)
    _tell_work(config, codebook)


def _tell_source(codebook: Codebook, figures: dict[str, int | float | str]) -> None:
    say("\nsource")
    for name, number in figures.items():
        say(f"  {name.removeprefix('source.'):<34} {number:>14,}")
    for split, number in codebook.num_subjects.items():
        say(f"  {f'{split} subjects':<34} {number:>14,}   events {codebook.num_events.get(split, 0):>14,}")


def _tell_fields(codebook: Codebook) -> None:
    say("\nfields, and what protection does to their rare values (subjects and rows concerned)")
    say(f"  {'table':<9} {'field':<34} {'learned as':<11} {'codes':<18} protection")
    for table, fields in (("subjects", codebook.static_fields), ("events", codebook.event_fields)):
        for spec in fields:
            say(f"  {table:<9} {spec.name[:34]:<34} {spec.family:<11} {_codes(spec):<18} {_protection(spec)}".rstrip())


def _codes(spec: FieldSpec) -> str:
    return " x ".join(f"{codes}" for codes in spec.cardinalities)


def _protection(spec: FieldSpec) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in spec.protection.items() if number)


def _tell_work(config: Config, codebook: Codebook) -> None:
    from synth_spark.model.estimate import MEASURED, num_parameters, training_seconds

    settings, subjects = config.train, codebook.num_subjects[TRAINING]
    parameters = num_parameters(codebook, settings)
    mean_events = codebook.num_events.get(TRAINING, 0) / max(1, subjects)
    window = min(settings.window_subjects, subjects) / settings.num_ranks
    held = window * (mean_events * len(codebook.event_cardinalities) + len(codebook.static_cardinalities)) * _CODE_BYTES
    low, high = training_seconds(codebook, settings)
    wanted = config.sample.subjects if config.sample.subjects is not None else subjects
    say("\nwork")
    say(f"  model             {parameters:,} parameters, {told_bytes(4 * parameters)}")
    say(f"  codes in memory   {told_bytes(int(held))} per rank, of {int(window):,} subjects at once")
    say(f"  training          {_told_minutes(low)} to {_told_minutes(high)}: {MEASURED}")
    say(f"  sampling          {wanted:,} subjects, about {int(wanted * mean_events):,} events")


def _told_minutes(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 2 * _MINUTE else f"{seconds / _MINUTE:,.0f} minutes"
