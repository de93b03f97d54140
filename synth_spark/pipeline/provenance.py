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
    """Commit of the working tree that holds this package, with "+" if files differ from it, or that a wheel was built
    from (setup.py); empty if there is none.
    """
    package = Path(synth_spark.__file__).resolve().parent
    if not (package.parent / ".git").exists():
        built = package / "commit.txt"
        return built.read_text(encoding="utf-8").strip() if built.exists() else ""
    describe = ["git", "-C", str(package.parent), "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(describe, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
