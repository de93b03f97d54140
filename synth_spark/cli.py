"""The command line. Every command loads only what it needs, so that --help is quick. [plain]"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from synth_spark.pipeline.ending import guarded
from synth_spark.pipeline.export_format import Format
from synth_spark.seeds import MOST_SUBJECTS

EXIT_CODES = """
Exit codes: 0 done; 2 wrong usage; errors to act on: 11 config, 12 environment, 13 source, 14 artifacts, 15 training;
20 gate failed, nothing published; 21 gate undecided, nothing published; 130 interrupted (SIGINT), 143 told to end
(SIGTERM), a run can go on; 1 anything unforeseen.
"""

app = typer.Typer(
    help="Learn from subjects and their events, generate synthetic ones, prove their quality, publish them.\n\n"
    "source tables -> encode -> train -> sample -> decode -> qa -> publish. 'run' walks the whole line and goes on "
    "where a broken-off run stopped; the other commands run one stage of a run.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
runs_app = typer.Typer(
    help="List, show, compare and delete the runs of a workspace. What is kept for how long: docs/runs.md.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
)
app.add_typer(runs_app, name="runs")

ConfigArgument = Annotated[Path, typer.Argument(help="YAML file of the data set, see conf/reference.yml")]
RunOption = Annotated[str | None, typer.Option("--run", help="Run to work on.", show_default="the newest")]
NewRunOption = Annotated[str | None, typer.Option("--run", help="Run to begin or work on.", show_default="a new one")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, see: synth-spark runs list.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Publish although the gate says no; it is recorded.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DebugOption = Annotated[
    bool,
    typer.Option("--debug", help="Show tracebacks, with messages that may quote data."),
]


@app.command(epilog=EXIT_CODES)
def run(
    config: ConfigArgument,
    run_id: Annotated[str | None, typer.Option("--run", "--run-id", help="A new run, or one to go on with.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin a new run, also if one is unfinished.")] = False,
    force: ForceOption = False,
    debug: DebugOption = False,
) -> None:
    """Walk the whole line: encode, train, sample, decode, qa, publish.

    Reads the source tables of CONFIG; writes into its workspace (output.root): the run's folder, the published
    tables and views, MLflow. A run that was broken off goes on with its first stage that is not done.
    """
    from synth_spark.pipeline.line import run_line

    guarded(lambda: run_line(config, run_id=run_id, fresh=fresh, force=force), debug)


@app.command(epilog=EXIT_CODES)
def init(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="A table of events or of subjects, or both: path or name.")
    ],
    output: Annotated[Path, typer.Option("--output", help="The config to write; a new file.")],
    debug: DebugOption = False,
) -> None:
    """Look at tables and write a first config, with the reason of every guess beside it.

    A SOURCE is a folder or file (Delta, Parquet, CSV with a header line) or a name in the catalog. Guessed are keys,
    order, and which columns not to learn: direct identifiers, free text, and what repeats another column.
    """
    from synth_spark.pipeline.drafting import draft

    guarded(lambda: draft(sources, output), debug)


@app.command(epilog=EXIT_CODES)
def plan(config: ConfigArgument, debug: DebugOption = False) -> None:
    """Tell what a run would do, and write nothing: rows, fields, what protection removes, sizes and times.

    Reads and fits the source as encode does, which takes as long.
    """
    from synth_spark.pipeline.planning import plan as tell_plan

    guarded(lambda: tell_plan(config), debug)


@app.command(epilog=EXIT_CODES)
def encode(config: ConfigArgument, run: NewRunOption = None, debug: DebugOption = False) -> None:
    """Begin a run: read, check, split by subject, fit the codebook, encode.

    Reads the source tables; writes codebook, sequences and manifest. Rare values are protected here, before
    anything is learned. With --run the run gets that name, or is encoded again.
    """
    _stage("encode", config, run, debug)


@app.command(epilog=EXIT_CODES)
def train(config: ConfigArgument, run: RunOption = None, debug: DebugOption = False) -> None:
    """Learn the sequence model; goes on after the last complete epoch.

    Reads sequences through the manifest; writes the checkpoint. Metrics go to MLflow while it trains.
    """
    _stage("train", config, run, debug)


@app.command(epilog=EXIT_CODES)
def sample(
    config: ConfigArgument,
    run: RunOption = None,
    subjects: Annotated[
        int | None,
        typer.Option("--subjects", min=0, max=MOST_SUBJECTS, help="Synthetic subjects.", show_default="configured"),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Draw any number of synthetic histories from a run's model, without training again.

    Reads the checkpoint; writes sampled_sequences. If the run is decoded already, its tables stay as they are: a new
    run with the same model is made, and its name is told. Fewer subjects are a prefix of more.
    """
    _stage("sample", config, run, debug, subjects=subjects)


