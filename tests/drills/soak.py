"""Forty lines on a tiny source, twenty in one process and twenty in separate ones: `make soak`. [spark]

After each line the process that ran it is looked at: memory, threads, open files, child processes, and what lies in the
folder for temporary files. What grows from line to line is a leak; the first lines are not counted, since they load.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.drills.run import note
from tests.drills.yard import QUICK, ROOT, Outcome
from tests.end_to_end import made
from tests.gates import OPEN_GATE

WARM = 5  # lines until everything is loaded and the JVM has its heap
SOME = 5  # lines that are compared, of the first that count and of the last
MOST_GROWTH = 0.10  # of memory between the first and the last lines that count
MOST_SPREAD = 0.25  # of the largest process of a line, which Java's heap decides


@dataclass(frozen=True)
class Look:
    """A process after a line; memory in MiB, its own and that of the JVM below it."""

    seconds: float
    python_mib: float
    java_mib: float
    threads: int
    open_files: int
    children: int
    temporary: int  # files and folders


def look(seconds: float, temporary: Path) -> Look:
    """At this process."""
    gc.collect()
    process = psutil.Process()
    children = process.children(recursive=True)
    java = [child for child in children if child.name() == "java"]
    return Look(
        seconds=seconds,
        python_mib=process.memory_info().rss / 2**20,
        java_mib=sum(child.memory_info().rss for child in java) / 2**20,
        threads=process.num_threads(),
        open_files=process.num_fds(),
        children=len(children),
        temporary=sum(1 for _ in temporary.rglob("*")),
    )


def in_one_process(config: Path, lines: int) -> None:
    """Run so many lines here, and print a look after each."""
    from synth_spark.pipeline.line import run_line

    for _ in range(lines):
        started = time.monotonic()
        run_line(config, fresh=True)
        print("LOOK", json.dumps(asdict(look(time.monotonic() - started, Path(tempfile.gettempdir())))), flush=True)


def _call(folder: Path, *arguments: str) -> str:
    """A command whose temporary files lie in <folder>/tmp."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    java = f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} -Djava.io.tmpdir={temporary}"
    own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "SPARK_LOCAL_DIRS": str(temporary)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **own, "JAVA_TOOL_OPTIONS": java},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def _told(name: str, first: float, last: float) -> str:
    return f"{name} {first:,.0f} -> {last:,.0f}"


def together(folder: Path, config: Path, lines: int) -> Outcome:
    """All in one process: figures of the first lines that count against those of the last."""
    told = _call(folder, "-m", "tests.drills.soak", "--here", str(config), "--lines", str(lines))
    looks = [Look(**json.loads(line[4:])) for line in told.splitlines() if line.startswith("LOOK")]
    assert len(looks) == lines
    early, late = looks[WARM : WARM + SOME], looks[-SOME:]
    medians = {
        name: tuple(statistics.median(getattr(one, name) for one in some) for some in (early, late))
        for name in asdict(looks[0])
    }
    print(json.dumps(medians), flush=True)
    for name in ("python_mib", "java_mib"):
        first, last = medians[name]
        assert last <= first * (1 + MOST_GROWTH), f"{name} grows from {first:.0f} to {last:.0f}: {looks}"
    for name in ("threads", "open_files", "children", "temporary"):
        first, last = medians[name]
        assert last <= first, f"{name} grows from {first} to {last}: {looks}"
    left = _leftovers(folder)
    assert not left, left
    named = {"python_mib": "Python MiB", "java_mib": "Java MiB", "threads": "threads", "open_files": "open files"}
    seen = ", ".join(_told(name, *medians[key]) for key, name in named.items())
    return Outcome(
        f"{lines} lines in a row in one process",
        "all stages",
        f"lines {WARM + 1} to {WARM + SOME} -> the last {SOME}: {seen}",
        "no temporary file and no child process when it has ended",
    )


def apart(folder: Path, config: Path, lines: int) -> Outcome:
    """Each in a process of its own: none leaves a process or a temporary file, none takes more than the first."""
    peaks, seconds = [], []
    for _ in range(lines):
        started = time.monotonic()
        _call(folder, "-m", "synth_spark.cli", "run", str(config), "--fresh")
        seconds.append(time.monotonic() - started)
        peaks.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10)
        left = _leftovers(folder)
        assert not left, left
    assert peaks[-1] <= peaks[0] * (1 + MOST_SPREAD), f"the largest process grows from line to line: {peaks} MiB"
    return Outcome(
        f"{lines} lines in a row in separate processes",
        "all stages",
        f"largest process so far {peaks[0]:,.0f} MiB after the first line, {peaks[-1]:,.0f} MiB after all; "
        f"{seconds[0]:.0f} s the first, {seconds[-1]:.0f} s the last",
        "no temporary file and no process after any of them",
    )


def _leftovers(folder: Path) -> list[str]:
    """Processes and temporary files of lines that have ended."""
    files = [str(path.relative_to(folder)) for path in (folder / "tmp").rglob("*") if "hsperfdata" not in str(path)]
    processes = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(folder) in line and process.pid != os.getpid():
            processes.append(line[:200])
    return files + processes


def main() -> None:
    """Both, or (for itself) the lines of one process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=20)
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.lines < WARM + 2 * SOME:
        parser.error(f"--lines {asked.lines}: at least {WARM + 2 * SOME}, to compare some of the first with the last")
    if asked.here:
        in_one_process(asked.here, asked.lines)
        return
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    made.write_source(folder / "source")
    config = made.write_config(
        folder, train={**QUICK, "max_epochs": 1}, qa={"gate": OPEN_GATE, "max_evaluations": 1000}
    )
    for drill in (apart, together):  # the first one measures the largest child so far
        started = time.monotonic()
        outcome = drill(folder, config, asked.lines)
        note(outcome)
        print(f"{outcome.fault}: held, {time.monotonic() - started:.0f} s: {outcome.seen}", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
