"""What on this machine would keep a run from working, each with its fix. [plain]

No Spark session is started, nothing is written but one file that is removed at once, and no network is used.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from synth_spark.devices import gpus_here, told_gpus
from synth_spark.errors import EnvironmentProblem
from synth_spark.jars import FIX as JARS_FIX
from synth_spark.jars import missing_jars
from synth_spark.machine import JAVA_FIX, MINIMUM_JAVA, find_java, granted_cpus, granted_memory
from synth_spark.readers import petastorm_problem
from synth_spark.workspace import SALT_VARIABLE, Workspace

GIB = 2**30
NEEDED_MEMORY = 6 * GIB
NEEDED_DISK = 5 * GIB
DISTRIBUTION = "synth_spark"
ENGINES = "engines"  # the extra that requires Spark, torch, MLflow and what belongs to them


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `detail` is what was found, `fix` what to do (empty when all is well)."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def findings(workspace_root: str | Path, *, reader: str = "petastorm") -> list[Finding]:
    """Everything that was looked at, good or bad: Python, Java, pins, jars, readers, device, memory, disk, rights.

    Args:
        reader: train.reader of the config that will be run.
    """
    workspace = Workspace.at(workspace_root)
    # Databricks brings Java, Spark, Delta, torch and MLflow in versions of its own
    engines = [] if "DATABRICKS_RUNTIME_VERSION" in os.environ else [_java(), *_versions(), _jars()]
    return [
        _python(),
        *engines,
        _reader(reader),
        _device(),
        _memory(),
        _disk(workspace),
        _write_access(workspace),
        _salt(workspace),
    ]


def _finding(name: str, ok: bool, detail: str, fix: str) -> Finding:
    return Finding(name, ok, detail, "" if ok else fix)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return _finding("Python", sys.version_info[:2] == (3, 11), found, "use Python 3.11, then run: make clean setup")


def _java() -> Finding:
    java = find_java()
    if java is None:
        return Finding("Java", False, "none found", JAVA_FIX)
    return _finding("Java", java.version >= MINIMUM_JAVA, f"{java.version} ({java.executable})", JAVA_FIX)


def _versions() -> list[Finding]:
    """One finding per package whose version differs from its pin, or a single good one."""
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return [Finding("versions", False, f"the package {DISTRIBUTION} itself is not installed", "run: make setup")]
    pins = [Requirement(line) for line in requirements]
    pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate({"extra": ENGINES})]
    wrong = [finding for finding in map(_version, pins) if finding is not None]
    return wrong or [Finding("versions", True, f"{len(pins)} packages are as pinned")]


def _version(pin: Requirement) -> Finding | None:
    try:
        installed = importlib.metadata.version(pin.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(pin.name, False, f"not installed, pinned {pin.specifier}", "run: make setup")
    if pin.specifier.contains(installed, prereleases=True):
        return None
    return Finding(pin.name, False, f"{installed} installed, pinned {pin.specifier}", "run: make clean setup")


def _jars() -> Finding:
    try:
        missing = missing_jars()
    except EnvironmentProblem as problem:
        return Finding("Delta jars", False, str(problem), JARS_FIX)
    return _finding("Delta jars", not missing, ", ".join(missing) + " missing" if missing else "in place", JARS_FIX)


def _reader(wanted: str) -> Finding:
    """Whether the wanted train.reader works here; arrow always does."""
    problem = petastorm_problem() if wanted == "petastorm" else ""
    detail = f"petastorm cannot read here ({problem}); arrow can" if problem else wanted
    fix = "set train.reader: arrow in the config; the rows are the same"
    return _finding("training reader", not problem, detail, fix)


def _device() -> Finding:
    """What train.device: auto takes here. No GPU is no lack: training runs on processors, too."""
    try:
        gpus, reason = gpus_here()
    except ImportError as error:
        fix = "run: make clean setup"
        return Finding("training device", False, f"torch cannot be loaded ({type(error).__name__})", fix)
    detail = f"cuda: {told_gpus(gpus)}, one for each rank" if gpus else f"cpu; no GPU: {reason}"
    return Finding("training device", True, detail)


def _memory() -> Finding:
    memory = granted_memory()
    detail = f"{memory / GIB:.1f} GiB, {granted_cpus()} processors"
    return _finding("memory", memory >= NEEDED_MEMORY, detail, f"give it at least {NEEDED_MEMORY // GIB} GiB")


def _disk(workspace: Workspace) -> Finding:
    """Free space where the run and Spark's temporary files go; the smaller of the two counts."""
    places = (_existing(workspace.root), Path(tempfile.gettempdir()))
    free, place = min((shutil.disk_usage(place).free, str(place)) for place in places)
    fix = f"free at least {NEEDED_DISK // GIB} GiB there, or choose another output.root or TMPDIR"
    return _finding("disk", free >= NEEDED_DISK, f"{free / GIB:.1f} GiB free in {place}", fix)


def _write_access(workspace: Workspace) -> Finding:
    place = _existing(workspace.root)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        fix = "choose another output.root, or ask for the right to write there"
        return Finding("workspace", False, f"cannot write in {place}: {error.strerror}", fix)
    return Finding("workspace", True, str(workspace.root))


def _salt(workspace: Workspace) -> Finding:
    path = workspace.salt_file
    if os.environ.get(SALT_VARIABLE):
        try:
            workspace.salt()
        except EnvironmentProblem as problem:
            return Finding("salt", False, str(problem), f"correct {SALT_VARIABLE}, or unset it")
        return Finding("salt", True, f"from {SALT_VARIABLE}")
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        return Finding("salt", True, "made by the first run")
    except OSError as error:
        return Finding("salt", False, f"{path}: {error.strerror}", "run as the owner of the workspace")
    safe = not mode & 0o077 and os.access(path, os.R_OK)
    return _finding("salt", safe, f"{path}, mode {mode:04o}", f"run as its owner: chmod 600 {path}")


def _existing(path: Path) -> Path:
    """The path itself, or its nearest parent that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
