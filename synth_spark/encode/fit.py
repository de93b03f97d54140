"""Frames -> codebook. [spark]

Everything is learned from training and validation subjects only, and every stored number is either a rounded edge or
a value that enough subjects share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook, FieldSpec
from synth_spark.codecs import category, length, number
from synth_spark.codecs.rounding import DECIMAL_STEPS, clock_steps, roundest
from synth_spark.codecs.units import FLOATS, TIMESTAMPS, choose_unit, precision_sql, to_units
from synth_spark.columns import SPLITS, TRAINING, VALIDATION
from synth_spark.config import Config
from synth_spark.encode import statistics as st
from synth_spark.encode.fields import ELAPSED, START, FieldPlan, order_type
from synth_spark.encode.frames import Frames
from synth_spark.seeds import keyed_threshold
from synth_spark.source.read import Source

Units = dict[str, dict[str, Any]]  # frame column -> unit


class Thresholds:
    """The keyed number of subjects (5-8) that each column's values need."""

    def __init__(self, salt: bytes, seed: int) -> None:
        self._salt, self._seed = salt, seed

    def of(self, *names: str) -> int:
        """The threshold of what the names name; the same in every run of the same salt and seed."""
        return keyed_threshold(self._salt, self._seed, *names)


def learnable(frame: DataFrame) -> DataFrame:
    """The rows that fitting may look at."""
    return frame.where(F.col("split").isin(TRAINING, VALIDATION))


def fit_units(events: DataFrame, subjects: DataFrame, fields: Sequence[FieldPlan], thresholds: Thresholds) -> Units:
    """The unit of every number field and of the order column (as a field in column `o`)."""
    units: Units = {field.column: {} for field in fields}
    open_ = [field for field in fields if field.source_type in (*FLOATS, *TIMESTAMPS) or field.source_type[:3] == "dec"]
    if not open_:
        return units
    columns = [st.Measured(_frame(f.column), precision_sql(f.source_type, f.column), 1) for f in open_]
    sizes = [st.Measured(_frame(f.column), f"abs(CAST({f.column} AS DOUBLE))", thresholds.of(f.column)) for f in open_]
    present = [
        replace(c, value_sql=f"IF({f.column} IS NULL, NULL, {c.value_sql})")
        for c, f in zip(columns, open_, strict=True)
    ]
    shares = st.histograms(st.weighted_values(subjects, events, present, "int"))
    numeric = [i for i, field in enumerate(open_) if field.source_type not in TIMESTAMPS]
    spread: dict[int, st.Spread] = {}
    if numeric:
        found = st.spreads(st.weighted_values(subjects, events, [sizes[i] for i in numeric], "double"))
        spread = {numeric[f]: value for f, value in found.items()}
    for i, field in enumerate(open_):
        largest = spread[i].kept(sizes[i].threshold)[1] if i in spread else None
        units[field.column] = choose_unit(field.source_type, shares.get(i, {}), largest or 0.0)
    return units


def fit_codebook(
    source: Source,
    frames: Frames,
    config: Config,
    *,
    subject_fields: Sequence[FieldPlan],
    event_fields: Sequence[FieldPlan],
    units: Units,
    thresholds: Thresholds,
) -> Codebook:
    """The codebook of the frames' training and validation subjects."""
    subjects, events = learnable(frames.subjects), learnable(frames.events)
    kind = order_type(source.events_table)
    gap_type = "bigint"
    timed = [
        FieldPlan(START, kind, "first", "number"),
        FieldPlan(ELAPSED, gap_type, "d", "number"),
    ]
    planned = [*subject_fields, *timed, *event_fields]
    specs = _fit_numbers(subjects, events, [f for f in planned if f.family == "number"], units, thresholds)
    specs |= _fit_categories(subjects, events, [f for f in planned if f.family == "category"], config, thresholds)
    lengths = _fit_length(subjects, thresholds)
    counts = {
        row["split"]: (row["s"], row["e"])
        for row in frames.subjects.groupBy("split")
        .agg(F.count(F.lit(1)).alias("s"), F.sum("events").alias("e"))
        .collect()
    }
    return Codebook(
        subjects=source.subjects_table,
        events=source.events_table,
        static_fields=(*(specs[f.column] for f in subject_fields), specs["first"], lengths),
        event_fields=(specs["d"], *(specs[f.column] for f in event_fields)),
        num_subjects={split: counts.get(split, (0, 0))[0] for split in SPLITS},
        num_events={split: int(counts.get(split, (0, 0))[1] or 0) for split in SPLITS},
        seed=config.seed,
        time={"type": kind, "unit": units["o"], "end": _fit_end(subjects, specs["first"], units["o"], thresholds)},
    )


