"""Frames -> codebook. [spark]

Everything is learned from training and validation subjects only, and every stored number is either a rounded edge or
a value that enough subjects share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook, FieldSpec, SourceTable
from synth_spark.codecs import category, length, number, place
from synth_spark.codecs.edges import SUBJECT_WEIGHT
from synth_spark.codecs.number import NumberSummary
from synth_spark.codecs.rounding import DECIMAL_STEPS, clock_steps
from synth_spark.codecs.units import (
    FLOATS,
    INTEGERS,
    TIMESTAMPS,
    choose_unit,
    is_too_coarse,
    order_sql,
    precision_sql,
    to_units,
)
from synth_spark.columns import SPLITS, TRAINING, VALIDATION
from synth_spark.config import Config
from synth_spark.encode import statistics as st
from synth_spark.encode.clock import Clock, end_of, fit_begin, fit_end
from synth_spark.encode.fields import FieldPlan
from synth_spark.encode.frames import Frames
from synth_spark.encode.varieties import fit_varieties
from synth_spark.errors import SourceError
from synth_spark.seeds import keyed_threshold
from synth_spark.source.read import Source

SLICE_SUBJECTS = 24  # with fewer, what a slice tells is single subjects' business: docs/decisions/round-number-edges.md
MOST_EVENTS = SUBJECT_WEIGHT  # of a subject
_POSITIONS = {"tinyint": 2**7 - 1, "smallint": 2**15 - 1}  # the largest of narrow types
LASTING_SHARE = 0.9  # of histories in which a field never changes, for it to be learned as its subject's, too
Units = dict[str, dict[str, Any]]  # frame column -> unit


class Thresholds:
    """The keyed number of subjects (5-8) that each column's values need."""

    def __init__(self, salt: bytes, seed: int) -> None:
        self._salt, self._seed = salt, seed

    def of(self, *names: str) -> int:
        """The threshold of what the names name; the same in every run of the same salt and seed."""
        return keyed_threshold(self._salt, self._seed, *names)


@dataclass(frozen=True)
class Plan:
    """What is fitted: the fields of both tables and the clock, if events have one."""

    subject_fields: Sequence[FieldPlan]
    event_fields: Sequence[FieldPlan]
    clock_type: str | None
    thresholds: Thresholds

    @property
    def fields(self) -> list[FieldPlan]:
        """All attribute fields."""
        return [*self.subject_fields, *self.event_fields]


def learnable(frame: DataFrame) -> DataFrame:
    """The rows that fitting may look at."""
    return frame.where(F.col("split").isin(TRAINING, VALIDATION))


def fit_units(events: DataFrame, subjects: DataFrame, plan: Plan) -> Units:
    """The unit of every column of numbers or places, and of the order column `o`."""
    columns = {
        name: (field.frame, source_type)
        for field in plan.fields
        if field.family in ("number", "place")
        for name, source_type in zip(field.inputs, field.types, strict=True)
    }
    if plan.clock_type is not None:
        columns["o"] = ("events", plan.clock_type)
    units: Units = {name: {} for name in columns}
    open_ = [(name, *columns[name]) for name in columns if columns[name][1] not in (*INTEGERS, "date")]
    if not open_:
        return units
    digits = [
        st.Measured(frame, f"IF({name} IS NULL, NULL, {precision_sql(kind, name)})", 1) for name, frame, kind in open_
    ]
    floats = [column for column in open_ if column[2] in FLOATS]
    orders = [st.Measured(frame, order_sql(name), 1) for name, frame, _ in floats]
    frames = {"subjects": subjects, "events": events}
    counted = st.Tally(frames, digits + orders, "int")
    weights = counted.weights()
    counted.release()
    largest = _largest(frames, open_, plan.thresholds)
    for f, (name, _, kind) in enumerate(open_):
        units[name] = choose_unit(kind, weights.get(f, {}), largest.get(name, 0.0))
    for f, column in enumerate(floats, start=len(open_)):
        name = column[0]
        if is_too_coarse(units[name], weights.get(open_.index(column), {}), weights.get(f, {})):
            raise _too_far_apart(plan, name, units[name]["scale"])
    return units


def _too_far_apart(plan: Plan, name: str, scale: int) -> SourceError:
    field = next(field for field in plan.fields if name in field.inputs)
    column = field.columns[field.inputs.index(name)]
    return SourceError(
        f"source {field.frame}: column {column!r}: its values lie too many powers of ten apart to be learned together, "
        f"beside the largest ones the unit would be 1e{-scale}; make stand-ins for missing values null with select, "
        "or take a logarithm"
    )


