"""What subjects do over time, beyond one step: rhythm, gaps, lifetimes, totals, lags, n-grams, cohorts. [spark]

One row per subject holds its traits: what it did around one event that is picked by hash, at its first and its last
event, and altogether. Histograms of traits are scored like those of columns; the families are in docs/decisions/qa.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX
from synth_spark.histories import Histories
from synth_spark.qa.accuracy import mean_score
from synth_spark.qa.associations import correlation
from synth_spark.qa.binning import AxisBins, Bins
from synth_spark.qa.cells import CodedColumn, count_cells
from synth_spark.qa.display import LineAxis, show, trait_axes
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID, SET, SETS, Kind, Layout, MetricColumn
from synth_spark.qa.pairs import event_rows, subject_rows, uniform
from synth_spark.qa.quality import PAIR_BINS, ScoredItem, compare_counts
from synth_spark.qa.values import fit_bins
from synth_spark.qa_result import Shown

FAMILIES = ("rhythm", "gaps", "lifetime", "boundaries", "totals", "lags", "ngrams", "cohorts", "dependence")
LAGS = (2, 4, 8)  # lag 1 is the successor of the accuracy family
_DAY = 86_400_000_000.0
_HOUR = 3_600_000_000.0
_POSITION, END = "__position", "__end"


@dataclass(frozen=True)
class Trait:
    """A value per subject: an aggregate over its events (columns of event_rows and _POSITION)."""

    column: MetricColumn
    value: Column
    like: str | None = None  # id of the trait whose bins it shares
    local: bool = False  # of a picked event and its neighbours, so it says little of the whole history


@dataclass(frozen=True)
class TraitPlan:
    """Traits to compute, and (family, ids) of the histograms of them and of attributes."""

    traits: tuple[Trait, ...]
    histograms: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def labels(self) -> dict[str, str]:
        """Of traits by id."""
        return {trait.column.id: trait.column.label for trait in self.traits}


@dataclass(frozen=True)
class Behaviour:
    """Scored histograms of traits, and how strongly values of a column go with its own values some events later."""

    items: tuple[ScoredItem, ...]
    figures: dict[str, float]
    shown: tuple[Shown, ...] = ()
    bins: dict[str, Bins] = field(default_factory=dict, repr=False)  # raw values: never stored, shown or logged


def measure_behaviour(rows: DataFrame, plan: TraitPlan, layout: Layout, *, order_type: str | None = None) -> Behaviour:
    """Score every histogram of traits.

    Args:
        rows: traits_of_sets, worth persisting.
        order_type: the clock's type in the source; without it nothing is shown.
    """
    fitted = [*(trait.column for trait in plan.traits if trait.like is None), *layout.contexts]
    bins = fit_bins(rows.where(F.col(SET) < SETS.index("synthetic")), fitted, bins=PAIR_BINS)
    bins |= {trait.column.id: bins[trait.like] for trait in plan.traits if trait.like is not None}
    coded = {column_id: CodedColumn(column_id, coder) for column_id, coder in bins.items()}
    counted = [
        (family, axes, counts)
        for (family, axes), (_, counts) in zip(
            plan.histograms, count_cells(rows, coded, [axes for _, axes in plan.histograms]), strict=True
        )
    ]
    labels = plan.labels | {column.id: column.label for column in layout.contexts}
    items = tuple(
        ScoredItem(family, tuple(labels[axis] for axis in axes), compare_counts(counts))
        for family, axes, counts in counted
    )
    lags = [(axes, counts) for family, axes, counts in counted if family == "lags"]
    figures = family_figures(items) | persistence_figures(lags, bins)
    return Behaviour(items, figures, _shown(rows, trait_axes(order_type)) if order_type else (), bins)


def _shown(rows: DataFrame, axes: dict[str, LineAxis]) -> tuple[Shown, ...]:
    coded = {name: CodedColumn(name, axis) for name, axis in axes.items()}
    counted = count_cells(rows, coded, [(name,) for name in axes])
    return tuple(show(counts, [f"trait::{name}"], [axes[name]]) for (name,), counts in counted)


def family_figures(items: tuple[ScoredItem, ...]) -> dict[str, float]:
    """behaviour.<family> and behaviour.overall, the mean of the families that exist, with their ceilings."""
    found = {
        family: mean_score([item.scores.get("accuracy") for item in items if item.family == family])
        for family in FAMILIES
    }
    found["overall"] = mean_score(list(found.values()))
    figures: dict[str, float] = {}
    for family, score in found.items():
        if score is not None:
            figures |= {f"behaviour.{family}": score.accuracy, f"behaviour.{family}.ceiling": score.ceiling}
    return figures


def persistence_figures(lags: list[tuple[tuple[str, ...], np.ndarray]], bins: dict[str, Bins]) -> dict[str, float]:
    """persistence.lag<k>: mean over columns of |real - synthetic|, and the same for training and holdout as control.

    Persistence of a category is the share of equal values; of a number or instant the correlation of its bins.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for axes, counts in lags:
        real, training, holdout, synthetic = (
            persistence(part, ordered=isinstance(bins[axes[0]], AxisBins)) for part in (counts[0] + counts[1], *counts)
        )
        found.setdefault(axes[1].split("_")[0], []).append((abs(real - synthetic), abs(training - holdout)))
    figures: dict[str, float] = {}
    for lag, differences in found.items():
        known = np.array([pair for pair in differences if not np.isnan(pair).any()])
        if len(known):
            figures[f"persistence.{lag}"], figures[f"persistence.{lag}.control"] = known.mean(axis=0).tolist()
    return figures


