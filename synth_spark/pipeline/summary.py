"""What the line says before and after its work, as plain text or, on a terminal, as a table. [plain]"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from synth_spark.columns import EVENTS_TABLE, SUBJECTS_TABLE
from synth_spark.config import Config
from synth_spark.errors import GateFailed
from synth_spark.pipeline.runs import STAGES, RunState
from synth_spark.qa_result import MET, QaResult
from synth_spark.workspace import RunPaths, Workspace

_WHAT = {
    "encode": "read the source, split by subject, protect rare values, encode",
    "train": "learn the sequence model, stop when validation gets no better",
    "sample": "draw synthetic histories from the model",
    "decode": "turn them into tables with the source's schema",
    "qa": "measure accuracy and privacy, write the report",
    "publish": "check the gate, turn the views to this run",
}


@dataclass(frozen=True)
class Row:
    """One line of the final table."""

    what: str
    value: str
    remark: str = ""


def tell_plan(config: Config, workspace: Workspace, state: RunState, reason: str) -> None:
    """Before work: which run, why this one, what will be done and what is done already."""
    say(f"run {state.run_id} ({reason})")
    say(f"  workspace {workspace.root}")
    for stage in STAGES:
        mark = "done" if state.is_done(stage) else "to do"
        say(f"  {stage:<8} {mark:<6} {_WHAT[stage]}")


def tell_summary(
    config: Config, workspace: Workspace, paths: RunPaths, state: RunState, *, seconds: float, tracking: str
) -> None:
    """After work: times, rows, quality, privacy, gate; where the report is, how to query, how to open MLflow."""
    tell_table(f"run {state.run_id}", list(summary_rows(state, seconds)))
    if state.is_done("qa"):
        tell_gate(paths)
    if paths.report.exists():
        say(f"\nReport       {paths.report}")
    if state.is_done("publish"):
        say(f"\nQuery the synthetic tables, from Python:\n{query_snippet(config, workspace)}")
    # whose server it is knows where to look; a database in the workspace needs one
    place = f"mlflow ui --backend-store-uri {shlex.quote(tracking)}" if tracking.startswith("sqlite:") else tracking
    say(f"\nOpen MLflow  {place}   (experiment {config.name})")


def summary_rows(state: RunState, seconds: float) -> Iterable[Row]:
    """Rows of the final table; `seconds` is this process's life so far."""
    yield from stage_rows(state)
    yield Row("Spark and start-up", f"{state.start_up_seconds:.1f} s", "")
    yield Row("this command", f"{seconds:.1f} s", f"peak memory {state.peak_memory_bytes / 2**30:.1f} GiB")
    yield from quality_rows(state)


def stage_rows(state: RunState) -> Iterable[Row]:
    """Each stage's time, and what it made, or how it ended."""
    for stage, record in state.stages.items():
        ended = f"{record.status}: {record.error}" if record.error else record.status
        yield Row(stage, f"{record.seconds:.1f} s", _remark(state, stage) if state.is_done(stage) else ended)


def quality_rows(state: RunState) -> Iterable[Row]:
    """The figures that say most of a run, as far as it is judged, and the gate."""
    figures = state.figures_of("qa")
    if figures:
        yield Row(
            "accuracy",
            _number(figures, "accuracy.overall"),
            f"of {_number(figures, 'accuracy.overall.ceiling')} possible",
        )
        yield Row("discriminator AUC", _number(figures, "auc_event"), "0.5 is best")
        error = figures.get("dcr_share.standard_error")
        beside = f"+- {error:.4f}; 0.5 or less: no closer to training than to holdout" if error is not None else ""
        yield Row("privacy smoke test", _number(figures, "dcr_share"), beside)
        if "membership.auc" in figures:
            interval = " to ".join(_number(figures, f"membership.auc.{end}") for end in ("low", "high"))
            yield Row("membership attack", _number(figures, "membership.auc"), f"{interval}; 0.5 is guessing")
        yield Row("looks at the holdout", str(figures["qa.evaluations"]), "the more, the less a pass proves")
    yield Row("gate", *_gate(state))


def tell_gate(paths: RunPaths) -> None:
    """Every criterion of the gate with its value, interval, limit and reason."""
    result = QaResult.load(paths.qa)
    met = sum(item.mark == MET for item in result.gate)
    say(f"\nGate {result.verdict}: {met} of {len(result.gate)} criteria met")
    for item in result.gate:
        say(f"  {item.mark:<10} {item.name:<32} {item.reason}")


def query_snippet(config: Config, workspace: Workspace) -> str:
    """Lines to paste into a Python session."""
    table = EVENTS_TABLE if config.source.event_table else SUBJECTS_TABLE
    by_view = (
        "    from synth_spark.workspace import Workspace\n"
        f"    spark = get_spark(workspace=Workspace.at({str(workspace.root)!r}), catalog=True)\n"
        f"    spark.sql('SELECT * FROM {workspace.views.view(table)}').show()"
    )
    if workspace.views.catalog is not None:
        return "    from synth_spark.session import get_spark\n" + by_view
    return (
        "    import synth_spark\n"
        "    from synth_spark.session import get_spark\n"
        f"    {table} = synth_spark.read_published(get_spark(), {str(workspace.root)!r}, {table!r})\n"
        f"    {table}.show()\n"
        "  or through the catalog's views:\n" + by_view
    )


def next_command(run_id: str, stage: str, config: Path) -> str:
    """What goes on after a stage; empty after the last one."""
    index = STAGES.index(stage) + 1
    return f"synth-spark {STAGES[index]} {config} --run {run_id}" if index < len(STAGES) else ""


def say(text: str) -> None:
    """One line to the user."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _remark(state: RunState, stage: str) -> str:
    figures = state.stages[stage].figures
    if stage == "train" and "epochs" in figures:
        speed = figures.get("train.events_per_second")
        return f"{figures['epochs']} epochs" + (f", {speed:,.0f} events/s" if speed else "")
    if stage == "encode" and "subjects.training" in figures:
        events = figures.get("events.training")
        return f"{figures['subjects.training']:,} training subjects" + (f", {events:,} events" if events else "")
    if stage in ("sample", "decode", "publish") and "subjects" in figures:
        events = figures.get("events")
        return f"{figures['subjects']:,} subjects" + (f", {events:,} events" if events else "")
    return ""


def _gate(state: RunState) -> tuple[str, str]:
    figures = state.figures_of("publish")
    if figures:
        forced = ", published by force" if figures.get("forced") else ""
        return str(figures["gate"]), f"publication {figures['publication']}{forced}"
    if state.refused:
        failed = state.stages["publish"].error == GateFailed.__name__
        return ("failed" if failed else "undecided"), "nothing was published"
    if "gate" in state.figures_of("qa"):
        return str(state.figures_of("qa")["gate"]), "not published"
    return "not reached", ""


def _number(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.4f}" if isinstance(figures.get(name), float) else "-"


def tell_table(title: str, rows: list[Row]) -> None:
    """A table of three columns: what, value to the right, remark."""
    if not sys.stdout.isatty():
        say("")
        say(title)
        for row in rows:
            say(f"  {row.what:<20} {row.value:>10}  {row.remark}".rstrip())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for column, justify in (("what", "left"), ("value", "right"), ("remark", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(row.what, row.value, row.remark)
    Console().print(table)