def _fit_numbers(
    subjects: DataFrame, events: DataFrame, fields: Sequence[FieldPlan], units: Units, thresholds: Thresholds
) -> dict[str, FieldSpec]:
    columns = [st.Measured(_frame(f.column), _units_sql(f, units), thresholds.of(f.column, f.name)) for f in fields]
    missing = st.missing_counts(
        subjects, events, [replace(c, value_sql=f.column) for c, f in zip(columns, fields, strict=True)]
    )
    missing = [0 if field.column == "d" else count for count, field in zip(missing, fields, strict=True)]
    values = st.weighted_values(subjects, events, columns, "bigint").persist()
    summaries = st.summarize_numbers(values, columns, [count > 0 for count in missing])
    specs = []
    for field, column, summary in zip(fields, columns, summaries, strict=True):
        clock = _unit_of(field, units)
        in_time = "micros" in clock
        if field.column == "d":
            summary = replace(summary, missing=False)  # the first event's is 0, never missing
        spec = number.fit(
            field.name,
            field.source_type,
            {} if field.column == "d" else clock,
            summary,
            threshold=column.threshold,
            steps=clock_steps(clock["micros"]) if in_time else DECIMAL_STEPS,
            levels=2 if in_time else 1,
            always=(0,) if field.column == "d" else (),
        )
        specs.append(spec)
    clipped = st.clipped_counts(values, [_range(spec) for spec in specs])
    values.unpersist()
    return {
        field.column: replace(
            spec, protection={"rows_missing": count, "rows_clipped": rows, "subjects_clipped": number_}
        )
        for field, spec, count, (rows, number_) in zip(fields, specs, missing, clipped, strict=True)
    }


def _fit_categories(
    subjects: DataFrame, events: DataFrame, fields: Sequence[FieldPlan], config: Config, thresholds: Thresholds
) -> dict[str, FieldSpec]:
    if not fields:
        return {}
    columns = [st.Measured(_frame(f.column), f.column, thresholds.of(f.column, f.name)) for f in fields]
    missing = st.missing_counts(subjects, events, columns)
    values = st.weighted_values(subjects, events, columns, "string").persist()
    summaries = st.summarize_categories(values, columns)
    values.unpersist()
    found = {}
    for field, summary, count in zip(fields, summaries, missing, strict=True):
        spec = category.fit(
            field.name,
            field.source_type,
            list(summary.kept),
            missing=count > 0 or not (summary.kept or summary.rare_values),
            rare=config.protection.rare,
            rare_marker=config.protection.rare_marker,
        )
        counts = {
            "rows_missing": count,
            "values_rare": summary.rare_values,
            "rows_rare": summary.rare_rows,
            "subjects_rare": summary.rare_subjects,
        }
        found[field.column] = replace(spec, protection=counts)
    return found


def _fit_length(subjects: DataFrame, thresholds: Thresholds) -> FieldSpec:
    threshold = thresholds.of("length")
    counts = st.length_counts(subjects)
    longest, seen = None, 0
    for events, number_ in reversed(counts):
        seen += number_
        if seen >= threshold:
            longest = events
            break
    spec = length.fit(counts, longest, threshold=threshold)
    limit = length.longest_kept(spec)
    cut = [(events - limit, number_) for events, number_ in counts if events > limit]
    return replace(
        spec,
        protection={
            "subjects_cut": sum(number_ for _, number_ in cut),
            "rows_cut": sum(extra * number_ for extra, number_ in cut),
        },
    )


def _fit_end(subjects: DataFrame, start: FieldSpec, unit: dict[str, Any], thresholds: Thresholds) -> int:
    """The last order value that decoding may give: inside the k-th latest last event, rounded inward."""
    threshold = thresholds.of("end")
    latest = subjects.where("last IS NOT NULL").select("last").orderBy(F.desc("last")).limit(threshold).collect()
    known = [*start.params["atoms"], *start.params["highs"]]
    floor = max(known, default=0)
    if len(latest) < threshold:
        return floor
    last = int(latest[-1]["last"])
    steps = clock_steps(unit["micros"]) if "micros" in unit else DECIMAL_STEPS
    # many subjects may share the last day; without that, one part in 200 of the time covered is open to rounding
    shared = subjects.where(F.col("last") == last).limit(threshold).count() >= threshold
    rounded = last if shared else roundest(max(floor, last - max(1, (last - floor) // 200)), max(floor, last), steps)
    return max(floor, rounded)


def _frame(column: str) -> str:
    return "subjects" if column[0] in "sf" else "events"


def _unit_of(field: FieldPlan, units: Units) -> dict[str, Any]:
    return units["o"] if field.column in ("first", "d") else units[field.column]


def _units_sql(field: FieldPlan, units: Units) -> str:
    if field.column in ("first", "d"):
        return field.column
    return to_units(field.source_type, units[field.column], field.column)


def _range(spec: FieldSpec) -> tuple[int, int] | None:
    params = spec.params
    lows, highs = [*params["lows"], *params["atoms"]], [*params["highs"], *(unit + 1 for unit in params["atoms"])]
    return (min(lows), max(highs)) if lows else None
