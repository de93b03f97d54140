"""Faults on purpose, too long for every day: `make drills`, or some of them by name.

Each drill checks what must remain; what held goes into the table of docs/reliability.md.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import psutil

from synth_spark.files import replace_text
from synth_spark.pipeline.provenance import git_commit
from synth_spark.pipeline.runs import STAGES
from synth_spark.session import get_spark
from synth_spark.workspace import Workspace
from tests.drills import machine, on_cluster
from tests.drills.yard import PATIENCE, ROOT, Impossible, Outcome, Yard, descendants, make_yard, wait_for

DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- made by: make drills -->", "<!-- end -->"


def killed(stage: str) -> Callable[[Yard], Outcome]:
    """The whole command dies in a stage; the same command goes on."""

    def drill(yard: Yard) -> Outcome:
        before, config = yard.published(), yard.config()
        broken = yard.kill_in(stage, "run", config, "--fresh")
        assert broken.next_stage == stage, broken.next_stage
        assert yard.published() == before
        done_before = {name: record.started for name, record in broken.stages.items() if broken.is_done(name)}
        yard.call("run", config)
        ended = yard.newest
        assert ended.run_id == broken.run_id and ended.next_stage is None
        assert all(ended.stages[name].started == started for name, started in done_before.items()), "done twice"
        sampled, published = ended.figures_of("sample"), yard.published()
        assert [rows for rows, _ in published] == [sampled["subjects"], sampled["events"]]
        assert published == before, "the same source and seed give the same tables"
        yard.call("clean", config)
        assert not yard.leftovers()
        kept = f"{len(done_before)} finished stages" if done_before else "nothing to keep yet"
        return Outcome(
            "kill -9 of the command and all its children",
            stage,
            f"the next `synth-spark run` goes on with {stage}, and ends well",
            f"{kept}; published tables as before throughout, afterwards equal; no leftovers after `clean`",
        )

    return drill


def worker_killed(yard: Yard) -> Outcome:
    """A Python worker dies while it samples; Spark has its task done again."""
    wanted = ("sample", yard.config(), "--run", yard.newest.run_id, "--subjects", "30000")
    yard.call(*wanted)
    undisturbed = yard.paths.sampled_sequences
    with yard.started(*wanted) as process:
        worker, *_ = wait_for(lambda: descendants(process, _is_worker), process)
        time.sleep(1)
        worker.kill()
        told, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    one, other = (
        yard.spark.read.format("delta").load(str(path)) for path in (undisturbed, yard.paths.sampled_sequences)
    )
    assert undisturbed != yard.paths.sampled_sequences and one.count() == other.count() == 30_000
    assert one.exceptAll(other).isEmpty() and other.exceptAll(one).isEmpty()
    return Outcome(
        "kill -9 of a Python worker of Spark",
        "sample",
        "nothing but Spark's own warning: the task is done again",
        "all rows, equal to those of an undisturbed draw",
    )


def _is_worker(process: psutil.Process) -> bool:
    """A daemon of pyspark forks the workers; the daemon itself is a child of the JVM."""
    parent = process.parent()
    return parent is not None and all("pyspark.daemon" in one.cmdline() for one in (process, parent))


def rank_killed(yard: Yard) -> Outcome:
    """One of two ranks dies; training ends with its name and goes on after the last epoch."""
    config = yard.config(train={"launcher": "torchdistributor", "num_ranks": 2, "max_epochs": 400, "patience": 400})
    yard.call("encode", config)
    metrics = yard.paths.checkpoint / "metrics.jsonl"
    with yard.started("train", config) as process:
        wait_for(lambda: metrics.exists() and len(metrics.read_text().splitlines()) >= 3, process)
        ranks = descendants(process, lambda child: child.environ().get("RANK") == "1")
        ranks[-1].send_signal(signal.SIGKILL)
        died = time.monotonic()
        told, _ = process.communicate(timeout=PATIENCE)
    seconds = time.monotonic() - died
    assert process.returncode == 15, told
    line = next(line for line in told.splitlines() if line.startswith("TrainingError"))
    epochs = len(metrics.read_text().splitlines())
    shorter = yard.config(
        train={"launcher": "torchdistributor", "num_ranks": 2, "max_epochs": epochs + 2, "patience": 400}
    )
    yard.call("train", shorter)
    assert len(metrics.read_text().splitlines()) == epochs + 2, "it went on, and trained no epoch twice"
    return Outcome(
        "kill -9 of one of two ranks",
        "train",
        f"within {max(1, round(seconds))} s: {line[:90]}...",
        f"all {epochs} complete epochs; the next `synth-spark train` goes on with the one after",
    )


def two_at_once(yard: Yard) -> Outcome:
    """A second command on the same run is told who works on it."""
    config, known = yard.config(), {state.run_id for state in yard.runs()}
    with yard.started("run", config, "--fresh") as process:
        wait_for(lambda: yard.newest.run_id not in known and "encode" in yard.newest.stages, process)
        told = yard.call("run", config, code=14)
        assert str(process.pid) in told, told
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and yard.newest.next_stage is None
    return Outcome(
        "the same command a second time, at once",
        "all stages",
        "the second one is refused: which process works on the run, where, since when",
        "the first one ends well",
    )


def source_changed(yard: Yard) -> Outcome:
    """Somebody rewrites the source between decode and qa."""
    config, source = yard.config(), yard.folder / "source" / "events.parquet"
    before, kept = yard.published(), yard.folder / "events.parquet"
    shutil.copyfile(source, kept)
    yard.call("encode", config)
    for stage in ("train", "sample", "decode"):
        yard.call(stage, config)
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(source).slice(5), source)
    told = yard.call("qa", config, code=14)
    shutil.copyfile(kept, source)
    assert yard.published() == before
    yard.call("qa", config)
    yard.call("publish", config)
    line = next(line for line in told.splitlines() if line.startswith("ContractError"))
    return Outcome(
        "the source is rewritten",
        "between decode and qa",
        line.removeprefix("ContractError: ")[:160],
        "published tables as before; with the source restored qa and publish end well",
    )


DRILLS: dict[str, Callable[[Yard], Outcome]] = {
    **{f"kill-{stage}": killed(stage) for stage in STAGES},
    "kill-worker": worker_killed,
    "kill-rank": rank_killed,
    "two-at-once": two_at_once,
    "source-changed": source_changed,
    **machine.DRILLS,
    **on_cluster.DRILLS,
}


def note(outcome: Outcome) -> None:
    """Put this row into the document's table; those of other drills stay as they are."""
    head, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    table, tail = rest.split(END)
    lines = [line.strip("| ").split(" | ") for line in table.strip().splitlines()[2:]]
    rows = {(cells[0], cells[1]): cells for cells in lines}
    told = (outcome.fault, outcome.where, outcome.seen, outcome.remained, git_commit()[:7])
    cells = [cell.replace("|", "/") for cell in told]
    rows[cells[0], cells[1]] = cells
    written = [
        "fault | where | what the user sees | what remained | commit",
        "--- | --- | --- | --- | ---",
        *map(" | ".join, rows.values()),
    ]
    text = "\n".join(f"| {line} |" for line in written)
    replace_text(DOCUMENT, f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}")


