"""Releases whose verdict is known: real people as they are, real people disguised, real people whom nobody trained on.

A suite that cannot tell these apart is broken.
"""

from __future__ import annotations

import pandas as pd
import pytest
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from synth_spark.attack.profiles import fit_profiles
from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.config import GateSettings
from synth_spark.histories import Histories
from synth_spark.qa.behaviour import plan_traits, traits_of_sets
from synth_spark.qa.compare import compare
from synth_spark.qa.controls import perturbed
from synth_spark.qa.gate import judge
from synth_spark.qa.layout import Layout
from synth_spark.qa.outcomes import subject_frames
from synth_spark.qa.pairs import layout_of
from synth_spark.qa.privacy import privacy_figures
from synth_spark.qa.samples import sample_event_rows
from tests.plain.qa_example import people
from tests.with_spark.qa_data import DATA, WRITTEN, cdnow, part, persisted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Sets = tuple[Histories, Histories, Histories]
SMOKE = {"identical_share", "dcr_share", "nndr_share"}
MEMBERSHIP = {"membership.auc", "membership.true_positives"}


def adult(spark: SparkSession) -> Histories:
    """30,000 real people with their attributes; skips where they are absent."""
    path = DATA / "fidelity-benchmark" / "adult_trn.csv.gz"
    if not path.exists():
        pytest.skip("the benchmark's data are not here: set SYNTH_SPARK_DATA to the folder of the data sets")
    rows = spark.read.csv(str(path), header=True, inferSchema=True)
    key = F.row_number().over(Window.orderBy(F.xxhash64(*rows.columns), *rows.columns))
    people = rows.withColumn(SUBJECT_KEY, key).persist()
    return Histories(people, spark.createDataFrame([], f"{SUBJECT_KEY} int, {EVENT_INDEX} int"))


def made_up(spark: SparkSession) -> Histories:
    """12,000 people with attributes, for machines without the benchmark's data."""
    rows = spark.createDataFrame(people(5, 12_000).assign(**{SUBJECT_KEY: range(12_000)}))
    return Histories(rows.persist(), spark.createDataFrame([], f"{SUBJECT_KEY} bigint, {EVENT_INDEX} int"))


SOURCES = {"cdnow": cdnow, "adult": adult, "made up": made_up}
NAMED = pytest.mark.parametrize(("name", "order_by"), [("cdnow", "date"), ("adult", None), ("made up", None)])


def frames_of(sets: Sets, layout: Layout, order_by: str | None) -> tuple[list[pd.DataFrame], list[str]]:
    if not layout.sequential:
        columns = layout.events or layout.subjects
        return sample_event_rows(sets, layout, seed=0), [c.id for c in columns if c.kind == "category"]
    clock = next(column for column in layout.events if column.name == order_by)
    plan = plan_traits(layout, clock)
    rows = traits_of_sets(sets, layout, plan, clock=clock, seed=0)
    categories = [trait.column.id for trait in plan.traits if trait.column.kind == "category"]
    return subject_frames(rows, layout, plan, seed=0), categories


def unmet(figures: dict[str, float], *, has_events: bool) -> set[str]:
    criteria = judge({**WRITTEN, **figures}, GateSettings(), has_events=has_events, has_key=True, has_model=False)
    return {item.name for item in criteria if item.value is not None and not item.ok}


def leaks(sets: Sets, order_by: str | None) -> tuple[set[str], dict[str, float]]:
    """Criteria on privacy that are not met, and the figures."""
    layout = layout_of(sets[0])
    frames, categories = frames_of(sets, layout, order_by)
    figures = privacy_figures(
        sets, layout, order_by=order_by, frames=frames, categories=categories, fit_profiles=fit_profiles, seed=0
    )
    return unmet(figures, has_events=bool(layout.events)), figures


@NAMED
def test_real_people_are_recognised_however_they_are_disguised(
    name: str, order_by: str | None, spark: SparkSession
) -> None:
    whole = part(SOURCES[name](spark), of=2, number=0, seed=9)
    training, holdout = (part(whole, of=2, number=number, seed=2) for number in (0, 1))
    as_it_is, figures = leaks((training, holdout, training), order_by)
    assert as_it_is >= SMOKE | MEMBERSHIP | {"risk.singling_out", "risk.inference", "risk.linkability"}
    assert figures["membership.auc"] > 0.8 and figures["identical_share.training"] == 1.0
    disguised = persisted(perturbed(training, share=1 / 3, seed=3, order_by=order_by, tie_break=None))
    found, figures = leaks((training, holdout, disguised), order_by)
    assert found >= {"dcr_share", "membership.auc"}
    assert figures["dcr_share"] > 0.55 and figures["membership.auc.low"] > 0.5
    if order_by:
        assert figures["profiling.real.rank1.low"] > 10 / figures["profiling.pool"]


@NAMED
def test_real_people_who_did_not_train_pass_every_criterion(
    name: str, order_by: str | None, spark: SparkSession
) -> None:
    whole = part(SOURCES[name](spark), of=2, number=0, seed=9)
    training, holdout = (part(whole, of=2, number=number, seed=4) for number in (0, 1))
    released, control = (part(holdout, of=2, number=number, seed=5) for number in (0, 1))
    found = compare(training, control, released, order_by=order_by, codebook=None, seed=0, fit_profiles=fit_profiles)
    assert unmet(found.figures, has_events=order_by is not None) == set()
