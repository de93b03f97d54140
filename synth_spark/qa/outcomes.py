"""Questions that the first part of a history can answer about the rest, as samples of rows. [spark]"""

from __future__ import annotations

import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX
from synth_spark.histories import Histories
from synth_spark.qa.behaviour import END, TraitPlan, plan_traits, trait_rows
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID, SET, SETS, Layout, MetricColumn
from synth_spark.qa.pairs import event_rows, subject_rows
from synth_spark.qa.samples import as_many_each, first_by_hash
from synth_spark.qa.usefulness import LEAST_SHARE, Task

MAX_SUBJECTS = 10_000  # per set
MAX_TASKS = 3  # of flat data
FIRST_PART = 0.75  # of the time that the real data span
_OUTCOME, _LABEL = "__outcome", "__label"


def tasks_of(
    sets: tuple[Histories, Histories, Histories], layout: Layout, *, clock: MetricColumn | None, seed: int
) -> list[Task]:
    """What can be asked of these data; features and labels of at most MAX_SUBJECTS subjects per set.

    Histories with a clock: who is there in the first three quarters of the time, has any event in the last quarter? If
    nearly all have or none, who has more of them than the median? Without a clock: whose second half, by position, has
    more different events than the median? Flat data: each of up to three attributes with two values, from the others.
    """
    if not layout.events:
        return _attribute_tasks(sets, layout, seed=seed)
    plan = summary_traits(plan_traits(layout, clock))
    frames = [
        first_by_hash(rows, [F.col(KEY_TEXT)], seed, MAX_SUBJECTS).drop(columns=[KEY_TEXT])
        for rows in _outcome_rows(sets, layout, plan, clock, seed=seed)
    ]
    if any(frame.empty for frame in frames):
        return []
    training = frames[0][_OUTCOME]
    share = float((training > 0).mean())
    threshold = 0.0 if clock and LEAST_SHARE <= share <= 1 - LEAST_SHARE else float(training.median())
    labelled = [frame.assign(**{_LABEL: (frame[_OUTCOME] > threshold).astype(int)}) for frame in frames]
    kinds = {column.id: column.kind for column in (*(trait.column for trait in plan.traits), *layout.contexts)}
    categories = frozenset(name for name, kind in kinds.items() if kind == "category")
    return [_task("the rest", [frame.drop(columns=[_OUTCOME]) for frame in labelled], categories)]


def _task(name: str, frames: list[pd.DataFrame], categories: frozenset[str]) -> Task:
    training, holdout, synthetic = frames
    return Task(name, training, holdout, synthetic, _LABEL, categories)


def summary_traits(plan: TraitPlan) -> TraitPlan:
    """Traits of the whole history only."""
    return TraitPlan(tuple(trait for trait in plan.traits if not trait.local), ())


def _outcome_rows(
    sets: tuple[Histories, Histories, Histories],
    layout: Layout,
    plan: TraitPlan,
    clock: MetricColumn | None,
    *,
    seed: int,
) -> list[DataFrame]:
    """Per set, one row per subject that is there in the first part: KEY_TEXT, traits of that part, _OUTCOME."""
    rows = [event_rows(histories, layout) for histories in sets]
    cut = _cut(rows[0], clock)
    found = []
    for histories, events in zip(sets, rows, strict=True):
        split = events.crossJoin(F.broadcast(cut))
        later = F.col(clock.id) > F.col(END) if clock else F.col(EVENT_INDEX) >= F.col(LENGTH_ID) / 2
        first = split.where(~later).withColumn(
            LENGTH_ID, F.count("*").over(Window.partitionBy(KEY_TEXT)).cast("double")
        )
        outcome = _outcome(split.where(later), layout, clock)
        traits = trait_rows(first, histories, layout, plan, seed=seed).join(outcome, KEY_TEXT, "left")
        found.append(traits.withColumn(_OUTCOME, F.coalesce(_OUTCOME, F.lit(0.0))))
    return found


def _cut(training: DataFrame, clock: MetricColumn | None) -> DataFrame:
    """One row with END: where the first part ends; a join, for it is made of raw values that no plan may hold."""
    if clock is None:
        return training.agg(F.lit(None).cast("double").alias(END))
    first, last = F.min(clock.id), F.max(clock.id)
    return training.agg((first + FIRST_PART * (last - first)).alias(END))


def _outcome(later: DataFrame, layout: Layout, clock: MetricColumn | None) -> DataFrame:
    values = [F.col(column.id) for column in layout.events]
    counted = F.count("*") if clock else F.countDistinct(F.struct(*values))  # of hashes, null would be nothing
    return later.groupBy(KEY_TEXT).agg(counted.cast("double").alias(_OUTCOME))


def _attribute_tasks(sets: tuple[Histories, Histories, Histories], layout: Layout, *, seed: int) -> list[Task]:
    frames = [
        first_by_hash(subject_rows(histories, layout), [F.col(KEY_TEXT)], seed, MAX_SUBJECTS).drop(columns=[KEY_TEXT])
        for histories in sets
    ]
    names = [column.id for column in layout.subjects if column.kind == "category"]
    tasks: list[Task] = []
    for name in names:
        values = sorted(frames[0][name].dropna().unique())
        if len(values) == 2 and len(tasks) < MAX_TASKS:
            others = frozenset(other for other in names if other != name)
            tasks.append(_task(name, [_labelled(frame, name, values[1]) for frame in frames], others))
    return tasks


def _labelled(frame: pd.DataFrame, name: str, value: str) -> pd.DataFrame:
    return frame.drop(columns=[name]).assign(**{_LABEL: (frame[name] == value).astype(int)})


def subject_frames(rows: DataFrame, layout: Layout, plan: TraitPlan, *, seed: int) -> list[pd.DataFrame]:
    """Per set, summary traits and attributes of as many subjects each, at most MAX_SUBJECTS.

    Args:
        rows: synth_spark.qa.behaviour.traits_of_sets.
    """
    names = [*(trait.column.id for trait in summary_traits(plan).traits), *(column.id for column in layout.contexts)]
    frames = [
        first_by_hash(rows.where(F.col(SET) == number).select(KEY_TEXT, *names), [F.col(KEY_TEXT)], seed, MAX_SUBJECTS)
        for number in range(len(SETS))
    ]
    return [frame.drop(columns=[KEY_TEXT]) for frame in as_many_each(frames)]
