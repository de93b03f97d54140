"""The accuracy figures of three sets of histories. [spark]"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.histories import Histories
from synth_spark.qa.accuracy import Score, mean_score, pick_triples, score
from synth_spark.qa.associations import Association, associate
from synth_spark.qa.binning import AxisBins, Bins
from synth_spark.qa.cells import CodedColumn, count_cells
from synth_spark.qa.coherence import coherence_counts
from synth_spark.qa.layout import SET, SETS, Layout
from synth_spark.qa.values import fit_bins

PAIR_BINS = 10
COMPARISONS = ("accuracy", "accuracy_training", "accuracy_holdout", "train_vs_holdout")
INDEPENDENT = "accuracy_independent"  # the accuracy that the real marginals alone would reach


@dataclass(frozen=True)
class ScoredItem:
    """One histogram with its scores."""

    family: str  # univariate, bivariate, trivariate, successor, distinct_per_subject, subjects_per_category
    columns: tuple[str, ...]  # labels such as tgt::amount
    scores: dict[str, Score]  # by COMPARISONS and, where it can be known, INDEPENDENT


@dataclass(frozen=True)
class Quality:
    """All scored histograms, the means that count, and the association of every bivariate pair."""

    items: tuple[ScoredItem, ...]
    associations: tuple[Association, ...]
    bins: dict[str, Bins] = field(default_factory=dict, repr=False)  # raw values: never stored, shown or logged

    def family(self, comparison: str, family: str) -> Score | None:
        """Mean of a family: coherence is the mean of its three parts, the others the mean over their histograms."""
        if family == "coherence":
            parts = ("successor", "distinct_per_subject", "subjects_per_category")
            return mean_score([self.family(comparison, part) for part in parts])
        return mean_score([item.scores.get(comparison) for item in self.items if item.family == family])

    def overall(self, comparison: str) -> Score | None:
        """Mean of the families that exist."""
        families = ("univariate", "bivariate", "trivariate", "coherence")
        return mean_score([self.family(comparison, family) for family in families])


def compare_counts(counts: np.ndarray) -> dict[str, Score]:
    """Counts of shape (training, holdout, synthetic; cells ...) -> a score per comparison.

    `accuracy`: synthetic against training and holdout together. The others against one half of the real data, and
    the halves against each other. With an empty holdout only `accuracy` and `accuracy_training` exist.
    """
    training, holdout, synthetic = counts
    scores = {"accuracy": score(training + holdout, synthetic), "accuracy_training": score(training, synthetic)}
    if holdout.sum():
        scores["accuracy_holdout"] = score(holdout, synthetic)
        scores["train_vs_holdout"] = score(holdout, training)
    return scores


def independent_score(counts: np.ndarray) -> Score:
    """Accuracy of the product of the real marginals, without noise: what a model without any dependence reaches."""
    real = (counts[0] + counts[1]).astype(np.float64)
    total = real.sum()
    product = np.ones(())
    for dimension in range(real.ndim):
        others = tuple(other for other in range(real.ndim) if other != dimension)
        product = np.multiply.outer(product, real.sum(axis=others) / total)
    return Score(float(1 - np.abs(real / total - product).sum() / 2), 1.0)


def histograms_of(layout: Layout, *, seed: int) -> list[tuple[str, tuple[str, ...]]]:
    """(family, ids of columns) of all histograms over pairs."""
    targets = [column.id for column in layout.targets]
    pairs = [*combinations(targets, 2), *((t, c.id) for t in targets for c in layout.contexts)]
    successors = [(a.id, b.id) for a, b in zip(layout.events, layout.successors, strict=False)]
    return [
        *(("univariate", (target,)) for target in targets),
        *(("bivariate", pair) for pair in pairs),
        *(("successor", pair) for pair in successors),
        *(("trivariate", triple) for triple in _triples(layout, seed=seed)),
    ]


def _triples(layout: Layout, *, seed: int) -> list[tuple[str, str, str]]:
    ids = {column.label: column.id for column in layout.targets}
    return [(ids[a], ids[b], ids[c]) for a, b, c in pick_triples(list(ids), seed=seed)]


def measure_quality(
    sets: tuple[Histories, Histories, Histories], pairs: DataFrame, layout: Layout, *, seed: int
) -> Quality:
    """Score every histogram.

    Args:
        sets: training, holdout, synthetic.
        pairs: synth_spark.qa.pairs.pairs_of_sets of them, worth persisting.
    """
    bins = fit_bins(pairs.where(F.col(SET) < SETS.index("synthetic")), layout.all, bins=PAIR_BINS)
    coded = {column_id: CodedColumn(column_id, fitted) for column_id, fitted in bins.items()}
    histograms = histograms_of(layout, seed=seed)
    labels = {column.id: column.label for column in layout.all}
    counted = count_cells(pairs, coded, [axes for _, axes in histograms])
    items: list[ScoredItem] = []
    associations: list[Association] = []
    for (family, axes), (_, counts) in zip(histograms, counted, strict=True):
        scores = {**compare_counts(counts), INDEPENDENT: independent_score(counts)}
        items.append(ScoredItem(family, tuple(labels[axis] for axis in axes), scores))
        if family == "bivariate":
            first, second = axes
            ordered = (isinstance(bins[first], AxisBins), isinstance(bins[second], AxisBins))
            associations.append(associate(counts, (labels[first], labels[second]), ordered))
    if layout.sequential:
        items += _coherence_items(sets, layout, seed=seed)
    return Quality(tuple(items), tuple(associations), bins)


def _coherence_items(sets: tuple[Histories, Histories, Histories], layout: Layout, *, seed: int) -> list[ScoredItem]:
    labels = {column.id: (column.label,) for column in layout.events}
    items = []
    for column_id, counts in coherence_counts(sets, layout, seed=seed).items():
        items += [
            ScoredItem("distinct_per_subject", labels[column_id], compare_counts(counts.distinct_per_subject)),
            ScoredItem("subjects_per_category", labels[column_id], compare_counts(counts.subjects_per_category)),
        ]
    return items
