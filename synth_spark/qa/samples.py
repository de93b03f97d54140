"""Bounded samples for what needs rows rather than counts, picked by hash. [spark]"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX
from synth_spark.histories import Histories
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID, Layout
from synth_spark.qa.pairs import event_rows, subject_rows, uniform
from synth_spark.qa.subject_points import SubjectFrame, most_coordinates

MAX_ROWS = 10_000  # event rows per set for the discriminator
MAX_SUBJECTS = 10_000  # subjects per set for the distances
MAX_SUBJECT_EVENTS = 100  # first events of a subject that the distances see, fewer where event tables are wide
MAX_COORDINATES = 80_000_000  # of all those events of a set: 640 MB, a few times that while they are made
_ORDER = "__order"


def sample_event_rows(
    sets: tuple[Histories, ...], layout: Layout, *, seed: int, max_rows: int = MAX_ROWS
) -> list[pd.DataFrame]:
    """Per set, event rows with columns by id and, for histories, LENGTH_ID, for single events the subject's attributes;
    the same number of rows for every set.

    A subject brings at most min(100, 95 % quantile of the first set's lengths) events, picked by hash.
    """
    cap = _length_cap(sets[0], layout)
    return as_many_each([_picked_rows(own, layout, cap=cap, seed=seed, max_rows=max_rows) for own in sets])


def as_many_each(frames: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """The first rows, as many of each; an empty one (a run may be without a holdout) does not empty the others."""
    smallest = min((len(frame) for frame in frames if len(frame)), default=0)
    return [frame.head(smallest) for frame in frames]


def _length_cap(training: Histories, layout: Layout) -> float:
    if not layout.events:
        return 1.0
    lengths = event_rows(training, layout).where(F.col(EVENT_INDEX) == 0)
    found = lengths.agg(F.percentile(LENGTH_ID, 0.95)).first()
    return min(float(MAX_SUBJECT_EVENTS), float(found[0])) if found and found[0] is not None else 1.0


def _picked_rows(histories: Histories, layout: Layout, *, cap: float, seed: int, max_rows: int) -> pd.DataFrame:
    if not layout.events:
        return first_by_hash(subject_rows(histories, layout), [F.col(KEY_TEXT)], seed, max_rows).drop(
            columns=[KEY_TEXT]
        )
    rows = event_rows(histories, layout)
    inside = Window.partitionBy(KEY_TEXT).orderBy(uniform(seed, "cap", F.col(KEY_TEXT), F.col(EVENT_INDEX)))
    known = rows.sparkSession.createDataFrame([(cap,)], "__cap double")  # a literal would stand in query plans
    rows = rows.withColumn("__rank", F.row_number().over(inside)).crossJoin(F.broadcast(known))
    rows = rows.where("__rank <= __cap").drop("__rank", "__cap")
    if not layout.sequential and layout.contexts:
        rows = rows.join(subject_rows(histories, layout), KEY_TEXT, "left")
    found = first_by_hash(rows, [F.col(KEY_TEXT), F.col(EVENT_INDEX)], seed, max_rows)
    beside = [LENGTH_ID] if layout.sequential else [column.id for column in layout.contexts]
    return found[[*(column.id for column in layout.events), *beside]]


def first_by_hash(rows: DataFrame, identity: list[Column], seed: int, limit: int) -> pd.DataFrame:
    """At most `limit` rows, those with the smallest hashes of seed and identity, in their order."""
    ordered = rows.withColumn(_ORDER, uniform(seed, "sample", *identity)).orderBy(_ORDER, *identity).limit(limit)
    return ordered.toPandas().sort_values(_ORDER, kind="stable").drop(columns=[_ORDER]).reset_index(drop=True)


def sample_subjects(
    histories: Histories, layout: Layout, *, seed: int, max_subjects: int = MAX_SUBJECTS
) -> SubjectFrame:
    """At most max_subjects subjects with their attributes and first events, see events_per_subject."""
    picked = (
        subject_rows(histories, layout)
        .withColumn(_ORDER, uniform(seed, "subject", F.col(KEY_TEXT)))
        .orderBy(_ORDER, KEY_TEXT)
        .limit(max_subjects)
        .persist()
    )
    subjects = picked.toPandas().sort_values([_ORDER, KEY_TEXT], kind="stable").drop(columns=[_ORDER])
    subjects = subjects.reset_index(drop=True)
    if not layout.events:
        picked.unpersist()
        return SubjectFrame(subjects.assign(**{LENGTH_ID: 1.0}), pd.DataFrame({KEY_TEXT: [], EVENT_INDEX: []}))
    rows = event_rows(histories, layout).where(F.col(EVENT_INDEX) < events_per_subject(layout, max_subjects))
    events = rows.join(F.broadcast(picked.select(KEY_TEXT)), KEY_TEXT, "left_semi").toPandas()
    picked.unpersist()
    events = events.sort_values([KEY_TEXT, EVENT_INDEX]).reset_index(drop=True)
    lengths = events.drop_duplicates(KEY_TEXT).set_index(KEY_TEXT)[LENGTH_ID]
    subjects[LENGTH_ID] = subjects[KEY_TEXT].map(lengths).fillna(0.0)
    return SubjectFrame(subjects, events.drop(columns=[LENGTH_ID]))


def events_per_subject(layout: Layout, max_subjects: int) -> int:
    """How many first events of a subject the driver has room for as coordinates of points, at least one."""
    coordinates = max_subjects * max(1, sum(map(most_coordinates, layout.events)))
    return int(np.clip(MAX_COORDINATES // coordinates, 1, MAX_SUBJECT_EVENTS))