def _largest(
    frames: dict[str, DataFrame], columns: list[tuple[str, str, str]], thresholds: Thresholds
) -> dict[str, float]:
    """Largest absolute value that enough subjects reach, by frame column."""
    sized = [(name, frame) for name, frame, kind in columns if kind not in TIMESTAMPS]
    if not sized:
        return {}
    sizes = [st.Measured(frame, f"abs(CAST({name} AS DOUBLE))", thresholds.of(name)) for name, frame in sized]
    counted = st.Tally(frames, sizes, "double")
    facts = counted.facts()
    counted.release()
    return {sized[f][0]: found.kept(sizes[f].threshold)[1] or 0.0 for f, found in enumerate(facts)}


def fit_codebook(source: Source, frames: Frames, config: Config, plan: Plan, units: Units) -> Codebook:
    """The codebook of the frames' training and validation subjects."""
    subjects, events = learnable(frames.subjects), learnable(frames.timed)
    lengths = st.length_counts(subjects)
    length_spec = _fit_length(lengths, plan.thresholds.of("length"))
    _check_lengths(source.events_table, lengths, length.longest_kept(length_spec))
    clock = Clock(plan.clock_type, units["o"]) if plan.clock_type is not None else None
    counted = {"subjects": subjects, "events": events} | ({"clock": clock.timed(events)} if clock else {})
    fitted, timed = _fit_numbers(counted, plan, units, clock)
    fitted |= _fit_categories(counted, [f for f in plan.fields if f.family == "category"], config, plan)
    specs = {key: found.spec for key, found in fitted.items()}
    counts = {
        row["split"]: (row["s"], row["e"])
        for row in frames.subjects.groupBy("split")
        .agg(F.count(F.lit(1)).alias("s"), F.sum("events").alias("e"))
        .collect()
    }
    time = None
    if clock is not None:
        first = clock.first_time(timed[0])
        end = fit_end(subjects, first, clock, plan.thresholds.of("end"))
        begin = fit_begin(subjects, first, end, clock, plan.thresholds.of("begin"))
        time = {"type": clock.type, "unit": clock.unit, "low": begin, "end": end}
    event_plans = _names_first(plan.event_fields, specs)
    event_fields = (*timed[1:], *(specs[f.key] for f in event_plans))
    changeable = sum(number_ for events_, number_ in lengths if events_ > 1)
    lasting = [
        position
        for position, field in enumerate(event_plans, start=len(timed[1:]))
        if changeable and fitted[field.key].constant >= LASTING_SHARE * changeable
        if specs[field.key].cardinalities != (1,)
    ]
    changing = [f for position, f in enumerate(event_plans, start=len(timed[1:])) if position not in lasting]
    thresholds = [plan.thresholds.of("variety", field.name) for field in changing]
    varieties = fit_varieties(events, lengths, changing, [specs[field.key] for field in changing], thresholds)
    return Codebook(
        subjects=source.subjects_table,
        events=source.events_table,
        static_fields=(
            *(specs[f.key] for f in plan.subject_fields),
            *(_of_first_event(event_fields[position]) for position in lasting),
            *varieties.values(),
            *timed[:1],
            *map(end_of, timed[1:2]),
            length_spec,
        ),
        event_fields=event_fields,
        num_subjects={split: counts.get(split, (0, 0))[0] for split in SPLITS},
        num_events={split: int(counts.get(split, (0, 0))[1] or 0) for split in SPLITS},
        seed=config.seed,
        lasting=tuple(lasting),
        varieties=tuple(event_fields.index(specs[field.key]) for field in varieties),
        time=time,
    )


def _names_first(fields: Sequence[FieldPlan], specs: dict[str, FieldSpec]) -> list[FieldPlan]:
    """Categories and places by rising number of codes, then numbers as they came: first what it is, then how much."""
    names = [field for field in fields if field.family != "number"]
    names.sort(key=lambda field: prod(specs[field.key].cardinalities))
    return [*names, *(field for field in fields if field.family == "number")]


def _of_first_event(spec: FieldSpec) -> FieldSpec:
    """A field that only the model looks at; histories without events have any code."""
    return replace(spec, name=f"first {spec.name}", columns=(), protection={})


@dataclass(frozen=True)
class _Fitted:
    """A field, and how many subjects with several events have one value of it throughout."""

    spec: FieldSpec
    constant: int


