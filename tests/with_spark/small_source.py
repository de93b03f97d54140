"""Small Parquet sources and their configs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.config import Config, parse_config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def write(spark: SparkSession, folder: Path, rows: list[Any], schema: str, table: str = "events") -> None:
    """One of the tables `events` and `subjects`."""
    spark.createDataFrame(rows, schema).coalesce(1).write.mode("overwrite").parquet(str(folder / table))


def events_config(
    folder: Path,
    *,
    subjects: bool | dict[str, Any] = False,
    events: dict[str, Any] | None = None,
    split: dict[str, Any] | None = None,
    **policies: Any,
) -> Config:
    """Events with key `id` and clock `at`; subjects with key `id`; both with changes of their settings."""
    given = {"path": str(folder / "events"), "format": "parquet", "key": "id", "order_by": "at", **(events or {})}
    source: dict[str, Any] = {"events": [given], "policies": policies}
    if subjects:
        changes = subjects if isinstance(subjects, dict) else {}
        source["subjects"] = {"path": str(folder / "subjects"), "format": "parquet", "key": "id", **changes}
    return parse_config({"name": "t", "source": source, "split": split or {}}, origin="t")


def flat_config(folder: Path, *, split: dict[str, Any] | None = None, **subjects: Any) -> Config:
    """Subjects without events, and without a key unless it is given."""
    given = {"path": str(folder / "subjects"), "format": "parquet", **subjects}
    return parse_config({"name": "t", "source": {"subjects": given}, "split": split or {}}, origin="t")
