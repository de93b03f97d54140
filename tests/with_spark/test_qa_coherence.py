"""Distinct categories per subject and subjects per category, against a naive count."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from synth_spark.columns import SUBJECT_KEY
from synth_spark.qa.binning import AxisBins, CategoryBins
from synth_spark.qa.coherence import bin_sizes, coherence_counts, top_codes
from synth_spark.qa.pairs import layout_of
from tests.with_spark.qa_data import histories, random_tables


def test_counts_of_a_category_column(spark: SparkSession) -> None:
    tables = [random_tables(seed, subjects=400, prefix=f"s{seed}-") for seed in (1, 2, 3)]
    sets = tuple(histories(spark, *pair) for pair in tables)
    layout = layout_of(sets[0])
    kind = next(column for column in layout.events if column.name == "ki nd")
    found = coherence_counts(sets, layout, seed=0)[kind.id]
    texts = [t[1].assign(text=t[1]["ki nd"].fillna("(n/a)").replace("", "(empty)")) for t in tables]
    real = pd.concat(texts[:2])
    holders = [t.groupby("text")[SUBJECT_KEY].nunique() for t in texts]
    # six texts, missing included: all are among the top nine, so the rest is empty
    assert real["text"].nunique() <= 9
    for position in range(3):
        assert sorted(
            found.subjects_per_category[position][:-1][found.subjects_per_category[position][:-1] > 0]
        ) == sorted(holders[position])
        distinct = texts[position].groupby(SUBJECT_KEY)["text"].nunique().value_counts().sort_index()
        assert [count for count in found.distinct_per_subject[position] if count] == distinct.tolist()


def test_the_same_for_any_partitions(spark: SparkSession) -> None:
    tables = [random_tables(seed, subjects=150) for seed in (4, 5, 6)]
    found = []
    for partitions in (1, 5):
        sets = tuple(histories(spark, *pair, partitions=partitions) for pair in tables)
        counts = coherence_counts(sets, layout_of(sets[0]), seed=0)
        found.append(
            [part for item in counts.values() for part in (item.distinct_per_subject, item.subjects_per_category)]
        )
    assert all((a == b).all() for a, b in zip(*found, strict=True))


def test_top_codes_break_ties_by_code_and_leave_other_to_the_rest() -> None:
    holders = np.array([[5, 9, 5, 1, 8], [0, 0, 0, 0, 0], [9, 9, 9, 9, 9]])
    assert top_codes(holders, AxisBins((0, 1, 2, 3, 4))) == [1, 4, 0, 2, 3]
    # classes: a, (empty), (other), _RARE_, (n/a)
    assert top_codes(holders, CategoryBins(("a", "(empty)", "(other)", "_RARE_", "(n/a)"))) == [1, 4, 0, 3]
    many = np.vstack([np.arange(20)[::-1], np.zeros(20), np.zeros(20)])
    assert top_codes(many, AxisBins(tuple(range(20)))) == list(range(9))


def test_sizes_are_binned_by_the_real_ones() -> None:
    counts = np.array([[0, 3, 4, 0], [0, 1, 0, 0], [2, 0, 0, 5]])
    # real sizes are 1 and 2: two bins and missing; 0 and 3 are clipped into them
    assert bin_sizes(counts).tolist() == [[3, 4, 0], [1, 0, 0], [2, 5, 0]]