def main() -> None:
    """All drills, or those that are named; ends with 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(DRILLS)}; default: all")
    names = parser.parse_args().names or list(DRILLS)
    unknown = set(names) - set(DRILLS)
    if unknown:
        parser.error(f"no drill {sorted(unknown)[0]!r}; there are {', '.join(DRILLS)}")
    folder = Path(tempfile.mkdtemp(prefix="drills-"))
    spark = get_spark(workspace=Workspace.at(folder / "reader"), cores=1)
    started = time.monotonic()
    yard = make_yard(folder, spark)
    print(f"one run published in {time.monotonic() - started:.0f} s, in {folder}", flush=True)
    failed = [name for name in names if not _held(name, yard)]
    spark.stop()
    if failed:
        sys.exit(f"did not hold: {', '.join(failed)}; what they left is in {folder}")
    shutil.rmtree(folder)


def _held(name: str, yard: Yard) -> bool:
    """Make a fault, see what remains, and write it down; whatever becomes of it, other drills go on."""
    started, before = time.monotonic(), yard.published()
    try:
        outcome = DRILLS[name](yard)
        assert yard.published() == before, "the same source and seed give the same tables"
        yard.call("clean", yard.config())
        assert not yard.leftovers()
    except Impossible as reason:
        print(f"{name}: NOT MADE, {reason}", flush=True)
        return True
    except Exception:
        traceback.print_exc()
        print(f"{name}: DID NOT HOLD, {time.monotonic() - started:.0f} s", flush=True)
        return False
    note(outcome)
    print(f"{name}: held, {time.monotonic() - started:.0f} s, written into {DOCUMENT.relative_to(ROOT)}", flush=True)
    return True


if __name__ == "__main__":
    main()
