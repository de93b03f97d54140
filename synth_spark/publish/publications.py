"""The table of publications: one appended row is what publishes. [spark]

It holds publications only; the row with the highest number names the run that the views show.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.columns import PUBLICATION, RUN_ID
from synth_spark.errors import ContractError
from synth_spark.places import Place

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
COMMENT = "Publications of synthetic runs; the row with the highest number names the run that the views show."
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


def newest(spark: SparkSession, place: Place) -> Published | None:
    """The publication that the views show; None before the first."""
    if not tables.exists(spark, place):
        return None
    row = tables.read_table(spark, place).select(PUBLICATION, RUN_ID).orderBy(F.col(PUBLICATION).desc()).first()
    return Published(row[PUBLICATION], row[RUN_ID]) if row is not None else None


def is_published(spark: SparkSession, place: Place, run_id: str) -> bool:
    """Whether the run was ever published, so that its rows must stay as they are."""
    if not tables.exists(spark, place):
        return False
    return bool(tables.read_table(spark, place).where(F.col(RUN_ID) == run_id).head(1))


def append(spark: SparkSession, place: Place, publication: Publication) -> Published:
    """Add the row under the next number, which no other publication gets.

    Raises:
        ContractError: others published again and again meanwhile.
    """
    tables.ensure_table(spark, place, SCHEMA, PROPERTIES, COMMENT)
    for _ in range(_ATTEMPTS):
        last = newest(spark, place)
        number = last.number + 1 if last else 1
        try:
            tables.insert_if_free(_row(spark, number, publication), place, PUBLICATION)
        except Exception as error:
            if not tables.is_conflict(error):
                raise
            continue
        if _holders(spark, place, number) == [publication.run_id]:
            return Published(number, publication.run_id)
    raise ContractError(f"table {place}: {_ATTEMPTS} other publications came first; run publish again")


def _row(spark: SparkSession, number: int, publication: Publication) -> DataFrame:
    values: dict[str, Any] = {PUBLICATION: number, "published_at": datetime.now(UTC), **asdict(publication)}
    return spark.createDataFrame([values], SCHEMA)


def _holders(spark: SparkSession, place: Place, number: int) -> list[str]:
    rows = tables.read_table(spark, place).where(F.col(PUBLICATION) == number).select(RUN_ID).collect()
    return [row[RUN_ID] for row in rows]
