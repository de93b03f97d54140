"""Whole lines of several commits on the same splits: what a decision gave, measured again by anyone.

    python benchmarks/compare.py NAME --set cdnow --commits a25886b HEAD [--seeds 1 2 3]

Each commit is checked out beside this one and runs in this environment. A seed has the same salt at every commit, hence
the same split and thresholds, so differences are between codes and not between samples. The figures of every seed go
to `results/experiments/NAME.json`; docs/decisions/ quotes them. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_sets import DATA_SETS, ROOT, DataSet
from lines import FIDELITY, check_data, run_line, seed_details
from record import RESULTS, current_commit, record


def main() -> None:
    """Run, compare, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the result")
    parser.add_argument("--set", choices=DATA_SETS, required=True, dest="data_set")
    parser.add_argument("--commits", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    chosen = parser.parse_args()
    check_data([chosen.data_set])
    commits = [commit_of(name) for name in chosen.commits]
    details = {commit: lines_of(commit, DATA_SETS[chosen.data_set], chosen.seeds) for commit in commits}
    figures = {
        f"{commit}.{name}": statistics.mean(seed["qa"][name] for seed in seeds)
        for commit, seeds in details.items()
        for name in FIDELITY
        if name in seeds[0]["qa"]
    }
    figures |= {f"{c}.fit.seconds": statistics.median(s["train"]["fit.seconds"] for s in details[c]) for c in details}
    seeds = " ".join(map(str, chosen.seeds))
    command = f"{chosen.name} --set {chosen.data_set} --commits {' '.join(commits)} --seeds {seeds}"
    (RESULTS / "experiments").mkdir(exist_ok=True)
    name = f"experiments/{chosen.name}"
    print(record(name, f"python benchmarks/compare.py {command}", current_commit(), figures, details))


def commit_of(name: str) -> str:
    """Its short name; ends the script if there is no such commit."""
    found = subprocess.run(
        ["git", "rev-parse", "--short", "--verify", f"{name}^{{commit}}"], cwd=ROOT, capture_output=True, text=True
    )
    if found.returncode:
        sys.exit(f"{name}: no such commit here")
    return found.stdout.strip()


def lines_of(commit: str, data_set: DataSet, seeds: list[int]) -> list[dict[str, Any]]:
    """Figures of every seed of one commit."""
    with tempfile.TemporaryDirectory(prefix="compare-") as folder, checked_out(commit, Path(folder) / "code"):
        details = []
        for seed in seeds:
            print(f"== {commit}, seed {seed}", flush=True)
            give_salt(Path(folder) / f"seed-{seed}", seed)
            details.append(seed_details(seed, run_line(data_set, Path(folder), seed)))
    return details


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[None]:
    """The commit's package comes before the installed one in every process that begins meanwhile."""
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(folder), commit], cwd=ROOT, check=True)
    os.environ["PYTHONPATH"] = str(folder)
    try:
        where = subprocess.run(
            [sys.executable, "-c", "import synth_spark; print(synth_spark.__file__)"],
            cwd=folder.parent, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        if Path(where.strip()).parents[1] != folder:
            sys.exit(f"{commit}: another synth_spark comes first: {where.strip()}")
        yield
    finally:
        del os.environ["PYTHONPATH"]
        subprocess.run(["git", "worktree", "remove", "--force", str(folder)], cwd=ROOT, check=True)


def give_salt(workspace: Path, seed: int) -> None:
    """A workspace's secret, chosen before its first run: public data only."""
    secrets = workspace / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    salt = secrets / "salt"
    salt.touch(mode=0o600)
    salt.write_bytes(hashlib.sha256(f"benchmark {seed}".encode()).digest())


if __name__ == "__main__":
    main()
