"""Subjects -> training, validation, holdout, or none of them, and their opaque numbers. [spark]

All come from HMAC-SHA256(salt, seed, purpose, key): whoever lacks the salt cannot recompute them from a key, and a
subject keeps its split when the table grows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark.columns import HOLDOUT, SPLIT, SPLITS, SUBJECT_KEY, SUBJECT_NUMBER, TRAINING, VALIDATION
from synth_spark.config import SplitSettings
from synth_spark.histories import Histories
from synth_spark.source.read import Source

BLOCK = 64  # bytes of a SHA-256 block
SPLIT_DIGITS = 12  # hex digits of the digest that decide the split
BUCKET_DIGITS = 3  # hex digits after them that open the order of subject numbers
SHARE_FROM = 53  # of 64 hex digits, the last SPLIT_DIGITS decide who takes part


def pads(salt: bytes) -> tuple[bytes, bytes]:
    """Inner and outer key block of HMAC."""
    key = (hashlib.sha256(salt).digest() if len(salt) > BLOCK else salt).ljust(BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in key), bytes(byte ^ 0x5C for byte in key)


def keyed_digest(rows: DataFrame, *, salt: bytes, seed: int, purpose: str, column: str, into: str) -> DataFrame:
    """The rows with `into`: HMAC-SHA256 of (seed, purpose, column as text) as 64 hex digits.

    The salt travels as a broadcast row, so that it stands in no query plan.
    """
    spark = rows.sparkSession
    inner, outer = pads(salt)
    keys = spark.createDataFrame([(bytearray(inner), bytearray(outer))], "__inner binary, __outer binary")
    message = F.concat_ws("\x1f", F.lit(str(seed)), F.lit(purpose), F.col(column).cast("string")).cast("binary")
    first = F.unhex(F.sha2(F.concat(F.col("__inner"), message), 256))
    digest = F.sha2(F.concat(F.col("__outer"), first), 256)
    return rows.crossJoin(F.broadcast(keys)).withColumn(into, digest).drop("__inner", "__outer")


def split_subjects(source: Source, *, salt: bytes, seed: int, split: SplitSettings) -> DataFrame:
    """One row per subject: SUBJECT_KEY, SPLIT, SUBJECT_NUMBER (0..n-1: training, then validation, then holdout).

    Subjects that the source marks are the holdout; without marks a share of all is. Who takes no part has no row.
    """
    keys = source.histories.subjects.select(SUBJECT_KEY)
    bucket = F.conv(F.substring("__digest", SPLIT_DIGITS + 1, BUCKET_DIGITS), 16, 10).cast("int")
    drawn = _drawn(keys, source.held_out, salt=salt, seed=seed, split=split)
    placed = drawn.withColumn("__bucket", bucket)
    offsets = _offsets(placed)
    return placed.join(F.broadcast(offsets), ["__order", "__bucket"]).select(
        SUBJECT_KEY,
        F.element_at(F.array(*(F.lit(name) for name in SPLITS)), F.col("__order") + 1).alias(SPLIT),
        (
            F.col("__offset")
            + F.expr(
                "row_number() OVER (PARTITION BY __order, __bucket "
                f"ORDER BY substring(__digest, {SPLIT_DIGITS + 1}), {SUBJECT_KEY}) - 1"
            )
        )
        .cast("bigint")
        .alias(SUBJECT_NUMBER),
    )


def count_by_split(
    keys: DataFrame, held_out: DataFrame | None, *, salt: bytes, seed: int, split: SplitSettings
) -> dict[str, int]:
    """How many of these subjects (SUBJECT_KEY) fall into each split; `held_out` as in Source. Others took no part."""
    drawn = _drawn(keys, held_out, salt=salt, seed=seed, split=split)
    found = {row["__order"]: row["count"] for row in drawn.groupBy("__order").count().collect()}
    return {name: found.get(order, 0) for order, name in enumerate(SPLITS)}


def of_split(histories: Histories, assignment: DataFrame, splits: Sequence[str]) -> Histories:
    """The histories of the subjects in the given splits."""
    chosen = assignment.where(F.col(SPLIT).isin(*splits)).select(SUBJECT_KEY)
    return Histories(
        subjects=histories.subjects.join(chosen, SUBJECT_KEY, "left_semi"),
        events=histories.events.join(chosen, SUBJECT_KEY, "left_semi"),
    )


def _drawn(keys: DataFrame, held_out: DataFrame | None, *, salt: bytes, seed: int, split: SplitSettings) -> DataFrame:
    """SUBJECT_KEY, __digest, __order (place of the split in SPLITS)."""
    digests = keyed_digest(keys, salt=salt, seed=seed, purpose="split", column=SUBJECT_KEY, into="__digest")
    if split.share < 1:
        digests = digests.where(_place(SHARE_FROM) < int(split.share * 16**SPLIT_DIGITS))
    order = _split_order(split.validation, holdout=split.holdout)
    if held_out is not None:
        digests = digests.join(held_out.withColumn("__held", F.lit(True)), SUBJECT_KEY, "left")
        others = _split_order(split.validation, holdout=0.0)
        order = F.when(F.col("__held"), SPLITS.index(HOLDOUT)).otherwise(others)
    return digests.select(SUBJECT_KEY, "__digest", order.alias("__order"))


def _split_order(validation: float, *, holdout: float) -> Column:
    whole = 16**SPLIT_DIGITS
    held = int(holdout * whole)
    validating = held + int((1 - holdout) * validation * whole)
    place = _place(1)
    order = {name: i for i, name in enumerate(SPLITS)}
    return F.when(place < held, order[HOLDOUT]).when(place < validating, order[VALIDATION]).otherwise(order[TRAINING])


def _place(first: int) -> Column:
    """The digest's SPLIT_DIGITS from the first one on as a number below 16**SPLIT_DIGITS."""
    return F.conv(F.substring("__digest", first, SPLIT_DIGITS), 16, 10).cast("bigint")


def _offsets(placed: DataFrame) -> DataFrame:
    """(__order, __bucket, __offset): how many subjects come before; at most 3 x 4,096 rows."""
    spark: SparkSession = placed.sparkSession
    counted = placed.groupBy("__order", "__bucket").agg(F.count(F.lit(1)).alias("n")).collect()
    rows, before = [], 0
    for row in sorted(counted, key=lambda row: (row["__order"], row["__bucket"])):
        rows.append((row["__order"], row["__bucket"], before))
        before += row["n"]
    return spark.createDataFrame(rows, "__order int, __bucket int, __offset bigint")
