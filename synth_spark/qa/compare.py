"""Real and synthetic histories -> figures, scored histograms, shown histograms. [spark]"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook
from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories
from synth_spark.qa.associations import association_figures, strongest
from synth_spark.qa.discriminator import discriminator_figures
from synth_spark.qa.halves import FitProfiles
from synth_spark.qa.layout import LENGTH_ID, Layout, categories_of
from synth_spark.qa.outcomes import tasks_of
from synth_spark.qa.pairs import layout_of, pairs_of_sets, spark_seed
from synth_spark.qa.privacy import privacy_figures
from synth_spark.qa.quality import COMPARISONS, INDEPENDENT, Quality, ScoredItem, measure_quality
from synth_spark.qa.rules import find_rules, rule_figures
from synth_spark.qa.samples import sample_event_rows
from synth_spark.qa.shown import shown_histograms
from synth_spark.qa.small_groups import group_figures
from synth_spark.qa.tails import tail_figures, tails_of
from synth_spark.qa.uniqueness import uniqueness_figures
from synth_spark.qa.usefulness import usefulness_figures
from synth_spark.qa.whole import WholeHistories, look_at_whole_histories
from synth_spark.qa_result import Associations, ItemScore, Rule, Shown

FAMILIES = ("overall", "univariate", "bivariate", "trivariate", "coherence")
WORST_TRIPLES = 20
DIGITS = 6  # of every figure: more would only carry sampling noise out


@dataclass(frozen=True)
class Evidence:
    """What comparing found; figures by the names of QaResult.metrics()."""

    figures: dict[str, float]
    items: tuple[ItemScore, ...]
    shown: tuple[Shown, ...]
    telling: tuple[tuple[str, float], ...]  # traits by which subjects are told apart, see telling_columns
    associations: Associations
    rules: tuple[Rule, ...]  # found in the training data


def by_subject(histories: Histories) -> Histories:
    """The same, kept in memory with subjects side by side and their events in order; for whom to unpersist afterwards.

    Nearly every figure is a group-by or a window over subjects: so none of them moves or sorts the rows again. Keys
    become text, which figures look at anyway.
    """
    key = F.col(SUBJECT_KEY).cast("string")
    subjects, events = (table.withColumn(SUBJECT_KEY, key) for table in (histories.subjects, histories.events))
    in_order = events.repartition(SUBJECT_KEY).sortWithinPartitions(SUBJECT_KEY, EVENT_INDEX)
    return Histories(subjects.repartition(SUBJECT_KEY).persist(), in_order.persist())


def compare(
    training: Histories,
    holdout: Histories,
    synthetic: Histories,
    *,
    order_by: str | None,
    codebook: Codebook | None,
    seed: int,
    fit_profiles: FitProfiles | None = None,
) -> Evidence:
    """Everything that real and synthetic histories tell together.

    Args:
        training: training and validation subjects; all three are best given by_subject.
        order_by: the clock among the event columns, if there is one.
        codebook: protected axes; without it nothing is shown.
        seed: of all picks.
        fit_profiles: learns profiles of parts of histories; without it nothing is profiled.
    """
    layout = layout_of(training)
    sets = (training, holdout, synthetic)
    pairs = pairs_of_sets(sets, layout, seed=spark_seed(seed, "pairs")).persist()
    try:
        quality = measure_quality(sets, pairs, layout, seed=spark_seed(seed, "quality"))
        shown = shown_histograms(pairs, layout, codebook, _ranked_pairs(quality, layout)) if codebook else ()
        tails = tails_of(pairs, [*layout.targets, *layout.contexts])
        groups = {} if layout.sequential else _groups_of_rows(pairs, layout, quality, seed=seed)
    finally:
        pairs.unpersist()
    clock = next((column for column in layout.events if column.name == order_by), None)
    rules = find_rules(sets, layout, seed=spark_seed(seed, "rules"))
    rows = sample_event_rows(sets, layout, seed=spark_seed(seed, "events"))
    columns = layout.events if layout.sequential else (*layout.events, *layout.subjects)
    of_events = [column.id for column in layout.events or layout.subjects] + [LENGTH_ID] * layout.sequential
    figures = accuracy_figures(quality) | association_figures(quality.associations) | groups | rule_figures(rules)
    figures |= discriminator_figures("auc_event", [part[of_events] for part in rows], categories_of(columns), seed=seed)
    figures |= usefulness_figures(tasks_of(sets, layout, clock=clock, seed=spark_seed(seed, "tasks")), seed=seed)
    figures |= uniqueness_figures(sets[:2], layout, seed=spark_seed(seed, "uniqueness"))
    whole = WholeHistories.none(rows, columns)
    if layout.sequential:
        order_type = codebook.time["type"] if codebook and codebook.time else None
        whole = look_at_whole_histories(sets, layout, clock=clock, order_type=order_type, seed=seed)
    figures |= whole.figures | tail_figures([*tails, *whole.tails])
    figures |= privacy_figures(
        sets,
        layout,
        order_by=order_by,
        frames=whole.records,
        categories=categories_of(whole.columns),
        fit_profiles=fit_profiles,
        seed=seed,
    )
    return Evidence(
        {name: round(value, DIGITS) for name, value in figures.items()},
        _items((*quality.items, *whole.items)),
        (*shown, *whole.shown),
        whole.telling,
        strongest(quality.associations),
        rules,
    )


def _groups_of_rows(pairs: DataFrame, layout: Layout, quality: Quality, *, seed: int) -> dict[str, float]:
    """Groups by attributes and by the only event."""
    attributes = [column.id for column in layout.contexts or layout.subjects]
    events = [column.id for column in layout.events if column.kind == "category"]
    inside = [column.id for column in (*layout.targets, *layout.contexts)]
    return group_figures(pairs, attributes, events, inside, quality.bins, seed=spark_seed(seed, "groups"))


def accuracy_figures(quality: Quality) -> dict[str, float]:
    """accuracy.*, accuracy_training.*, accuracy_holdout.*, train_vs_holdout.*, accuracy_independent.*, accuracy_gap."""
    figures: dict[str, float] = {}
    for comparison in COMPARISONS:
        for family in FAMILIES:
            found = quality.overall(comparison) if family == "overall" else quality.family(comparison, family)
            if found is not None:
                figures[f"{comparison}.{family}"] = found.accuracy
                figures[f"{comparison}.{family}.ceiling"] = found.ceiling
    for family in ("univariate", "bivariate", "trivariate", "successor"):
        found = quality.family(INDEPENDENT, family)
        if found is not None:
            figures[f"{INDEPENDENT}.{family}"] = found.accuracy
    for part in ("successor", "distinct_per_subject", "subjects_per_category"):
        found = quality.family("accuracy", part)
        if found is not None:
            figures[f"accuracy.coherence.{part}"] = found.accuracy
            figures[f"accuracy.coherence.{part}.ceiling"] = found.ceiling
    if "accuracy_holdout.overall" in figures:
        figures["accuracy_gap"] = figures["accuracy_training.overall"] - figures["accuracy_holdout.overall"]
    return figures


def _ranked_pairs(quality: Quality, layout: Layout) -> list[tuple[str, str]]:
    """Ids of bivariate and successor pairs, those farthest below their ceiling first."""
    ids = {column.label: column.id for column in layout.all}
    pairs = [item for item in quality.items if item.family in ("bivariate", "successor")]
    pairs.sort(key=lambda item: (item.scores["accuracy"].accuracy - item.scores["accuracy"].ceiling, item.columns))
    return [(ids[item.columns[0]], ids[item.columns[1]]) for item in pairs]


def _items(scored: tuple[ScoredItem, ...]) -> tuple[ItemScore, ...]:
    items = [
        ItemScore(
            item.family,
            item.columns,
            round(item.scores["accuracy"].accuracy, DIGITS),
            round(item.scores["accuracy"].ceiling, DIGITS),
        )
        for item in scored
    ]
    triples = sorted((item for item in items if item.family == "trivariate"), key=lambda item: item.accuracy)
    return (*(item for item in items if item.family != "trivariate"), *triples[:WORST_TRIPLES])
