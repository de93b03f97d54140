"""What somebody who holds the synthetic data can find out about the subjects behind them. [spark]

Everything is by subject and stands beside what the same finds out about holdout subjects, whom no model saw.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from synth_spark.histories import Histories
from synth_spark.qa.distances import dcr_control, smoke_tests
from synth_spark.qa.halves import FitProfiles, partial_figures
from synth_spark.qa.integrity import history_digests, identical_figures
from synth_spark.qa.layout import Layout
from synth_spark.qa.membership import membership_figures
from synth_spark.qa.pairs import spark_seed
from synth_spark.qa.records import records_of
from synth_spark.qa.risks import risk_figures
from synth_spark.qa.samples import sample_subjects
from synth_spark.qa.subject_points import fit_space
from synth_spark.seeds import derive


def privacy_figures(
    sets: tuple[Histories, Histories, Histories],
    layout: Layout,
    *,
    order_by: str | None,
    frames: Sequence[pd.DataFrame],
    categories: Sequence[str],
    fit_profiles: FitProfiles | None,
    seed: int,
) -> dict[str, float]:
    """dcr_share.*, nndr_share.*, identical_share.*, membership.*, risk.*, attribute_disclosure.*, profiling.*.

    Args:
        sets: training, holdout, synthetic.
        order_by: the clock among the event columns, if there is one.
        frames: one record per subject of each set, as many of each, in random order; `categories` among its columns.
        fit_profiles: learns profiles of parts of histories; without it nothing is profiled.
    """
    figures = point_figures(sets, layout, order_by=order_by, fit_profiles=fit_profiles, seed=seed)
    records = records_of(frames, categories, seed=derive(seed, "qa", "records"))
    figures |= risk_figures(*records, seed=derive(seed, "qa", "risks"))
    digests = [history_digests(histories).persist() for histories in sets]
    figures |= identical_figures(*digests)
    for table in digests:
        table.unpersist()
    return figures


def point_figures(
    sets: tuple[Histories, Histories, Histories],
    layout: Layout,
    *,
    order_by: str | None,
    fit_profiles: FitProfiles | None,
    seed: int,
) -> dict[str, float]:
    """The figures of whole subjects, and of parts of their histories, as points."""
    samples = tuple(sample_subjects(own, layout, seed=spark_seed(seed, "subjects")) for own in sets)
    if min(len(sample.subjects) for sample in samples) < 2:
        return {}
    space = fit_space(layout, order_by, samples[:2])
    training, holdout, synthetic = (space.points(sample) for sample in samples)
    figures = smoke_tests(synthetic, training, holdout)
    figures |= dcr_control(training, holdout).named("dcr_share.control")
    figures |= membership_figures(training, holdout, synthetic)
    if layout.sequential:
        first, second, third = samples
        figures |= partial_figures((first, second, third), space, fit_profiles, seed=spark_seed(seed, "parts"))
    return figures
