"""Whole histories as one row of traits per subject: behaviour, what tells subjects apart, tails, groups. [spark]"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from pyspark.sql import DataFrame

from synth_spark.histories import Histories
from synth_spark.qa.behaviour import Behaviour, TraitPlan, measure_behaviour, plan_traits, traits_of_sets
from synth_spark.qa.discriminator import discriminator_figures, telling_columns
from synth_spark.qa.layout import Layout, MetricColumn, categories_of
from synth_spark.qa.outcomes import subject_frames
from synth_spark.qa.pairs import spark_seed
from synth_spark.qa.quality import ScoredItem
from synth_spark.qa.small_groups import group_figures
from synth_spark.qa.tails import Tail, tails_of
from synth_spark.qa_result import Shown
from synth_spark.seeds import derive


@dataclass(frozen=True)
class WholeHistories:
    """What whole histories tell; figures by the names of QaResult.metrics()."""

    figures: dict[str, float]  # behaviour.*, persistence.*, auc_subject.*, small_groups.*
    items: tuple[ScoredItem, ...]
    shown: tuple[Shown, ...]
    telling: tuple[tuple[str, float], ...]  # traits by which subjects are told apart, see telling_columns
    tails: list[Tail]  # of totals
    records: list[pd.DataFrame]  # a sample of each set, one row per subject, as many of each
    columns: tuple[MetricColumn, ...]  # among which are those of the records

    @classmethod
    def none(cls, records: list[pd.DataFrame], columns: tuple[MetricColumn, ...]) -> WholeHistories:
        """Of data whose rows stand for themselves."""
        return cls({}, (), (), (), [], records, columns)


def look_at_whole_histories(
    sets: tuple[Histories, Histories, Histories],
    layout: Layout,
    *,
    clock: MetricColumn | None,
    order_type: str | None,
    seed: int,
) -> WholeHistories:
    """All of it, in few passes over the traits.

    Args:
        sets: training, holdout, synthetic.
        order_type: the clock's type in the source; without it nothing is shown.
    """
    plan = plan_traits(layout, clock)
    rows = traits_of_sets(sets, layout, plan, clock=clock, seed=spark_seed(seed, "behaviour")).persist()
    try:
        behaviour = measure_behaviour(rows, plan, layout, order_type=order_type)
        tails = tails_of(rows, _totals(plan))
        groups = _groups(rows, layout, behaviour, seed=seed)
        records = subject_frames(rows, layout, plan, seed=spark_seed(seed, "auc_subject"))
    finally:
        rows.unpersist()
    columns = (*(trait.column for trait in plan.traits), *layout.contexts)
    told = discriminator_figures("auc_subject", records, categories_of(columns), seed=seed)
    telling = _telling(records, columns, seed=seed) if told else ()
    figures = behaviour.figures | groups | told
    return WholeHistories(figures, behaviour.items, behaviour.shown, telling, tails, records, columns)


def _totals(plan: TraitPlan) -> list[MetricColumn]:
    totals = {axes[0] for family, axes in plan.histograms if family == "totals"}
    return [trait.column for trait in plan.traits if trait.column.id in totals]


def _telling(
    records: list[pd.DataFrame], columns: tuple[MetricColumn, ...], *, seed: int
) -> tuple[tuple[str, float], ...]:
    labels = {column.id: column.label for column in columns}
    picked = telling_columns(
        records[0], records[2], categories=categories_of(columns), seed=derive(seed, "qa", "telling")
    )
    return tuple((labels[name], lost) for name, lost in picked)


def _groups(rows: DataFrame, layout: Layout, behaviour: Behaviour, *, seed: int) -> dict[str, float]:
    """Groups by attributes and first events; inside: columns at the event that a hash picks, length, attributes."""
    attributes = [column.id for column in layout.contexts]
    firsts = [f"first_{column.id}" for column in layout.events if column.kind == "category"]
    inside = [*(f"here_{column.id}" for column in layout.events), "events", *attributes]
    return group_figures(rows, attributes, firsts, inside, behaviour.bins, seed=spark_seed(seed, "groups"))
