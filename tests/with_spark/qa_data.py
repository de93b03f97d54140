"""Small random histories as pandas tables and as Histories, and real ones where they are present."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook, FieldSpec, SourceColumn, SourceTable
from synth_spark.columns import SUBJECT_KEY
from synth_spark.config import load_config
from synth_spark.histories import Histories, with_event_index
from synth_spark.source.read import Source
from synth_spark.source.table import load_table

EVENTS = f"{SUBJECT_KEY} string, `am.ount` double, `ki nd` string, at date, seen timestamp, flag boolean"
SUBJECTS = f"{SUBJECT_KEY} string, `re``gion` string, age int"
ROOT = Path(__file__).parents[2]
# what every run that was written whole shows
WRITTEN = {"rows.subjects": 1.0, "rows.subjects.planned": 1.0, "rows.events": 1.0, "rows.events.planned": 1.0}
WRITTEN |= {"orphans": 0.0, "duplicate_keys": 0.0, "order_violations": 0.0}
DATA = Path(os.environ.get("SYNTH_SPARK_DATA", ROOT / ".." / "shared" / "data"))


def persisted(data: Histories) -> Histories:
    """The same, kept in memory."""
    return Histories(data.subjects.persist(), data.events.persist())


def random_tables(seed: int, subjects: int = 300, prefix: str = "k") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Subjects and events with ties, missing values, skewed numbers and empty texts; some subjects have no events."""
    rng = np.random.default_rng(seed)
    keys = [f"{prefix}{number}" for number in range(subjects)]
    lengths = rng.geometric(0.4, subjects) - (rng.random(subjects) < 0.05)
    owners = np.repeat(keys, lengths)
    size = len(owners)
    amount = np.where(rng.random(size) < 0.3, 9.99, np.round(rng.gamma(1.0, 20.0, size), 2))
    kinds = rng.choice(["a", "b", "c", "", "rare1", "rare2"], size, p=[0.5, 0.2, 0.2, 0.05, 0.03, 0.02])
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, size), "D")
    events = pd.DataFrame(
        {
            SUBJECT_KEY: owners,
            "am.ount": pd.Series(amount).where(rng.random(size) > 0.1),
            "ki nd": pd.Series(kinds, dtype=object).where(rng.random(size) > 0.1, None),
            "at": days.date,
            "seen": days + pd.to_timedelta(rng.integers(0, 86_400, size), "s"),
            "flag": rng.random(size) < 0.5,
        }
    )
    people = pd.DataFrame(
        {SUBJECT_KEY: keys, "re`gion": rng.choice(["n", "s"], subjects), "age": rng.integers(18, 90, subjects)}
    )
    return people, events


def histories(spark: SparkSession, people: pd.DataFrame, events: pd.DataFrame, *, partitions: int = 2) -> Histories:
    """The tables as Histories, ordered by at."""
    rows = spark.createDataFrame(events.astype(object).where(events.notna(), None), EVENTS).repartition(partitions)
    subjects = spark.createDataFrame(people, SUBJECTS).repartition(partitions)
    return Histories(subjects, with_event_index(rows, order_by="at", tie_break="seen"))


def table_of(*columns: str, **roles: str) -> SourceTable:
    """A source table of string columns."""
    given: dict[str, Any] = {"key": None, **roles}
    return SourceTable(tuple(SourceColumn(name, "string") for name in columns), **given)


def codebook_of(
    *,
    subjects: SourceTable | None,
    events: SourceTable | None,
    static: tuple[FieldSpec, ...] = (),
    event: tuple[FieldSpec, ...] = (),
    time: dict[str, Any] | None = None,
) -> Codebook:
    """A codebook with these fields; the length, and with a clock its four fields, are added."""
    length = FieldSpec("length", "length", "int", (2,), {"lows": [0, 1], "highs": [0, 9]})
    start, end, *timed = (
        FieldSpec(name, "number", "bigint", (1,), {}) for name in ("start", "end", "period", "elapsed")
    )
    return Codebook(
        subjects=subjects,
        events=events,
        static_fields=(*static, *([start, end] if time else []), length),
        event_fields=(*(timed if time else []), *event),
        num_subjects={},
        num_events={},
        seed=1,
        time=time,
    )


def source_of(data: Histories) -> Source:
    """Histories as if they had been read."""
    return Source(data, None, None, None, {}, {}, {})


def cdnow(spark: SparkSession) -> Histories:
    """The real purchases, which come with the demo's package."""
    (settings,) = load_config(ROOT / "conf" / "cdnow.yml").source.events
    rows = load_table(spark, settings).withColumnRenamed("customer_id", SUBJECT_KEY)
    events = with_event_index(rows, order_by="date", tie_break=None)
    events = events.persist()
    return Histories(events.select(SUBJECT_KEY).distinct().persist(), events)


def part(whole: Histories, *, of: int, number: int, seed: int) -> Histories:
    """One of `of` random parts by subject."""
    chosen = F.pmod(F.xxhash64(F.lit(seed), F.col(SUBJECT_KEY)), F.lit(of)) == number
    return Histories(whole.subjects.where(chosen).persist(), whole.events.where(chosen).persist())
