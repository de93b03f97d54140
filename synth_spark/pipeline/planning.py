"""What a run would do, before it does: rows, fields, protection, sizes and times; nothing is written. [spark]"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from pyspark.sql import SparkSession

from synth_spark.codebook import Codebook, FieldSpec
from synth_spark.columns import TRAINING
from synth_spark.config import Config, TableSource, load_config
from synth_spark.devices import CPU, CUDA, Placement, check_device, placement
from synth_spark.encode.stage import preview
from synth_spark.pipeline.expected import COSTS, LARGEST, MACHINE, MILLION, NUM_SETS, PEAK_BYTES, START_UP, Range
from synth_spark.pipeline.inventory import told_bytes
from synth_spark.pipeline.opened import session
from synth_spark.pipeline.runs import STAGES
from synth_spark.pipeline.summary import say
from synth_spark.sample.stage import plan_sample
from synth_spark.source.table import load_table
from synth_spark.workspace import SALT_VARIABLE, Workspace

_CODE_BYTES = 2
_MINUTE, _HOUR = 60, 3600
_UNMEASURED = {CPU: "", CUDA: "; training on a GPU was not measured"}
_UNKNOWN_BYTES = 2**62  # Spark's word for a size that nobody can tell is the largest long


def plan(config_path: str | Path) -> None:
    """Read and fit as encode does, and tell what a run would learn from and how long it would take.

    Raises:
        SourceError: the source cannot be learned from, or is too small.
        ConfigError: train.device is not there.
    """
    config = load_config(config_path)
    workspace = Workspace.of(config.output)
    check_device(config.train)
    with session() as spark:
        placed = placement(config.train, spark)
        # where there is no workspace yet, there is no secret of its own: another split, of the same sizes
        has_salt = workspace.salt_file.exists() or bool(os.environ.get(SALT_VARIABLE))
        salt = workspace.salt() if has_salt else secrets.token_bytes(32)
        # tables with names are looked at by encode alone: a plan opens no catalog
        published = workspace.published if isinstance(workspace.published, Path) else None
        codebook, figures = preview(spark, config, salt=salt, published=published)
        sizes = {name: size for name, table in _tables(config).items() if (size := _bytes_of(spark, table)) is not None}
    say(f"plan of {config.name}: nothing was written")
    _tell_source(codebook, figures, sizes)
    _tell_fields(codebook)
    _tell_work(config, codebook, sizes, placed)


def _tables(config: Config) -> dict[str, TableSource]:
    found = {"subjects": config.source.subjects, "events": config.source.event_table}
    return {name: table for name, table in found.items() if table is not None}


def _bytes_of(spark: SparkSession, table: TableSource) -> int | None:
    """Size of a table's files, as Spark plans with it; None of a database, and where Spark lets nobody ask."""
    if table.jdbc is not None:
        return None
    from py4j.protocol import Py4JError

    rows = load_table(spark, table)
    try:
        leaves = rows._jdf.queryExecution().analyzed().collectLeaves()  # type: ignore[operator]
        size = sum(int(leaves.apply(i).stats().sizeInBytes()) for i in range(leaves.size()))
    except (AttributeError, NotImplementedError, Py4JError):
        return None
    return size if size < _UNKNOWN_BYTES else None


def _tell_source(codebook: Codebook, figures: dict[str, int | float | str], sizes: dict[str, int]) -> None:
    say("\nsource")
    for name in sizes:
        say(f"  {f'{name} files':<34} {told_bytes(sizes[name]):>14}")
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


def _tell_work(config: Config, codebook: Codebook, sizes: dict[str, int], placed: Placement) -> None:
    from synth_spark.model.estimate import num_parameters

    settings, subjects = config.train, codebook.num_subjects[TRAINING]
    parameters = num_parameters(codebook, settings)
    mean_events = codebook.num_events.get(TRAINING, 0) / max(1, subjects)
    window = min(settings.window_subjects, subjects) / placed.num_ranks
    codes = mean_events * len(codebook.event_cardinalities) + len(codebook.static_cardinalities)
    held = int(window * codes * _CODE_BYTES)
    wanted = plan_sample(config, codebook, None).num_subjects
    say("\nwork")
    say(f"  model             {parameters:,} parameters, {told_bytes(4 * parameters)}")
    say(f"  device            {placed.told}")
    say(f"  codes in memory   {told_bytes(held)} per rank, of {int(window):,} subjects at once")
    say(f"  sampling          {wanted:,} subjects, about {int(wanted * mean_events):,} events")
    everybody = sum(codebook.num_subjects.values())
    say(f"  sequences         at most {told_bytes(int((everybody + wanted) * codes * _CODE_BYTES))}, compressed less")
    if len(sizes) == len(_tables(config)):
        size = told_bytes(int(sum(sizes.values()) * wanted / max(1, everybody)))
        say(f"  synthetic tables  about {size}, if their files take as much for a subject as the source's")
    _tell_times(config, codebook, wanted, placed)
    low, high = (told_bytes(peak + held * placed.num_ranks) for peak in PEAK_BYTES)
    say(f"  memory            {low} to {high} at the peak, all processes of one machine together")


def _tell_times(config: Config, codebook: Codebook, wanted: int, placed: Placement) -> None:
    """A range for each stage, and for all of them."""
    from synth_spark.model.estimate import training_seconds

    cells = _cells(codebook)
    sampled = cells * wanted / max(1, codebook.num_subjects[TRAINING])
    times: dict[str, Range] = {"start-up": START_UP.fixed}
    for stage in STAGES:
        size = sampled if stage in ("sample", "decode") else cells
        times[stage] = training_seconds(codebook, config.train) if stage == "train" else COSTS[stage].seconds(size)
    times["together"] = sum(low for low, _ in times.values()), sum(high for _, high in times.values())
    say(f"\nestimates, not measured: what the {NUM_SETS} data sets of docs/benchmarks.md let expect")
    say(f"  on {MACHINE}; another machine takes other times and memory{_UNMEASURED[placed.device]}")
    if cells > 2 * LARGEST * MILLION:
        yours = f"{cells / MILLION:,.0f} million cells (rows x columns)"
        say(f"  yours has {yours}, the largest of them {LARGEST} million: a guess")
    for what, (low, high) in times.items():
        say(f"  {what:<17} {_told_time(low)} to {_told_time(high)}")


def _cells(codebook: Codebook) -> int:
    """Rows times learned columns, of both tables."""
    events, subjects = sum(codebook.num_events.values()), sum(codebook.num_subjects.values())
    clock = int(codebook.time is not None)
    return events * (clock + _columns(codebook.event_fields)) + subjects * _columns(codebook.static_fields)


def _columns(fields: Iterable[FieldSpec]) -> int:
    return sum(len(spec.columns) for spec in fields)


def _told_time(seconds: float) -> str:
    if seconds < 2 * _MINUTE:
        return f"{seconds:,.0f} s"
    return f"{seconds / _MINUTE:,.0f} minutes" if seconds < 2 * _HOUR else f"{seconds / _HOUR:,.1f} hours"