def persistence(counts: np.ndarray, *, ordered: bool) -> float:
    """Of counts by code and later code, the last code of either being missing; nan where nothing is known."""
    known = counts[:-1, :-1]
    if ordered:
        return correlation(known)
    total = known.sum()
    return float(np.trace(known) / total) if total else float("nan")


def plan_traits(layout: Layout, clock: MetricColumn | None) -> TraitPlan:
    """What is looked at for these columns."""
    traits: list[Trait] = []
    histograms: list[tuple[str, tuple[str, ...]]] = []

    def add(family: str, *own: Trait, also: tuple[str, ...] = ()) -> None:
        traits.extend(own)
        histograms.append((family, (*also, *(trait.column.id for trait in own))))

    length = _trait("events", "events", "number", F.max(LENGTH_ID))
    add("lifetime", length)
    summaries = [length]
    if clock is not None:
        summaries += _add_time(add, clock, length)
    for column in layout.events:
        if column != clock:
            totals = list(_totals(column))
            for total in totals:
                add("totals", total)
            summaries += totals
            add("boundaries", _trait(f"first_{column.id}", f"first {column.name}", column.kind, _at(column, first=0)))
        add("boundaries", _trait(f"last_{column.id}", f"last {column.name}", column.kind, _last(column)))
        _add_steps(add, column)
    for attribute in layout.contexts:
        for summary in summaries:
            add("dependence", summary, also=(attribute.id,))
    return TraitPlan(tuple({trait.column.id: trait for trait in traits}.values()), tuple(histograms))


def _add_steps(add: Callable[..., None], column: MetricColumn) -> None:
    """A column at the picked event with its later values, all on the bins of the picked event."""
    here = _trait(f"here_{column.id}", column.name, column.kind, _at(column, after=0), local=True)

    def later(steps: int) -> Trait:
        value = _at(column, after=steps)
        trait = _trait(f"lag{steps}_{column.id}", f"{column.name} {steps} later", column.kind, value, local=True)
        return replace(trait, like=here.column.id)

    add("ngrams", here, later(1), later(2))
    for lag in LAGS:
        add("lags", here, later(lag))


