"""Data sets whose verdict is known beforehand: they show that the metrics see what they should see. [spark]"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories, quoted, with_event_index
from synth_spark.qa.pairs import learned_columns

_POSITION, _TARGET, _VALUE, _MOVED = "__position", "__target", "__value", "__moved"
_BUCKET_ROWS = 100_000


def perturbed(
    histories: Histories, *, share: float, seed: int, order_by: str | None, tie_break: str | None
) -> Histories:
    """A copy in which `share` of the cells of every column changed places with others of that column.

    Must fail the privacy smoke test: most of every history is still somebody's. Cells and places are picked by hash.
    With a clock, histories are brought into order again afterwards.
    """
    return _shuffled(histories, share=share, seed=seed, order_by=order_by, tie_break=tie_break)


def independent(histories: Histories, *, seed: int, order_by: str | None, tie_break: str | None) -> Histories:
    """A copy in which every column was shuffled on its own: right marginals and lengths, nothing else.

    Must fail on accuracy and pass the privacy smoke test.
    """
    return _shuffled(histories, share=1.0, seed=seed, order_by=order_by, tie_break=tie_break)


def _shuffled(
    histories: Histories, *, share: float, seed: int, order_by: str | None, tie_break: str | None
) -> Histories:
    events, subjects = learned_columns(histories)
    moved_events = _shuffle_columns(histories.events, sorted(events), [SUBJECT_KEY, EVENT_INDEX], share, seed)
    moved_subjects = _shuffle_columns(histories.subjects, sorted(subjects), [SUBJECT_KEY], share, seed)
    if order_by is None:
        return Histories(moved_subjects, moved_events)
    ordered = with_event_index(moved_events.drop(EVENT_INDEX), order_by=order_by, tie_break=tie_break)
    return Histories(moved_subjects, ordered.select(*(F.col(quoted(name)) for name in histories.events.columns)))


def _shuffle_columns(
    rows: DataFrame, columns: Sequence[str], identity: Sequence[str], share: float, seed: int
) -> DataFrame:
    buckets = max(1, int(rows.count() * share) // _BUCKET_ROWS)
    result = rows
    for number, name in enumerate(columns):
        # every column is moved within the original rows: chained, the plan would grow as a power of the columns
        moved = _moved_cells(rows, name, identity, share, seed * 1_000 + number, buckets)
        value = F.when(F.col(_TARGET), F.col(_VALUE)).otherwise(F.col(quoted(name)))
        result = result.join(moved, list(identity), "left").select(
            *(value.alias(column) if column == name else F.col(quoted(column)) for column in rows.columns)
        )
    return result


def _moved_cells(
    rows: DataFrame, name: str, identity: Sequence[str], share: float, seed: int, buckets: int
) -> DataFrame:
    """One row per picked cell: identity, _TARGET (true), _VALUE: the value of another picked cell of its bucket.

    The picked rows in one order of hashes receive the values of the same rows in another order. Buckets, so that no
    single task sorts everything.
    """
    parts = [F.col(column).cast("string") for column in identity]
    draw = F.pmod(F.xxhash64(F.lit(seed), F.lit("pick"), *parts), F.lit(1_000_000)) / 1_000_000
    bucket = F.pmod(F.xxhash64(F.lit(seed), F.lit("bucket"), *parts), F.lit(buckets))
    picked = rows.select(*identity, F.col(quoted(name)).alias(_VALUE), bucket.alias(_MOVED)).where(draw < share)
    here, there = (
        Window.partitionBy(_MOVED).orderBy(F.xxhash64(F.lit(seed), F.lit(purpose), *parts), *identity)
        for purpose in ("to", "from")
    )
    receivers = picked.withColumn(_POSITION, F.row_number().over(here)).select(*identity, _MOVED, _POSITION)
    givers = picked.withColumn(_POSITION, F.row_number().over(there)).select(
        _MOVED, _POSITION, _VALUE, F.lit(True).alias(_TARGET)
    )
    return receivers.join(givers, [_MOVED, _POSITION]).drop(_MOVED, _POSITION)
