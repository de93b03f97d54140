"""Where a result comes from: versions of what computes it, and the commit of the code. [plain]"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import synth_spark

PACKAGES = ("pyspark", "delta-spark", "petastorm", "pyarrow", "numpy", "pandas", "scikit-learn", "torch", "mlflow")


def versions() -> dict[str, str]:
    """Python, this package and the packages that can change a result; those not installed are left out."""
    found = {"python": platform.python_version(), "synth_spark": synth_spark.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str:
    """Commit of the working tree that holds this package, with "+" if files differ from it; empty if there is none."""
    folder = Path(synth_spark.__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return ""
    commit = _git(folder, "rev-parse", "HEAD")
    return commit + ("+" if commit and _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
