"""The table of publications: one appended row is what publishes. [spark]

It holds publications only; the row with the highest number names the run that the views show.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.columns import PUBLICATION, RUN_ID
from synth_spark.errors import ContractError

SCHEMA = (
    "publication BIGINT, run_id STRING, published_at TIMESTAMP, codebook_fingerprint STRING, model_digest STRING, "
    "subjects BIGINT, events BIGINT, gate STRING, forced BOOLEAN, failed_criteria ARRAY<STRING>, "
    "figures MAP<STRING, DOUBLE>"
)
# Serializable: two writers that both read number 6 as the highest cannot both add number 7
PROPERTIES = {
    "delta.isolationLevel": "Serializable",
    "delta.appendOnly": "true",
    "delta.enableDeletionVectors": "false",
}
_ATTEMPTS = 20  # of concurrent publications, each attempt loses to one that succeeded


@dataclass(frozen=True)
class Publication:
    """What is said of a published run; its number and time are given by the table."""

    run_id: str
    codebook_fingerprint: str
    model_digest: str
    subjects: int
    events: int
    gate: str  # passed, failed or undecided
    forced: bool
    failed_criteria: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A row of the table."""

    number: int
    run_id: str


def newest(spark: SparkSession, path: Path) -> Published | None:
    """The publication that the views show; None before the first."""
    if not tables.exists(spark, path):
        return None
    row = tables.read_table(spark, path).select(PUBLICATION, RUN_ID).orderBy(F.col(PUBLICATION).desc()).first()
    return Published(row[PUBLICATION], row[RUN_ID]) if row is not None else None


def is_published(spark: SparkSession, path: Path, run_id: str) -> bool:
    """Whether the run was ever published, so that its rows must stay as they are."""
    if not tables.exists(spark, path):
        return False
    return bool(tables.read_table(spark, path).where(F.col(RUN_ID) == run_id).head(1))


def append(spark: SparkSession, path: Path, publication: Publication) -> Published:
    """Add the row under the next number, which no other publication gets.

    Raises:
        ContractError: others published again and again meanwhile.
    """
    _create(spark, path)
    for _ in range(_ATTEMPTS):
        last = newest(spark, path)
        number = last.number + 1 if last else 1
        try:
            _insert_if_free(spark, path, _row(spark, number, publication))
        except Exception as error:
            if not tables.is_conflict(error):
                raise
            continue
        if _holders(spark, path, number) == [publication.run_id]:
            return Published(number, publication.run_id)
    raise ContractError(f"table {path}: {_ATTEMPTS} other publications came first; run publish again")


def _create(spark: SparkSession, path: Path) -> None:
    pairs = ", ".join(f"'{key}' = '{value}'" for key, value in PROPERTIES.items())
    spark.sql(f"CREATE TABLE IF NOT EXISTS {tables.identifier(path)} ({SCHEMA}) USING delta TBLPROPERTIES ({pairs})")


def _row(spark: SparkSession, number: int, publication: Publication) -> DataFrame:
    values: dict[str, Any] = {PUBLICATION: number, "published_at": datetime.now(UTC), **asdict(publication)}
    return spark.createDataFrame([values], SCHEMA)


def _insert_if_free(spark: SparkSession, path: Path, row: DataFrame) -> None:
    """Insert unless the number is taken; a concurrent insert of the same number makes one of the two fail."""
    from delta.tables import DeltaTable

    target = DeltaTable.forPath(spark, str(path)).alias("t")
    target.merge(row.alias("s"), f"t.{PUBLICATION} = s.{PUBLICATION}").whenNotMatchedInsertAll().execute()


def _holders(spark: SparkSession, path: Path, number: int) -> list[str]:
    rows = tables.read_table(spark, path).where(F.col(PUBLICATION) == number).select(RUN_ID).collect()
    return [row[RUN_ID] for row in rows]
