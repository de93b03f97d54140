"""The table of pairs, bins and histograms against a naive re-implementation in pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories
from synth_spark.qa.binning import fit_category_bins, fit_instant_bins, fit_number_bins, order_statistics
from synth_spark.qa.cells import CodedColumn, count_cells
from synth_spark.qa.compare import by_subject
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID, SET
from synth_spark.qa.pairs import event_rows, layout_of, pair_rows, pairs_of_sets
from synth_spark.qa.quality import measure_quality
from synth_spark.qa.values import fit_bins
from tests.with_spark.qa_data import histories, random_tables


def naive_bins(values: pd.Series, kind: str, bins: int) -> object:
    if kind == "category":
        counts = values.fillna("\x00").value_counts()
        names = [None if name == "\x00" else name for name in counts.index]
        return fit_category_bins(names, counts.tolist(), bins=bins)
    counts = values.dropna().astype(float).value_counts().sort_index()
    fit = fit_number_bins if kind == "number" else fit_instant_bins
    return fit(order_statistics(counts.index.to_numpy(), counts.to_numpy()), bins=bins)


def test_held_by_subject_they_are_the_same_and_are_never_moved_again(spark: SparkSession) -> None:
    data = histories(spark, *random_tables(8), partitions=3)
    held, layout = by_subject(data), layout_of(data)
    given, kept = (
        event_rows(own, layout).toPandas().sort_values([KEY_TEXT, EVENT_INDEX], ignore_index=True)
        for own in (data, held)
    )
    pd.testing.assert_frame_equal(given, kept)
    per_subject = event_rows(held, layout).groupBy(KEY_TEXT).agg(F.max(LENGTH_ID))
    above_what_is_held = str(per_subject._jdf.queryExecution().executedPlan()).split("InMemoryRelation")[0]
    assert "Window" in above_what_is_held
    assert "Exchange" not in above_what_is_held and "Sort " not in above_what_is_held


def test_a_pair_is_two_consecutive_events_and_the_last_never_is_the_first(spark: SparkSession) -> None:
    people, events = random_tables(1)
    data = histories(spark, people, events)
    layout = layout_of(data)
    pairs = pair_rows(data, layout, set_number=0, seed=5).toPandas().set_index(KEY_TEXT)
    ordered = events.sort_values([SUBJECT_KEY, "at", "seen"], kind="stable").groupby(SUBJECT_KEY)
    assert len(pairs) == ordered.ngroups  # subjects without events have no pair
    seen = next(column for column in layout.events if column.name == "seen")
    firsts = []
    for key, history in ordered:
        times = (history["seen"].astype("datetime64[us]").astype("int64")).tolist()
        position = times.index(int(pairs.loc[key, seen.id]))
        following = pairs.loc[key, "n" + seen.id[1:]]
        assert pairs.loc[key, LENGTH_ID] == len(times)
        if len(times) == 1:
            assert np.isnan(following)
        else:
            assert position < len(times) - 1
            assert following == times[position + 1]
            if len(times) > 3:
                firsts.append(position / (len(times) - 2))
    assert 0.35 < np.mean(firsts) < 0.65  # spread over the history


def test_pairs_do_not_depend_on_partitions_but_on_the_seed(spark: SparkSession) -> None:
    tables = random_tables(2)
    layout = layout_of(histories(spark, *tables))
    found = [
        pair_rows(histories(spark, *tables, partitions=n), layout, set_number=0, seed=seed)
        .toPandas()
        .sort_values(KEY_TEXT)
        .reset_index(drop=True)
        for n, seed in ((1, 0), (5, 0), (1, 1))
    ]
    pd.testing.assert_frame_equal(found[0], found[1])
    assert not found[0].equals(found[2])


def test_one_event_each_is_no_sequence(spark: SparkSession) -> None:
    people, events = random_tables(3)
    single = events.drop_duplicates(SUBJECT_KEY)
    known = people[people[SUBJECT_KEY].isin(single[SUBJECT_KEY])]
    layout = layout_of(histories(spark, known, single))
    assert not layout.sequential
    assert layout.successors == ()
    assert LENGTH_ID not in [column.id for column in layout.all]
    # a subject without events makes it a sequence again: lengths differ
    assert layout_of(histories(spark, people, single)).sequential == (len(known) < len(people))


def test_flat_data_compare_attributes(spark: SparkSession) -> None:
    people, events = random_tables(4)
    whole = histories(spark, people, events)
    flat = Histories(whole.subjects, whole.events.select(SUBJECT_KEY, "__event_index").limit(0))
    layout = layout_of(flat)
    pairs = pairs_of_sets((flat, flat, flat), layout, seed=0)
    quality = measure_quality((flat, flat, flat), pairs, layout, seed=0)
    assert [column.name for column in layout.targets] == ["age", "re`gion"]
    assert quality.overall("accuracy").accuracy == 1.0
    assert quality.family("accuracy", "coherence") is None


@pytest.mark.parametrize("max_distinct", [100_000, 20])
def test_bins_equal_the_rule_on_all_values(spark: SparkSession, max_distinct: int) -> None:
    data = histories(spark, *random_tables(6, subjects=800))
    layout = layout_of(data)
    pairs = pair_rows(data, layout, set_number=0, seed=0).persist()
    frame = pairs.toPandas()
    fitted = fit_bins(pairs, layout.all, bins=10, max_distinct=max_distinct)
    for column in layout.all:
        assert fitted[column.id] == naive_bins(frame[column.id], column.kind, 10), column


def test_histograms_are_cross_tabulations_whatever_the_partitions(spark: SparkSession) -> None:
    sets = tuple(histories(spark, *random_tables(seed)) for seed in (7, 8, 9))
    layout = layout_of(sets[0])
    pairs = pairs_of_sets(sets, layout, seed=0).persist()
    bins = fit_bins(pairs.where(F.col(SET) < 2), layout.all, bins=10)
    coded = {name: CodedColumn(name, coder) for name, coder in bins.items()}
    frame = pairs.toPandas()
    codes = {name: item.coder.code(frame[name]) for name, item in coded.items()}
    wanted = [("t0",), ("t0", "length"), ("t0", "t2", "c1")]
    for partitions, max_cells in ((1, 10**6), (7, 100)):
        counted = dict(count_cells(pairs.repartition(partitions), coded, wanted, max_cells=max_cells))
        assert list(counted) == wanted
        for axes, counts in counted.items():
            expected = np.zeros_like(counts)
            np.add.at(expected, (frame[SET].to_numpy(), *(codes[axis] for axis in axes)), 1)
            assert (counts == expected).all()


def test_every_pair_has_the_association_of_the_rows_behind_it(spark: SparkSession) -> None:
    sets = tuple(histories(spark, *random_tables(seed)) for seed in (10, 11, 12))
    layout = layout_of(sets[0])
    pairs = pairs_of_sets(sets, layout, seed=0).persist()
    quality = measure_quality(sets, pairs, layout, seed=0)
    found = {item.columns: item for item in quality.associations}
    assert list(found) == [item.columns for item in quality.items if item.family == "bivariate"]
    frame = pairs.toPandas()
    ids = {column.label: column.id for column in layout.all}
    bins = fit_bins(pairs.where(F.col(SET) < 2), layout.all, bins=10)
    synthetic = frame[frame[SET] == 2]
    ordered = found["tgt::am.ount", "tgt::at"]
    known = synthetic.dropna(subset=[ids["tgt::am.ount"], ids["tgt::at"]])
    codes = [bins[ids[label]].code(known[ids[label]]) for label in ordered.columns]
    assert ordered.ordered == (True, True)
    assert ordered.synthetic == pytest.approx(np.corrcoef(*codes)[0, 1])
    named = found["tgt::flag", "tgt::ki nd"]
    codes = [bins[ids[label]].code(synthetic[ids[label]]) for label in named.columns]
    table = pd.crosstab(*codes).to_numpy()
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    chi2 = ((table - expected) ** 2 / expected).sum()
    assert named.ordered == (False, False)
    assert named.synthetic == pytest.approx(np.sqrt(chi2 / table.sum() / (min(table.shape) - 1)))
