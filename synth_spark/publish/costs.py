"""The table of stages: what each stage of a run took and left, one row per stage that ended. [spark]

It is written when a run's publication is decided, and says of all runs what run.json says of one: whoever plans jobs
asks it in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.columns import RUN_ID
from synth_spark.places import Place

SCHEMA = (
    "run_id STRING, name STRING, stage STRING, started_at TIMESTAMP, seconds DOUBLE, status STRING, error STRING, "
    "run_bytes BIGINT, figures MAP<STRING, DOUBLE>, spark MAP<STRING, BIGINT>"
)
PROPERTIES = {"delta.appendOnly": "true", "delta.enableDeletionVectors": "false"}
COMMENT = "What each stage of each run took and left: seconds, bytes, figures, Spark's work; it only grows."


@dataclass(frozen=True)
class StageCost:
    """A row of the table."""

    run_id: str
    name: str  # of the data set
    stage: str
    started_at: datetime
    seconds: float
    status: str
    error: str  # its class, where the stage failed
    run_bytes: int  # of the run's folder when the stage ended
    figures: dict[str, float]
    spark: dict[str, int]  # tasks, bytes read and shuffled


def record_costs(spark: SparkSession, place: Place, run_id: str, costs: Sequence[StageCost]) -> None:
    """Append the stages of a run that the table does not hold yet; they are told apart by when they began."""
    tables.ensure_table(spark, place, SCHEMA, PROPERTIES, COMMENT)
    rows = tables.read_table(spark, place).where(F.col(RUN_ID) == run_id).select("stage", "started_at").collect()
    known = {(row["stage"], row["started_at"].timestamp()) for row in rows}
    new = [cost for cost in costs if (cost.stage, cost.started_at.timestamp()) not in known]
    if new:
        tables.append_rows(spark.createDataFrame([asdict(cost) for cost in new], SCHEMA), place)
