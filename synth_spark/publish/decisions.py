"""The table of decisions: every look at a holdout, every verdict, every publication or refusal. [spark]

It only grows. Figures of QA are rows of it before anybody sees them, so that nobody can look at a holdout uncounted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.places import Place
from synth_spark.qa_result import Criterion

QA, PUBLISH = "qa", "publish"
PUBLISHED, FORCED, REFUSED = "published", "forced", "refused"
_CRITERION = "name STRING, value DOUBLE, low DOUBLE, high DOUBLE, limit DOUBLE, mark STRING, reason STRING"
SCHEMA = (
    "decided_at TIMESTAMP, run_id STRING, stage STRING, decision STRING, holdout STRING, evaluation INT, "
    f"criteria ARRAY<STRUCT<{_CRITERION.replace(' STRING', ': STRING').replace(' DOUBLE', ': DOUBLE')}>>"
)
PROPERTIES = {"delta.appendOnly": "true", "delta.enableDeletionVectors": "false"}
COMMENT = "Every look at a holdout, every verdict, every publication or refusal; it only grows."


@dataclass(frozen=True)
class Decision:
    """A row of the table, but for its time."""

    run_id: str
    stage: str  # QA or PUBLISH
    decision: str  # of QA the verdict: passed, failed, undecided; of PUBLISH published, forced or refused
    holdout: str  # names the subjects that were held out
    evaluation: int  # how many times figures against this holdout have been made, this one included
    criteria: tuple[Criterion, ...]


def evaluations(spark: SparkSession, place: Place, holdout: str) -> int:
    """How many times figures against a holdout have been made."""
    if not tables.exists(spark, place):
        return 0
    known = tables.read_table(spark, place)
    return known.where((F.col("stage") == QA) & (F.col("holdout") == holdout)).count()


def is_noted(spark: SparkSession, place: Place, run_id: str) -> bool:
    """Whether the last decision of publishing a run is that it is."""
    if not tables.exists(spark, place):
        return False
    known = tables.read_table(spark, place).where((F.col("stage") == PUBLISH) & (F.col("run_id") == run_id))
    last = known.orderBy(F.desc("decided_at")).select("decision").first()
    return last is not None and last[0] in (PUBLISHED, FORCED)


def record(spark: SparkSession, place: Place, decision: Decision) -> None:
    """Append a decision."""
    tables.ensure_table(spark, place, SCHEMA, PROPERTIES, COMMENT)
    row: dict[str, Any] = {"decided_at": datetime.now(UTC), **asdict(decision)}
    row["criteria"] = [{**asdict(item), "mark": item.mark} for item in decision.criteria]
    tables.append_rows(spark.createDataFrame([row], SCHEMA), place)
