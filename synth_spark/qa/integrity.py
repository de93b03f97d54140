"""Counts that must be zero, or equal a plan: rows, keys, references, order. [spark]"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy.stats import binomtest

from synth_spark.codebook import Codebook, SourceTable
from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories, quoted
from synth_spark.qa.pairs import uniform


def check_integrity(
    subjects: DataFrame, events: DataFrame | None, codebook: Codebook, *, planned_subjects: int, planned_events: int
) -> dict[str, float]:
    """Counts over written synthetic tables in the source's schema, by the names of QaResult.metrics().

    What the data's shape has no place for is left out: keys of rows without a key, events of flat data.

    Args:
        events: as read from storage, not shuffled: its order is judged.
    """
    figures = _of_subjects(subjects, (codebook.subjects or _table(codebook)).key)
    figures["rows.subjects.planned"] = planned_subjects
    if events is not None:
        figures |= _of_events(events, subjects, codebook)
        figures["rows.events.planned"] = planned_events
    return {name: float(value) for name, value in figures.items()}


def _table(codebook: Codebook) -> SourceTable:
    assert codebook.events is not None, "there are events"
    return codebook.events


def _of_subjects(subjects: DataFrame, key: str | None) -> dict[str, int]:
    """Rows, and those beyond the first of their key, null keys included."""
    if key is None:
        return {"rows.subjects": subjects.count()}
    numbers = subjects.agg(F.count(F.lit(1)), F.countDistinct(F.col(quoted(key)))).first()
    assert numbers is not None, "an aggregate without groups has one row"
    return {"rows.subjects": numbers[0], "duplicate_keys": numbers[0] - numbers[1]}


def _of_events(events: DataFrame, subjects: DataFrame, codebook: Codebook) -> dict[str, int]:
    """Rows, those whose key is not in subjects, and those that are out of order."""
    table = _table(codebook)
    own, key = table.key or "", (codebook.subjects or table).key or ""
    keys = subjects.select(F.col(quoted(key)).alias(SUBJECT_KEY)).distinct()
    event_keys = events.select(F.col(quoted(own)).alias(SUBJECT_KEY))
    if table.order_by is not None:
        violations = order_violations(events, key=own, order_by=table.order_by)
    else:
        violations = position_violations(events, key=own, position=table.stored_order or "")
    return {
        "rows.events": event_keys.count(),
        "orphans": event_keys.join(keys, SUBJECT_KEY, "left_anti").count(),
        "order_violations": violations,
    }


def position_violations(events: DataFrame, *, key: str, position: str) -> int:
    """Number of events whose position is not 1, 2, ... in its history, wherever they are stored."""
    place = F.col(quoted(position))
    expected = F.row_number().over(Window.partitionBy(F.col(quoted(key))).orderBy(place))
    wrong = events.select((~place.eqNullSafe(expected)).alias("wrong"))
    return wrong.where("wrong").count()


def order_violations(events: DataFrame, *, key: str, order_by: str) -> int:
    """Number of neighbours in storage with the same key and a smaller order value in the second.

    Each task looks at the rows that it reads, in the order in which they are stored.
    """
    rows = events.select(F.col(quoted(key)).alias("key"), F.col(quoted(order_by)).alias("order_value"))
    found = rows.mapInArrow(_count_decreases(), "num bigint").agg(F.sum("num")).first()
    return int(found[0] or 0) if found else 0


def _count_decreases() -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def count(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        total, tail = 0, None
        for batch in batches:
            table = pa.Table.from_batches([batch])
            if tail is not None:
                table = pa.concat_tables([tail, table])
            keys, order = table["key"].combine_chunks(), table["order_value"].combine_chunks()
            size = len(table)
            if size > 1:
                same = pc.equal(keys.slice(1), keys.slice(0, size - 1))
                less = pc.less(order.slice(1), order.slice(0, size - 1))
                total += pc.sum(pc.and_(same, less)).as_py() or 0
            tail = table.slice(size - 1)
        yield pa.RecordBatch.from_pydict({"num": pa.array([total], pa.int64())})

    return count


def history_digests(histories: Histories) -> DataFrame:
    """One row per subject: `digest` of all its values, key left out, in the order of its history; `draw` in [0, 1)."""
    values = sorted(name for name in histories.events.columns if name not in (SUBJECT_KEY, EVENT_INDEX))
    texts = [F.coalesce(F.col(quoted(name)).cast("string"), F.lit("\x00")) for name in values]
    row = F.struct(F.col(EVENT_INDEX), F.concat_ws("\x1f", *texts).alias("text"))
    history = histories.events.groupBy(SUBJECT_KEY).agg(F.array_sort(F.collect_list(row))["text"].alias("history"))
    attributes = sorted(name for name in histories.subjects.columns if name != SUBJECT_KEY)
    own = F.concat_ws("\x1f", *(F.coalesce(F.col(quoted(name)).cast("string"), F.lit("\x00")) for name in attributes))
    joined = histories.subjects.withColumn("own", own).select(SUBJECT_KEY, "own").join(history, SUBJECT_KEY, "left")
    digest = F.sha2(F.concat_ws("\x1e", "own", F.concat_ws("\x1d", "history")), 256)
    return joined.select(digest.alias("digest"), uniform(0, "digest", F.col(SUBJECT_KEY).cast("string")).alias("draw"))


def identical_share(queries: DataFrame, references: DataFrame) -> float:
    """Share of query digests that occur among the reference digests."""
    found = queries.join(references.select("digest").distinct().withColumn("known", F.lit(1)), "digest", "left")
    numbers = found.agg(F.count("*"), F.count("known")).first()
    return float(numbers[1] / numbers[0]) if numbers and numbers[0] else 0.0


def identical_figures(training: DataFrame, holdout: DataFrame, synthetic: DataFrame) -> dict[str, float]:
    """identical_share.*: how many synthetic subjects occur in training, in holdout, and of holdout in training.

    identical_share.only_training, .only_holdout: different histories that synthetic subjects share with one of them
    and not with the other, both cut to the same number of subjects; .p: chance of so many or more from training,
    where a history is as likely in either (exact binomial test; a history counts once, however many have it).

    Args:
        training, holdout, synthetic: history_digests, worth persisting.
    """
    figures = {
        "identical_share.training": identical_share(synthetic, training),
        "identical_share.holdout": identical_share(synthetic, holdout),
        "identical_share.control": identical_share(holdout, training),
    }
    sizes = training.count(), holdout.count()
    if not min(sizes):
        return figures
    sides = [
        table.where(F.col("draw") < min(sizes) / size).select("digest").distinct().withColumn(name, F.lit(1))
        for name, table, size in zip(("first", "second"), (training, holdout), sizes, strict=True)
    ]
    known = synthetic.select("digest").distinct().join(sides[0], "digest", "left").join(sides[1], "digest", "left")
    one = known.select(
        (F.col("first").isNotNull() & F.col("second").isNull()).cast("int").alias("training"),
        (F.col("first").isNull() & F.col("second").isNotNull()).cast("int").alias("holdout"),
    )
    row = one.agg(F.sum("training"), F.sum("holdout")).first()
    only_training, only_holdout = (int(number or 0) for number in row) if row else (0, 0)
    total = only_training + only_holdout
    p_value = float(binomtest(only_training, total, alternative="greater").pvalue) if total else 1.0
    return figures | {
        "identical_share.only_training": float(only_training),
        "identical_share.only_holdout": float(only_holdout),
        "identical_share.p": p_value,
    }