def _add_time(add: Callable[..., None], clock: MetricColumn, length: Trait) -> list[Trait]:
    """Rhythm, gaps, lifetime and cohorts; returns what sums a history up."""
    unit = _DAY if clock.kind == "instant" else 1.0
    here, following = _at(clock, after=0), _at(clock, after=1)
    first, last = F.min(clock.id), F.max(clock.id)
    gap = _trait("gap", "gap", "number", (following - here) / unit, local=True)
    next_gap = _trait("next_gap", "next gap", "number", (_at(clock, after=2) - following) / unit, local=True)
    span = _trait("span", "span", "number", (last - first) / unit)
    gaps = F.max(LENGTH_ID) - 1
    pace = _trait("pace", "mean gap", "number", F.when(gaps > 0, (last - first) / unit / gaps))
    recency = _trait("recency", "recency", "number", (F.max(END) - last) / unit)
    start = _trait("start", "start", clock.kind, first)
    age = _trait("age", "age", "number", (here - first) / unit, local=True)
    add("gaps", gap)
    add("gaps", _trait("first_gap", "first gap", "number", (_at(clock, first=1) - first) / unit))
    add("gaps", pace)
    add("gaps", gap, next_gap)
    add("lifetime", span)
    add("lifetime", recency)
    add("lifetime", length, span)
    add("cohorts", start, age)
    add("cohorts", start, length)
    if clock.kind == "instant":
        days, clock_time = F.floor(here / _DAY), F.pmod(here, F.lit(_DAY))
        weekday = _trait("weekday", "weekday", "number", F.pmod(days + 3, F.lit(7)).cast("double"), local=True)
        hour = _trait("hour", "hour", "number", F.floor(clock_time / _HOUR).cast("double"), local=True)
        for axes in ((weekday,), (hour,), (weekday, hour)):
            add("rhythm", *axes)
    return [span, recency, pace]


def _totals(column: MetricColumn) -> Iterator[Trait]:
    if column.kind == "number":
        yield _trait(f"sum_{column.id}", f"sum of {column.name}", "number", F.sum(column.id))
        yield _trait(f"mean_{column.id}", f"mean of {column.name}", "number", F.avg(column.id))
    elif column.kind == "category":
        distinct = F.size(F.collect_set(column.id)).cast("double")
        yield _trait(f"distinct_{column.id}", f"different {column.name}", "number", distinct)


def _trait(trait_id: str, name: str, kind: Kind, value: Column, *, local: bool = False) -> Trait:
    return Trait(MetricColumn(trait_id, "trait", name, kind), value, local=local)


def _at(column: MetricColumn, *, after: int | None = None, first: int | None = None) -> Column:
    """The column some events after the picked one, or at a fixed position; missing where there is no such event."""
    position = F.col(_POSITION) + after if after is not None else F.lit(first)
    return F.max(F.when(F.col(EVENT_INDEX) == position, F.col(column.id)))


def _last(column: MetricColumn) -> Column:
    return F.max(F.when(F.col(EVENT_INDEX) == F.col(LENGTH_ID) - 1, F.col(column.id)))


def traits_of_sets(
    sets: tuple[Histories, Histories, Histories],
    layout: Layout,
    plan: TraitPlan,
    *,
    clock: MetricColumn | None,
    seed: int,
) -> DataFrame:
    """One row per subject that has events: SET, KEY_TEXT, traits and attributes by id."""
    rows = [event_rows(histories, layout) for histories in sets]
    # joined, not put into the plan as a literal: it is a raw value, and Spark writes literals into logs
    end = reduce(DataFrame.unionByName, rows[:2]).agg(F.max(clock.id if clock else F.lit(None)).alias(END))
    tables = [
        trait_rows(events.crossJoin(F.broadcast(end)), histories, layout, plan, seed=seed).withColumn(
            SET, F.lit(number).cast("smallint")
        )
        for number, (histories, events) in enumerate(zip(sets, rows, strict=True))
    ]
    return reduce(DataFrame.unionByName, tables)


def trait_rows(events: DataFrame, histories: Histories, layout: Layout, plan: TraitPlan, *, seed: int) -> DataFrame:
    """One row per subject of `events`: KEY_TEXT, traits and attributes by id.

    Args:
        events: event_rows of these histories, or some of them from the first on; with END.
    """
    position = F.floor((F.col(LENGTH_ID) - 1) * uniform(seed, "behaviour", F.col(KEY_TEXT)))
    picked = events.withColumn(_POSITION, position)
    traits = picked.groupBy(KEY_TEXT).agg(*(trait.value.alias(trait.column.id) for trait in plan.traits))
    return traits.join(subject_rows(histories, layout), KEY_TEXT, "left") if layout.contexts else traits
