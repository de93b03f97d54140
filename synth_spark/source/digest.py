"""A digest of a table's content that does not depend on partitioning or row order. [spark]"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from synth_spark.histories import quoted

_SHIFTS = (0, 22, 44)
_MASK = 2**22 - 1


def content_digest(rows: DataFrame) -> str:
    """32 hex digits over schema and rows; exact integer arithmetic (sums of row hashes)."""
    columns = [F.col(quoted(name)) for name in rows.columns]
    # a null leaves xxhash64 as it was, so (null, 1) and (1, null) would be alike without the flags
    row_hash = F.xxhash64(*columns, *(column.isNull() for column in columns)) if columns else F.lit(0)
    hashes = rows.select(row_hash.alias("h")).select("h", F.xxhash64("h").alias("mixed"))
    row = hashes.agg(F.count(F.lit(1)), *_parts("h"), *_parts("mixed")).first()
    assert row is not None, "an aggregate without groups has one row"
    number, totals = row[0], [_sum(row[first : first + len(_SHIFTS)]) for first in (1, 1 + len(_SHIFTS))]
    content = "\x1f".join([rows.schema.simpleString(), *map(str, (number, *(totals if number else (None, None))))])
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:32]


def _parts(name: str) -> list[Column]:
    """Sums of the low, middle and high bits of a BIGINT: no sum leaves the long's range below 2**41 rows."""
    column = F.col(name)
    low, middle = column.bitwiseAND(_MASK), F.shiftright(name, _SHIFTS[1]).bitwiseAND(_MASK)
    return [F.sum(part) for part in (low, middle, F.shiftright(name, _SHIFTS[2]))]


def _sum(parts: Sequence[int | None]) -> int:
    return sum((part or 0) << shift for part, shift in zip(parts, _SHIFTS, strict=True))
