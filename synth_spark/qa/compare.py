"""Real and synthetic histories -> figures, scored histograms, shown histograms. [spark]"""

from __future__ import annotations

from dataclasses import dataclass

from synth_spark.codebook import Codebook
from synth_spark.histories import Histories
from synth_spark.qa.discriminator import encode_rows, mean_auc
from synth_spark.qa.distances import DcrShare, dcr_control, dcr_share
from synth_spark.qa.integrity import history_digests, identical_share
from synth_spark.qa.layout import Layout
from synth_spark.qa.pairs import layout_of, pairs_of_sets
from synth_spark.qa.quality import COMPARISONS, INDEPENDENT, Quality, measure_quality
from synth_spark.qa.samples import sample_event_rows, sample_subjects
from synth_spark.qa.shown import shown_histograms
from synth_spark.qa.subject_points import fit_space
from synth_spark.qa_result import ItemScore, Shown
from synth_spark.seeds import derive

FAMILIES = ("overall", "univariate", "bivariate", "trivariate", "coherence")
WORST_TRIPLES = 20
DIGITS = 6  # of every figure: more would only carry sampling noise out


@dataclass(frozen=True)
class Evidence:
    """What comparing found; figures by the names of QaResult.metrics()."""

    figures: dict[str, float]
    items: tuple[ItemScore, ...]
    shown: tuple[Shown, ...]


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
    figures = accuracy_figures(quality) | discriminator_figures(sets, layout, seed=seed)
    figures |= smoke_figures(sets, layout, order_by=order_by, seed=seed)
    return Evidence({name: round(value, DIGITS) for name, value in figures.items()}, _items(quality), shown)


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
    training, holdout, synthetic = sample_event_rows(sets, layout, seed=_spark_seed(seed, "events"))
    if len(training) < 20:
        return {}
    columns = layout.events or layout.subjects
    categories = [column.id for column in columns if column.kind == "category"]
    points = encode_rows(training, holdout, synthetic, categories=categories)
    fold_seed = derive(seed, "qa", "folds")
    return {
        "auc_event": mean_auc(points[0], points[2], seed=fold_seed),
        "auc_event.control": mean_auc(points[0], points[1], seed=fold_seed),
        "auc_event.rows": float(len(training)),
    }


def smoke_figures(
    sets: tuple[Histories, Histories, Histories], layout: Layout, *, order_by: str | None, seed: int
) -> dict[str, float]:
    """dcr_share.* and identical_share.*, both by subject."""
    samples = [sample_subjects(histories, layout, seed=_spark_seed(seed, "subjects")) for histories in sets]
    figures: dict[str, float] = {}
    if min(len(sample.subjects) for sample in samples) >= 2:
        space = fit_space(layout, order_by, samples[:2])
        training, holdout, synthetic = (space.points(sample) for sample in samples)
        figures |= _dcr_figures("dcr_share", dcr_share(synthetic, training, holdout))
        figures |= _dcr_figures("dcr_share.control", dcr_control(training, holdout))
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


def _items(quality: Quality) -> tuple[ItemScore, ...]:
    items = [
        ItemScore(
            item.family,
            item.columns,
            round(item.scores["accuracy"].accuracy, DIGITS),
            round(item.scores["accuracy"].ceiling, DIGITS),
        )
        for item in quality.items
    ]
    triples = sorted((item for item in items if item.family == "trivariate"), key=lambda item: item.accuracy)
    return (*(item for item in items if item.family != "trivariate"), *triples[:WORST_TRIPLES])