@app.command(epilog=EXIT_CODES)
def decode(config: ConfigArgument, run: RunOption = None, debug: DebugOption = False) -> None:
    """Turn sampled sequences into tables with the source's schema.

    Reads sampled_sequences and codebook; writes the run's rows of the synthetic tables. Nothing is published yet.
    """
    _stage("decode", config, run, debug)


@app.command(epilog=EXIT_CODES)
def qa(config: ConfigArgument, run: RunOption = None, debug: DebugOption = False) -> None:
    """Measure accuracy and privacy against the holdout, and judge the gate.

    Reads source and synthetic tables; writes qa.json and report.html.
    """
    _stage("qa", config, run, debug)


@app.command(epilog=EXIT_CODES)
def publish(
    config: ConfigArgument,
    run: RunOption = None,
    force: ForceOption = False,
    debug: DebugOption = False,
) -> None:
    """Turn the published views to a run, if its gate passed.

    Reads qa.json; adds one row to the table of publications. Without a passed gate it ends with code 20 or 21 and the
    views stay as they were.
    """
    _stage("publish", config, run, debug, force=force)


@app.command(epilog=EXIT_CODES)
def report(
    config: ConfigArgument,
    run: RunOption = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="RUN RUN", help="Set two runs of the workspace side by side instead."),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Write a run's report again, or one page that compares two runs.

    Reads qa.json; writes report.html into the run's folder, or a page into the workspace's folder reports. Needs
    neither Spark nor the source. --run does not go with --compare.
    """
    if run is not None and compare is not None:
        raise typer.BadParameter("it names both runs itself, so --run says nothing more", param_hint="--compare")
    from synth_spark.pipeline.reports import compare_runs, rewrite_report

    guarded(lambda: typer.echo(compare_runs(config, *compare) if compare else rewrite_report(config, run)), debug)


@runs_app.command("list", epilog=EXIT_CODES)
def runs_list(config: ConfigArgument, debug: DebugOption = False) -> None:
    """One line per run of CONFIG's workspace, the newest last. Needs no Spark."""
    from synth_spark.pipeline.overview import tell_runs

    guarded(lambda: tell_runs(config), debug)


@runs_app.command("show", epilog=EXIT_CODES)
def runs_show(config: ConfigArgument, run: RunArgument, debug: DebugOption = False) -> None:
    """A run's stages with times, figures and errors, its sizes on disk, and where it comes from. Needs no Spark."""
    from synth_spark.pipeline.overview import tell_run

    guarded(lambda: tell_run(config, run), debug)


@runs_app.command("diff", epilog=EXIT_CODES)
def runs_diff(config: ConfigArgument, first: RunArgument, second: RunArgument, debug: DebugOption = False) -> None:
    """What differs between two runs: settings, source, software, key figures. Needs no Spark.

    For their quality side by side, as a page: synth-spark report CONFIG --compare RUN RUN.
    """
    from synth_spark.pipeline.overview import tell_differences

    guarded(lambda: tell_differences(config, first, second), debug)


@runs_app.command("delete", epilog=EXIT_CODES)
def runs_delete(
    config: ConfigArgument,
    run: RunArgument,
    yes: YesOption = False,
    debug: DebugOption = False,
) -> None:
    """Delete a run's folder and its rows in the published tables; says first what goes and what stays, and asks.

    The run that the views show is not deleted, nor one that a process works on. Its rows in the tables of
    publications and decisions stay, and so does MLflow. A deletion that was broken off can be done again.
    """
    _check_can_ask(yes)
    from synth_spark.pipeline.removal import delete_run

    guarded(lambda: delete_run(config, run, agreed=lambda: yes or typer.confirm(f"delete {run}?")), debug)


@app.command(epilog=EXIT_CODES)
def export(
    config: ConfigArgument,
    target: Annotated[Path, typer.Argument(help="The DuckDB file, or the folder of one file per table; a new one.")],
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.DUCKDB,
    debug: DebugOption = False,
) -> None:
    """Write what is published for people without Spark: one DuckDB file, or a folder of Parquet or CSV files.

    Tables subjects and events as the views show them, a dictionary of their columns, and the publication that they come
    from. Times are in UTC. In CSV a missing value is empty, an empty text is "".
    """
    from synth_spark.pipeline.exporting import export as export_tables

    guarded(lambda: export_tables(config, target, form), debug)


