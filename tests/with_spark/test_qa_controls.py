"""Data sets whose verdict is known beforehand get that verdict."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.config import GateSettings
from synth_spark.qa.compare import compare
from synth_spark.qa.controls import independent, perturbed
from synth_spark.qa.distances import dcr_share
from synth_spark.qa.gate import judge
from synth_spark.qa.likelihood import events_that_count
from synth_spark.qa.pairs import layout_of
from synth_spark.qa.privacy import point_figures
from synth_spark.qa.samples import events_per_subject, sample_event_rows, sample_subjects
from synth_spark.qa.subject_points import fit_space, most_coordinates
from tests.with_spark.qa_data import WRITTEN, cdnow, histories, part, persisted, random_tables


def failed(figures: dict[str, float]) -> list[str]:
    criteria = judge({**WRITTEN, **figures}, GateSettings(), has_events=True, has_key=True, has_model=False)
    return [item.name for item in criteria if not item.ok]


def test_cells_change_places_and_nothing_is_lost(spark: SparkSession) -> None:
    people, events = random_tables(1, subjects=500)
    real = persisted(histories(spark, people, events))
    moved = persisted(perturbed(real, share=0.1, seed=3, order_by="at", tie_break="seen"))
    columns = [name for name in real.events.columns if name not in (SUBJECT_KEY, EVENT_INDEX)]
    before, after = real.events.toPandas(), moved.events.toPandas()
    assert (before.groupby(SUBJECT_KEY).size() == after.groupby(SUBJECT_KEY).size()).all()
    for name in columns:
        assert sorted(before[name].astype(str)) == sorted(after[name].astype(str))
    assert moved.events.columns == real.events.columns
    again = perturbed(
        histories(spark, people, events, partitions=5), share=0.1, seed=3, order_by="at", tie_break="seen"
    )
    assert moved.events.exceptAll(again.events).count() == 0
    kept = moved.events.drop(EVENT_INDEX).intersectAll(real.events.drop(EVENT_INDEX)).count() / len(before)
    assert 0.5 < kept < 0.8  # .9 ** 5 of the rows keep all their cells


@pytest.mark.slow
def test_independent_columns_fail_on_accuracy_and_pass_on_privacy(spark: SparkSession) -> None:
    whole = part(cdnow(spark), of=2, number=0, seed=9)
    training, holdout = (part(whole, of=2, number=number, seed=1) for number in (0, 1))
    shuffled = persisted(independent(training, seed=2, order_by="date", tie_break=None))
    found = compare(training, holdout, shuffled, order_by="date", codebook=None, seed=0)
    assert failed(found.figures) == ["accuracy.overall"]
    assert found.figures["auc_event"] > 0.7


@pytest.mark.slow
def test_real_people_who_did_not_train_pass(spark: SparkSession) -> None:
    whole = cdnow(spark)
    layout = layout_of(whole)
    worst = 0.0
    for seed in range(4):
        quarters = [part(whole, of=3, number=number, seed=seed) for number in range(3)]
        samples = [sample_subjects(data, layout, seed=seed) for data in quarters]
        space = fit_space(layout, "date", samples[:2])
        training, holdout, others = (space.points(sample) for sample in samples)
        worst = max(worst, abs(dcr_share(others, training, holdout).z))
    assert worst < 3


def test_samples_are_bounded_equal_and_the_same_for_any_partitions(spark: SparkSession) -> None:
    tables = random_tables(5, subjects=400)
    layout = layout_of(histories(spark, *tables))
    found = []
    for partitions in (1, 6):
        data = histories(spark, *tables, partitions=partitions)
        found.append(sample_event_rows((data, data, data), layout, seed=0, max_rows=100))
    assert [len(table) for table in found[0]] == [100, 100, 100]
    assert found[0][0].equals(found[1][0])
    people = sample_subjects(histories(spark, *tables), layout, seed=0, max_subjects=50)
    assert len(people.subjects) == 50
    assert set(people.events["__key_text"]) <= set(people.subjects["__key_text"])


def test_of_wide_tables_the_driver_holds_fewer_events(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    data = histories(spark, *random_tables(5, subjects=400))
    layout = layout_of(data)
    coordinates = sum(map(most_coordinates, layout.events))
    assert events_per_subject(layout, 10_000) == 100
    monkeypatch.setattr("synth_spark.qa.samples.MAX_COORDINATES", 50 * 2 * coordinates)
    people = sample_subjects(data, layout, seed=0, max_subjects=50)
    assert people.events.groupby("__key_text").size().max() == 2
    monkeypatch.setattr("synth_spark.qa.samples.MAX_COORDINATES", 1)
    assert events_per_subject(layout, 10_000) == 1


@pytest.mark.parametrize(("columns", "events"), [(0, 256), (20, 256), (160, 100), (10**6, 1)])
def test_the_attack_with_the_model_looks_at_fewer_events_of_wide_tables(columns: int, events: int) -> None:
    assert events_that_count(columns) == events


def test_figures_of_data_with_missing_values_texts_and_attributes(spark: SparkSession) -> None:
    sets = tuple(persisted(histories(spark, *random_tables(seed, prefix=f"p{seed}-"))) for seed in (1, 2, 3))
    found = compare(*sets, order_by="at", codebook=None, seed=0).figures
    assert found["identical_share.control"] < 0.2
    assert abs(found["dcr_share"] - 0.5) < 4 * found["dcr_share.standard_error"]
    assert found["accuracy.overall"] > found["accuracy.overall.ceiling"] - 0.03
    assert 0.4 < found["auc_event"] < 0.6
    again = point_figures(sets, layout_of(sets[0]), order_by="at", fit_profiles=None, seed=0)
    assert {name: round(value, 6) for name, value in again.items()} == {name: found[name] for name in again}