def _fit_numbers(
    frames: dict[str, DataFrame], plan: Plan, units: Units, clock: Clock | None
) -> tuple[dict[str, _Fitted], list[FieldSpec]]:
    """Number and place fields by key; and start, period and elapsed, if there is a clock."""
    fields = [field for field in plan.fields if field.family in ("number", "place")]
    measures = clock.measures if clock else {}
    columns = [
        st.Measured(f.frame, _units_sql(f, units), plan.thresholds.of(f.key, f.name), clustered=f.family == "place")
        for f in fields
    ]
    columns += [st.Measured(frame, text, plan.thresholds.of(name)) for name, (frame, text) in measures.items()]
    if not columns:
        return {}, []
    counted = st.Tally(frames, columns, "bigint")
    facts = counted.facts()
    summaries = st.summarize_numbers(counted, facts)
    specs = [_fit_field(field, units, summaries[i], columns[i].threshold) for i, field in enumerate(fields)]
    if clock:
        specs += clock.fit(
            dict(zip(measures, summaries[len(fields) :], strict=True)),
            {name: plan.thresholds.of(name) for name in measures},
        )
    ranges = [*map(_range, specs), *([None] * (len(columns) - len(specs)))]
    if clock and not clock.is_calendar:
        ranges[len(fields) + 1] = None  # decoding goes by gaps alone: the period clips nothing
    clipped = st.clipped_counts(counted, ranges)
    counted.release()
    told = [
        replace(
            spec,
            protection={
                **(_missing(facts[i], columns[i].threshold) if i < len(fields) else {}),
                "rows_clipped": clipped[i][0],
                "subjects_clipped": clipped[i][1],
            },
        )
        for i, spec in enumerate(specs)
    ]
    fitted = {field.key: _Fitted(told[i], facts[i].constant) for i, field in enumerate(fields)}
    return fitted, told[len(fields) :]


def _missing(facts: st.Facts, threshold: int) -> dict[str, int]:
    """Rows without a value; where too few subjects have any, they get one that others have."""
    return {"rows_missing" if facts.is_missing(threshold) else "rows_missing_rare": facts.missing}


def _fit_field(field: FieldPlan, units: Units, summary: NumberSummary, threshold: int) -> FieldSpec:
    if field.family == "place":
        scale = _place_scale(field, units)
        return place.fit(field.name, field.columns, field.types, summary, scale=scale, threshold=threshold)
    unit, source_type = units[field.key], field.types[0]
    in_time = "micros" in unit or source_type == "date"
    spec = number.fit(
        field.name,
        source_type,
        unit,
        summary,
        threshold=threshold,
        steps=clock_steps(unit["micros"]) if "micros" in unit else DECIMAL_STEPS,
        slices=number.FINE if in_time else number.COARSE,
        slice_subjects=0 if in_time else SLICE_SUBJECTS,
    )
    return replace(spec, columns=field.columns)


def _fit_categories(
    frames: dict[str, DataFrame], fields: Sequence[FieldPlan], config: Config, plan: Plan
) -> dict[str, _Fitted]:
    if not fields:
        return {}
    columns = [st.Measured(f.frame, f.key, plan.thresholds.of(f.key, f.name)) for f in fields]
    counted = st.Tally(frames, columns, "string")
    facts = counted.facts()
    summaries = st.summarize_categories(counted)
    counted.release()
    found = {}
    for field, summary, known, threshold in zip(fields, summaries, facts, (c.threshold for c in columns), strict=True):
        spec = category.fit(
            field.name,
            field.types[0],
            list(summary.kept),
            missing=known.is_missing(threshold),
            rare=config.protection.rare,
            rare_marker=config.protection.rare_marker,
        )
        counts = {
            **_missing(known, threshold),
            "values_rare": summary.rare_values,
            "rows_rare": summary.rare_rows,
            "subjects_rare": summary.rare_subjects,
        }
        found[field.key] = _Fitted(replace(spec, columns=field.columns, protection=counts), known.constant)
    return found


def _fit_length(counts: Sequence[tuple[int, int]], threshold: int) -> FieldSpec:
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


def _check_lengths(events: SourceTable | None, lengths: Sequence[tuple[int, int]], longest: int) -> None:
    """Histories can be weighed, and numbered in the type of the source's positions, which may repeat there."""
    if lengths and lengths[-1][0] > MOST_EVENTS:
        longer = sum(number_ for events_, number_ in lengths if events_ > MOST_EVENTS)
        raise SourceError(
            f"source events: {longer} subjects have more than {MOST_EVENTS:,} events, over which a subject's weight "
            "cannot be spread; leave such subjects out, or cut their histories, with where"
        )
    if events is None or events.stored_order is None:
        return
    kind = events.type_of(events.stored_order)
    if longest > _POSITIONS.get(kind, longest):
        raise SourceError(
            f"source events: stored_order {events.stored_order!r} has type {kind}, which cannot number the {longest:,} "
            "events of the longest histories; cast it to a wider type with select"
        )


def _units_sql(field: FieldPlan, units: Units) -> str:
    if field.family == "place":
        return place.units_sql(field.inputs[0], field.inputs[1], _place_scale(field, units))
    return to_units(field.types[0], units[field.key], field.key)


def _place_scale(field: FieldPlan, units: Units) -> int:
    return place.choose_scale(field.types, [units[name] for name in field.inputs])


def _range(spec: FieldSpec) -> tuple[int, int] | None:
    """The kept range [low, high) of a number, or of a place along its curve; times of day and their gaps lack none."""
    if spec.family == "calendar":
        return None
    params = spec.params["cells"]["params"] if spec.family == "place" else spec.params
    lows, highs = [*params["lows"], *params["atoms"]], [*params["highs"], *(unit + 1 for unit in params["atoms"])]
    return (min(lows), max(highs)) if lows else None