@app.command(epilog=EXIT_CODES)
def erase(
    keys: Annotated[Path, typer.Argument(metavar="KEYS-FILE", help="Text file, the key of one subject per line.")],
    config: ConfigArgument,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the runs that hold any of them.")] = False,
    mark: Annotated[bool, typer.Option("--mark", help="Mark them: no stage works on them again.")] = False,
    yes: YesOption = False,
    debug: DebugOption = False,
) -> None:
    """Tell which runs hold the data of some subjects, or a model that learned from them; delete or mark those runs.

    Runs keep no keys: the source is asked as each run read it (its Delta version, or its unchanged content). Where that
    cannot be told any more, a run counts as holding them. Without --delete or --mark nothing is changed.
    """
    if delete and mark:
        raise typer.BadParameter("a run that is deleted needs no mark; give one of the two", param_hint="--mark")
    _check_can_ask(yes or not (delete or mark))
    from synth_spark.pipeline.erasure import DELETE, MARK
    from synth_spark.pipeline.erasure import erase as erase_subjects

    remedy = DELETE if delete else MARK if mark else None
    guarded(lambda: erase_subjects(config, keys, remedy=remedy, agreed=lambda what: yes or typer.confirm(what)), debug)


@app.command(epilog=EXIT_CODES)
def clean(
    config: ConfigArgument,
    older_than: Annotated[
        int | None,
        typer.Option(
            "--older-than",
            metavar="HOURS",
            min=0,
            help="Retention of the published tables; Delta refuses less than their own.",
            show_default="each table's own, 168",
        ),
    ] = None,
    intermediate: Annotated[
        bool,
        typer.Option(
            "--intermediate",
            help="Also sequences and sampled sequences of runs that are judged: these cannot be trained, judged or "
            "published again then; models, reports and published rows stay.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
    debug: DebugOption = False,
) -> None:
    """Remove what no run needs: what ended processes left, and files of tables that no version within retention needs.

    A run that a process works on is left alone. Readers of the published tables and views notice nothing.
    """
    from synth_spark.pipeline.cleaning import clean as clean_workspace

    guarded(lambda: clean_workspace(config, older_than=older_than, intermediate=intermediate, dry_run=dry_run), debug)


@app.command(epilog=EXIT_CODES)
def explain(
    model: Annotated[Path, typer.Argument(help="Folder checkpoint/model of a run, whose folder `runs show` tells.")],
    debug: DebugOption = False,
) -> None:
    """Tell what is inside a model: its size, its codes, and what it learned of each column.

    Bits are what a code costs on validation subjects or events: by the model, and for those who know its marginal only.
    """
    from synth_spark.model.explain import as_text
    from synth_spark.model.explain import explain as explained

    guarded(lambda: typer.echo(as_text(explained(model))), debug)


@app.command(epilog=EXIT_CODES)
def doctor(
    config: Annotated[
        Path | None, typer.Argument(help="Config whose workspace and reader are looked at; default: none.")
    ] = None,
    root: Annotated[Path, typer.Option("--root", help="Workspace folder to look at, where no config is given.")] = Path(
        "workspace"
    ),
) -> None:
    """Look for what would keep a run from working; each finding comes with its fix. Exit code 12 if there is any."""
    from synth_spark.config import load_config
    from synth_spark.doctor import findings
    from synth_spark.workspace import Workspace

    found = []

    def look() -> None:
        if config is None:
            found.extend(findings(root))
        else:
            settings = load_config(config)
            found.extend(findings(Workspace.of(settings.output).root, reader=settings.train.reader))

    guarded(look, False)
    for finding in found:
        typer.echo(f"{'ok  ' if finding.ok else 'FIX '} {finding.name:<16} {finding.detail}")
        if finding.fix:
            typer.echo(f"     {'':<16} {finding.fix}")
    raise typer.Exit(0 if all(finding.ok for finding in found) else 12)


def _stage(
    stage: str, config: Path, run: str | None, debug: bool, *, force: bool = False, subjects: int | None = None
) -> None:
    from synth_spark.pipeline.stages import run_stage
    from synth_spark.pipeline.summary import next_command, tell_gate

    def work() -> None:
        paths, figures = run_stage(stage, config, run, force=force, subjects=subjects)
        typer.echo(f"{stage} done: run {paths.run_id}")
        if stage == "qa":  # hundreds of figures: they are in MLflow and the report
            tell_gate(paths)
        else:
            for name, value in figures.items():
                typer.echo(f"  {name:<32} {value:,.4f}" if isinstance(value, float) else f"  {name:<32} {value}")
        following = next_command(paths.run_id, stage, config)
        if following:
            typer.echo(f"go on with: {following}")

    guarded(work, debug)


def _check_can_ask(yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter(
            "without a terminal nobody can be asked, so nothing is done without it", param_hint="--yes"
        )


def main(arguments: list[str] | None = None) -> None:
    """Entry of the console script and of jobs/; returns after success, since some runners take any exit for a failure.

    Raises:
        SystemExit: with the code of what went wrong.
    """
    try:
        app(arguments, prog_name="synth-spark")
    except SystemExit as ended:
        if ended.code:
            raise


if __name__ == "__main__":
    main()
