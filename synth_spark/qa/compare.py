"""Real and synthetic histories -> figures, scored histograms, shown histograms. [spark]"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synth_spark.codebook import Codebook
from synth_spark.histories import Histories
from synth_spark.qa.behaviour import Behaviour, measure_behaviour, plan_traits, traits_of_sets
from synth_spark.qa.discriminator import encode_rows, mean_auc, telling_columns
from synth_spark.qa.distances import DcrShare, dcr_control, dcr_share
from synth_spark.qa.integrity import history_digests, identical_share
from synth_spark.qa.layout import Layout, MetricColumn
from synth_spark.qa.membership import membership_figures
from synth_spark.qa.outcomes import subject_frames, tasks_of
from synth_spark.qa.pairs import layout_of, pairs_of_sets
from synth_spark.qa.quality import COMPARISONS, INDEPENDENT, Quality, ScoredItem, measure_quality
from synth_spark.qa.samples import sample_event_rows, sample_subjects
from synth_spark.qa.shown import shown_histograms
from synth_spark.qa.subject_points import fit_space
from synth_spark.qa.uniqueness import uniqueness_figures
from synth_spark.qa.usefulness import usefulness_figures
from synth_spark.qa_result import ItemScore, Shown
from synth_spark.seeds import derive

FAMILIES = ("overall", "univariate", "bivariate", "trivariate", "coherence")
WORST_TRIPLES = 20
LEAST_ROWS = 20  # of each set, for a classifier
DIGITS = 6  # of every figure: more would only carry sampling noise out


@dataclass(frozen=True)
class Evidence:
    """What comparing found; figures by the names of QaResult.metrics()."""

    figures: dict[str, float]
    items: tuple[ItemScore, ...]
    shown: tuple[Shown, ...]
    telling: tuple[tuple[str, float], ...]  # traits by which subjects are told apart, see telling_columns


def compare(
    training: Histories,
    holdout: Histories,
    synthetic: Histories,
    *,
    order_by: str | None,
    codebook: Codebook | None,
    seed: int,
) -> Evidence:
    """Everything that real and synthetic histories tell together.

    Args:
        training: training and validation subjects.
        order_by: the clock among the event columns, if there is one.
        codebook: protected axes; without it nothing is shown.
        seed: of all picks.
    """
    layout = layout_of(training)
    sets = (training, holdout, synthetic)
    pairs = pairs_of_sets(sets, layout, seed=_spark_seed(seed, "pairs")).persist()
    try:
        quality = measure_quality(sets, pairs, layout, seed=_spark_seed(seed, "quality"))
        shown = shown_histograms(pairs, layout, codebook, _ranked_pairs(quality, layout)) if codebook else ()
    finally:
        pairs.unpersist()
    clock = next((column for column in layout.events if column.name == order_by), None)
    figures = accuracy_figures(quality) | discriminator_figures(sets, layout, seed=seed)
    figures |= smoke_figures(sets, layout, order_by=order_by, seed=seed)
    figures |= usefulness_figures(tasks_of(sets, layout, clock=clock, seed=_spark_seed(seed, "tasks")), seed=seed)
    figures |= uniqueness_figures(sets[:2], layout, seed=_spark_seed(seed, "uniqueness"))
    behaviour = Behaviour((), {})
    telling: tuple[tuple[str, float], ...] = ()
    if layout.sequential:
        order_type = codebook.time["type"] if codebook and codebook.time else None
        behaviour, telling = _whole_histories(sets, layout, clock=clock, order_type=order_type, seed=seed)
        figures |= behaviour.figures
    return Evidence(
        {name: round(value, DIGITS) for name, value in figures.items()},
        _items((*quality.items, *behaviour.items)),
        (*shown, *behaviour.shown),
        telling,
    )


def _whole_histories(
    sets: tuple[Histories, Histories, Histories],
    layout: Layout,
    *,
    clock: MetricColumn | None,
    order_type: str | None,
    seed: int,
) -> tuple[Behaviour, tuple[tuple[str, float], ...]]:
    """Behaviour, with auc_subject among its figures, and the traits by which subjects are told apart."""
    plan = plan_traits(layout, clock)
    rows = traits_of_sets(sets, layout, plan, clock=clock, seed=_spark_seed(seed, "behaviour")).persist()
    try:
        behaviour = measure_behaviour(rows, plan, layout, order_type=order_type)
        frames = subject_frames(rows, layout, plan, seed=_spark_seed(seed, "auc_subject"))
    finally:
        rows.unpersist()
    if len(frames[0]) < LEAST_ROWS:
        return behaviour, ()
    columns = [*(trait.column for trait in plan.traits), *layout.contexts]
    categories = [column.id for column in columns if column.kind == "category"]
    labels = {column.id: column.label for column in columns}
    figures = _areas("auc_subject", encode_rows(*frames, categories=categories), seed=seed)
    picked = telling_columns(frames[0], frames[2], categories=categories, seed=derive(seed, "qa", "telling"))
    return replace(behaviour, figures=behaviour.figures | figures), tuple((labels[name], lost) for name, lost in picked)


def _spark_seed(seed: int, purpose: str) -> int:
    return derive(seed, "qa", purpose) % 2**31


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


def discriminator_figures(
    sets: tuple[Histories, Histories, Histories], layout: Layout, *, seed: int
) -> dict[str, float]:
    """auc_event (training against synthetic) and its control (training against holdout)."""
    frames = sample_event_rows(sets, layout, seed=_spark_seed(seed, "events"))
    if len(frames[0]) < LEAST_ROWS:
        return {}
    columns = layout.events or layout.subjects
    categories = [column.id for column in columns if column.kind == "category"]
    return _areas("auc_event", encode_rows(*frames, categories=categories), seed=seed)


def _areas(name: str, points: tuple[np.ndarray, np.ndarray, np.ndarray], *, seed: int) -> dict[str, float]:
    """Training against synthetic, and against holdout as control."""
    training, holdout, synthetic = points
    fold_seed = derive(seed, "qa", "folds")
    return {
        name: mean_auc(training, synthetic, seed=fold_seed),
        f"{name}.control": mean_auc(training, holdout, seed=fold_seed),
        f"{name}.rows": float(len(training)),
    }


def smoke_figures(
    sets: tuple[Histories, Histories, Histories], layout: Layout, *, order_by: str | None, seed: int
) -> dict[str, float]:
    """dcr_share.*, membership.* and identical_share.*, all by subject."""
    samples = [sample_subjects(histories, layout, seed=_spark_seed(seed, "subjects")) for histories in sets]
    figures: dict[str, float] = {}
    if min(len(sample.subjects) for sample in samples) >= 2:
        space = fit_space(layout, order_by, samples[:2])
        training, holdout, synthetic = (space.points(sample) for sample in samples)
        figures |= _dcr_figures("dcr_share", dcr_share(synthetic, training, holdout))
        figures |= _dcr_figures("dcr_share.control", dcr_control(training, holdout))
        figures |= membership_figures(training, holdout, synthetic)
    digests = [history_digests(histories).persist() for histories in sets]
    figures["identical_share.training"] = identical_share(digests[2], digests[0])
    figures["identical_share.holdout"] = identical_share(digests[2], digests[1])
    figures["identical_share.control"] = identical_share(digests[1], digests[0])
    for table in digests:
        table.unpersist()
    return figures


def _dcr_figures(name: str, found: DcrShare) -> dict[str, float]:
    return {
        name: found.share,
        f"{name}.standard_error": found.standard_error,
        f"{name}.queries": float(found.num_queries),
        f"{name}.references": float(found.num_references),
    }


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
