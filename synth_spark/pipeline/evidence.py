"""The qa stage as the line runs it: counted, attacked, judged, recorded, and only then disclosed. [spark;
attacks load torch when they begin]"""

from __future__ import annotations

import hashlib
import json
import time
from functools import partial
from typing import TYPE_CHECKING

from synth_spark.columns import DECISIONS_TABLE
from synth_spark.config import Config
from synth_spark.errors import GateFailed, GateUndecided
from synth_spark.logs import stage_logger
from synth_spark.pipeline.canaries import canary_figures
from synth_spark.pipeline.reports import write_report
from synth_spark.pipeline.runs import Figures
from synth_spark.publish.decisions import (
    FORCED,
    PUBLISH,
    PUBLISHED,
    QA,
    REFUSED,
    Decision,
    evaluations,
    is_noted,
    record,
)
from synth_spark.publish.stage import run_publish
from synth_spark.qa.stage import Attackers, run_qa
from synth_spark.qa_result import QaResult

if TYPE_CHECKING:
    from synth_spark.pipeline.opened import OpenRun


def evaluate(run: OpenRun) -> Figures:
    """Make the run's QA result and report; the look at the holdout is a row of the table of decisions before.

    Returns:
        QaResult.metrics(), qa.seconds, qa.evaluations (against this holdout so far), and the report's figures.

    Raises:
        GateUndecided: the holdout was looked at qa.max_evaluations times already, or there is nothing to compare.
        ContractError: the source is not the one that was encoded, or a table is missing.
    """
    from synth_spark.attack.likelihood import subject_nats
    from synth_spark.attack.profiles import fit_profiles

    started = time.perf_counter()
    decisions, holdout = run.workspace.published / DECISIONS_TABLE, holdout_name(run.config)
    number = evaluations(run.spark, decisions, holdout) + 1
    if number > run.config.qa.max_evaluations:
        seeded = run.config.split.holdout_where is None
        other = "choose another seed" if seeded else "mark other rows by split.holdout_where"
        raise GateUndecided(
            f"qa.max_evaluations: the holdout of {run.config.name} was judged against {number - 1} times already, so a "
            f"pass would prove little; {other}, which makes a new holdout and trains anew, or raise it"
        )
    result = run_qa(
        run.spark,
        run.config,
        run.paths,
        salt=run.workspace.salt(),
        published=run.workspace.published,
        attackers=Attackers(subject_nats, fit_profiles),
        measure=partial(canary_figures, run),
        source_versions=run.state.source_versions,
    )
    record(run.spark, decisions, Decision(run.paths.run_id, QA, result.verdict, holdout, number, result.gate))
    stage_logger(QA).info("overall accuracy %.4f, gate %s", result.figures["accuracy.overall"], result.verdict)
    result.save(run.paths.qa)
    figures: Figures = {**result.metrics(), "qa.seconds": time.perf_counter() - started, "qa.evaluations": number}
    return {**figures, "gate": result.verdict, **write_report(run.workspace, run.paths, run.state, looks=number)}


def publish(run: OpenRun, *, force: bool) -> Figures:
    """Publish, and record that, or that it was refused.

    Raises:
        GateFailed, GateUndecided: refused; the views are as they were.
        ContractError: see run_publish.
    """

    def noted(forced: bool, repeated: bool) -> None:
        decisions = run.workspace.published / DECISIONS_TABLE
        if not repeated or not is_noted(run.spark, decisions, run.paths.run_id):
            _record(run, FORCED if forced else PUBLISHED)

    try:
        figures: Figures = run_publish(run.spark, run.workspace, run.paths, force=force, noted=noted)
    except (GateFailed, GateUndecided):
        _record(run, REFUSED)
        raise
    run.state.publication = figures["publication"]
    return figures


def _record(run: OpenRun, decision: str) -> None:
    """What became of a publication, with the criteria that were known."""
    decisions, holdout = run.workspace.published / DECISIONS_TABLE, holdout_name(run.config)
    criteria = QaResult.load(run.paths.qa).gate if run.paths.qa.exists() else ()
    number = evaluations(run.spark, decisions, holdout)
    record(run.spark, decisions, Decision(run.paths.run_id, PUBLISH, decision, holdout, number, criteria))


def holdout_name(config: Config) -> str:
    """Names the subjects that are held out of this data set in its workspace: what the split is drawn from.

    Not from the source's content: where it grows, the subjects that were held out before still are. Nor from the share
    that takes part, or that validates: another one is another part of the same people.
    """
    split, tables = config.split, (config.source.subjects, config.source.event_table)
    drawn_by = [split.holdout_where] if split.holdout_where is not None else [config.seed, split.holdout]
    drawn_from = [[table.place for table in tables if table is not None], drawn_by]
    return hashlib.sha256(json.dumps(drawn_from, sort_keys=True).encode()).hexdigest()[:16]
