"""A digest of a table's content that does not depend on partitioning or row order. [spark]"""

from __future__ import annotations

import hashlib

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.histories import quoted


def content_digest(rows: DataFrame) -> str:
    """32 hex digits over schema and rows; exact integer arithmetic (a sum of row hashes in DECIMAL(38))."""
    columns = [F.col(quoted(name)) for name in rows.columns]
    # a null leaves xxhash64 as it was, so (null, 1) and (1, null) would be alike without the flags
    row_hash = F.xxhash64(*columns, *(column.isNull() for column in columns)) if columns else F.lit(0)
    row = (
        rows.select(row_hash.alias("h"))
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.sum(F.col("h").cast("decimal(38,0)")).alias("total"),
            F.sum(F.xxhash64("h").cast("decimal(38,0)")).alias("mixed"),
        )
        .first()
    )
    content = "\x1f".join([rows.schema.simpleString(), *(str(value) for value in (row or ()))])
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:32]
