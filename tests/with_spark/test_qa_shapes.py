"""Evidence for data without events, without a key, without a clock, and for places."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from synth_spark.codebook import FieldSpec
from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.config import EventSource
from synth_spark.histories import Histories, histories_of
from synth_spark.qa.compare import compare
from synth_spark.qa.controls import independent, perturbed
from tests.with_spark.qa_data import codebook_of, random_tables, table_of

AGE = FieldSpec(
    "age",
    "number",
    "int",
    (4,),
    {"unit": {}, "missing": False, "atoms": [], "lows": [20, 40, 60], "highs": [40, 60, 80]},
    ("age",),
)
PLACE = FieldSpec("lat + lon", "place", "double", (9,), {"low": [40.0, -10.0], "high": [60.0, 20.0]}, ("lat", "lon"))
KIND = FieldSpec("ki nd", "category", "string", (4,), {"values": ["a", "b", "c"]}, ("ki nd",))


def _flat(spark: SparkSession, seed: int, people: int = 400) -> Histories:
    """Age, a place that depends on it, a region; no key."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, people)
    frame = pd.DataFrame(
        {
            "age": age,
            "lat": 40 + age / 5 + rng.normal(0, 1, people),
            "lon": rng.uniform(-20, 30, people),
            "region": rng.choice(["n", "s"], people),
        }
    )
    data = histories_of(spark.createDataFrame(frame), None, key=None, settings=None)
    return Histories(data.subjects.persist(), data.events)


def _unclocked(spark: SparkSession, seed: int) -> Histories:
    """Histories that a stored position orders."""
    people, events = random_tables(seed, prefix=f"p{seed}-")
    own = events[[SUBJECT_KEY, "am.ount", "ki nd"]].rename(columns={SUBJECT_KEY: "id"})
    own["place"] = np.arange(len(own))
    rows = own.astype(object).where(own.notna(), None)
    settings = EventSource(path="unread", key="id", stored_order="place")
    data = histories_of(
        spark.createDataFrame(people[[SUBJECT_KEY, "age"]].rename(columns={SUBJECT_KEY: "id"})),
        spark.createDataFrame(rows, "id string, `am.ount` double, `ki nd` string, place int"),
        key="id",
        settings=settings,
    )
    return Histories(data.subjects.persist(), data.events.persist())


def test_flat_data_have_three_families_and_no_time(spark: SparkSession) -> None:
    sets = tuple(_flat(spark, seed) for seed in (1, 2, 3))
    columns = ("age", "lat", "lon", "region")
    book = codebook_of(subjects=table_of(*columns), events=None, static=(AGE, PLACE))
    found = compare(*sets, order_by=None, codebook=book, seed=0)
    families = [found.figures[f"accuracy.{name}"] for name in ("univariate", "bivariate", "trivariate")]
    assert found.figures["accuracy.overall"] == pytest.approx(np.mean(families), abs=1e-6)
    assert found.figures["accuracy.overall"] > found.figures["accuracy.overall.ceiling"] - 0.02
    assert not [name for name in found.figures if "coherence" in name or ("event" in name and "auc" not in name)]
    assert 0.4 < found.figures["auc_event"] < 0.6 and found.figures["auc_event.rows"] == 400
    assert abs(found.figures["dcr_share"] - 0.5) < 4 * found.figures["dcr_share.standard_error"]
    shown = {item.columns: item for item in found.shown}
    single = {columns[0] for columns in shown if len(columns) == 1}
    assert single == {"tgt::age", "tgt::lat", "tgt::lon"}
    assert shown["tgt::lon",].axes[0][:2] == ("below -10", "-10 \u2013 -5")
    assert ("tgt::age", "tgt::lat") in shown


def test_copies_of_flat_rows_are_seen(spark: SparkSession) -> None:
    training, holdout = (_flat(spark, seed) for seed in (1, 2))
    found = compare(training, holdout, training, order_by=None, codebook=None, seed=0).figures
    assert found["identical_share.training"] == 1.0 and found["identical_share.control"] == 0.0
    assert found["dcr_share"] > 0.9


def test_histories_without_a_clock_keep_their_order(spark: SparkSession) -> None:
    sets = tuple(_unclocked(spark, seed) for seed in (1, 2, 3))
    book = codebook_of(
        subjects=table_of("id", "age", key="id"),
        events=table_of("id", "am.ount", "ki nd", "place", key="id", stored_order="place"),
        static=(AGE,),
        event=(KIND,),
    )
    found = compare(*sets, order_by=None, codebook=book, seed=0)
    assert found.figures["accuracy.coherence"] > found.figures["accuracy.coherence.ceiling"] - 0.05
    assert {item.columns for item in found.items if item.family == "successor"} == {
        (f"tgt::{name}", f"nxt::{name}") for name in ("am.ount", "ki nd")
    }
    single = {item.columns[0] for item in found.shown if len(item.columns) == 1}
    assert single == {"tgt::ki nd", "tgt::Sequence Length", "ctx::age"}
    for moved in (
        perturbed(sets[0], share=0.1, seed=3, order_by=None, tie_break=None),
        independent(sets[0], seed=3, order_by=None, tie_break=None),
    ):
        assert moved.events.columns == sets[0].events.columns
        places = [data.events.select(SUBJECT_KEY, EVENT_INDEX) for data in (sets[0], moved)]
        assert places[0].exceptAll(places[1]).count() == 0


def _single_events(spark: SparkSession, seed: int, people: int = 200) -> Histories:
    """Subjects of _flat, each with one event of one column."""
    rng = np.random.default_rng(seed)
    names = [f"p{seed}-{number}" for number in range(people)]
    region = rng.choice(["n", "s"], people)
    subjects = pd.DataFrame({"id": names, "region": region, "age": rng.integers(18, 90, people)})
    events = pd.DataFrame({"id": names, "place": 1, "paid": rng.normal(0, 1, people) + 3 * (region == "n")})
    settings = EventSource(path="unread", key="id", stored_order="place")
    data = histories_of(spark.createDataFrame(subjects), spark.createDataFrame(events), key="id", settings=settings)
    return Histories(data.subjects.persist(), data.events.persist())


def test_attacks_on_single_events_see_the_attributes_beside_them(spark: SparkSession) -> None:
    training, holdout = (_single_events(spark, seed) for seed in (1, 2))
    found = compare(training, holdout, training, order_by=None, codebook=None, seed=0).figures
    assert found["risk.linkability.main"] > found["risk.linkability.control"], "three columns: paid, age, region"
    assert found["risk.singling_out.main"] > found["risk.singling_out.control"]
    assert found["auc_event.rows"] == 200


def test_without_a_holdout_rows_are_still_told_apart(spark: SparkSession) -> None:
    training, synthetic = (_flat(spark, seed) for seed in (1, 3))
    nobody = Histories(training.subjects.limit(0), training.events)
    found = compare(training, nobody, synthetic, order_by=None, codebook=None, seed=0).figures
    assert 0.4 < found["auc_event"] < 0.6 and "auc_event.control" not in found
    assert not [name for name in found if name.startswith("risk.")], "there is nobody to compare with"
