"""The publish stage: QA result and decoded rows in, one row in the runs table out. [spark]"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.codebook import Codebook
from synth_spark.columns import EVENTS_TABLE, NUM_EVENTS, RUN_ID, RUNS_TABLE, SUBJECTS_TABLE
from synth_spark.errors import ContractError
from synth_spark.logs import stage_logger
from synth_spark.model.facts import read_facts
from synth_spark.places import Place
from synth_spark.publish.publications import Publication, append, newest
from synth_spark.publish.verdict import read_result, require
from synth_spark.publish.views import ensure_views
from synth_spark.qa_result import QaResult
from synth_spark.workspace import RunPaths, Workspace

_KEPT_FIGURES = ("accuracy.", "dcr_share", "auc_event", "membership.")  # those that go into the runs table


def run_publish(
    spark: SparkSession, workspace: Workspace, paths: RunPaths, *, force: bool, noted: Callable[[bool, bool], None]
) -> dict[str, Any]:
    """Check the gate and the rows, then append one row to the table of runs, which turns the views to this run.

    A run that is the newest publication already stays so: nothing is written. `force` publishes against the gate
    and records that with the criteria that were not met; missing rows are never published.

    Args:
        noted: told once the row is there, before the views turn, which may fail: whether it was forced, and whether it
            was there before.

    Raises:
        GateFailed, GateUndecided: nothing was written, the views are as they were.
        ContractError: the QA result is of another run, or published rows are not those that were planned.
    """
    logger = stage_logger("publish")
    codebook = Codebook.load(paths.codebook)
    result = read_result(paths.qa, run_id=paths.run_id, fingerprint=codebook.fingerprint)
    forced = require(result, force=force)
    planned = _planned(spark, paths.sampled_sequences, codebook)
    for table, rows in planned.items():
        _check_rows(spark, workspace.published / table, paths.run_id, rows)
    runs = workspace.published / RUNS_TABLE
    shown = newest(spark, runs)
    repeated = shown is not None and shown.run_id == paths.run_id
    if shown is None or not repeated:
        shown = append(spark, runs, _publication(paths, codebook, result, planned, forced))
        logger.info("publication %d: run %s, gate %s", shown.number, paths.run_id, result.verdict)
    else:
        logger.info("run %s is publication %d already, nothing to do", paths.run_id, shown.number)
    noted(forced, repeated)
    changed = ensure_views(spark, workspace.published, workspace.views, planned)
    return {
        "publication": shown.number,
        "already_published": int(repeated),
        "gate": result.verdict,
        "forced": int(forced),
        "views_changed": len(changed),
        **planned,
    }


def _planned(spark: SparkSession, sampled: Path, codebook: Codebook) -> dict[str, int]:
    """Rows that each table must have, from the sampled sequences; flat data have subjects only."""
    sequences = tables.read_table(spark, sampled, fingerprint=codebook.fingerprint)
    row = sequences.agg(
        F.count(F.lit(1)).alias("subjects"), F.sum(F.col(NUM_EVENTS).cast("bigint")).alias("events")
    ).first()
    assert row is not None, "an aggregate without groups has one row"
    planned = {SUBJECTS_TABLE: int(row["subjects"])}
    if codebook.events is not None:
        planned[EVENTS_TABLE] = int(row["events"] or 0)
    return planned


def _check_rows(spark: SparkSession, place: Place, run_id: str, planned: int) -> None:
    found = tables.read_table(spark, place).where(F.col(RUN_ID) == run_id).count()
    if found != planned:
        raise ContractError(
            f"table {place}: {found} rows of run {run_id}, {planned} were sampled; nothing was published; "
            "run decode again"
        )


def _publication(
    paths: RunPaths, codebook: Codebook, result: QaResult, planned: dict[str, int], forced: bool
) -> Publication:
    return Publication(
        run_id=paths.run_id,
        codebook_fingerprint=codebook.fingerprint,
        model_digest=str(read_facts(paths.checkpoint / "model")["weights_sha256"]),
        subjects=planned[SUBJECTS_TABLE],
        events=planned.get(EVENTS_TABLE, 0),
        gate=result.verdict,
        forced=forced,
        failed_criteria=[f"{item.name}: {item.reason}" for item in result.unmet],
        figures={name: value for name, value in result.figures.items() if name.startswith(_KEPT_FIGURES)},
    )
