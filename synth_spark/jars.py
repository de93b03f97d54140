"""The Delta jars, put once into pyspark's own jars folder. [plain; spark while installing]

Used at set-up: `python -m synth_spark.jars`. Afterwards every JVM that is started from this installation (local
sessions, standalone masters and workers) has Delta without a network. Which files are missing is told without Spark.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from synth_spark.errors import EnvironmentProblem, SynthError

FIX = "run: make setup (or, inside the environment: python -m synth_spark.jars)"


def jars_folder() -> Path:
    """The folder whose jars every Spark process of this installation loads.

    Raises:
        EnvironmentProblem: pyspark is not installed.
    """
    submitted = os.environ.get("SPARK_HOME")
    if submitted and "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit's Python finds pyspark in an archive of it
        return Path(submitted) / "jars"
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise EnvironmentProblem("pyspark: not installed in this environment; run: make setup")
    return Path(found.origin).parent / "jars"


def needed_jars() -> dict[str, re.Pattern[str]]:
    """Maven artifact -> pattern of the file name that satisfies it, for the installed delta-spark.

    The Scala (and from Delta 4.1 on also the Spark) version stands between artifact and version. Spark ships
    antlr4-runtime itself: any version in its folder is the one that its own parser was built with, so it stays.

    Raises:
        EnvironmentProblem: delta-spark is not installed.
    """
    try:
        version = re.escape(importlib.metadata.version("delta-spark"))
    except importlib.metadata.PackageNotFoundError:
        raise EnvironmentProblem("delta-spark: not installed in this environment; run: make setup") from None
    return {
        "delta-spark": re.compile(rf"delta-spark_[\d._]+-{version}\.jar"),
        "delta-storage": re.compile(rf"delta-storage-{version}\.jar"),
        "antlr4-runtime": re.compile(r"antlr4-runtime-[\d.]+\.jar"),
    }


def missing_jars() -> list[str]:
    """Artifacts of Delta that are not in the jars folder; empty when a session can start without a network."""
    present = os.listdir(jars_folder()) if jars_folder().is_dir() else []
    return [name for name, pattern in needed_jars().items() if not any(map(pattern.fullmatch, present))]


def install_jars() -> list[str]:
    """Fetch what is missing through Spark's own resolver and copy it; returns the names of the files added.

    Raises:
        EnvironmentProblem: the jars cannot be fetched, or the folder cannot be written.
    """
    missing = missing_jars()
    if not missing:
        return []
    with tempfile.TemporaryDirectory(prefix="synth-spark-ivy-") as ivy:
        _resolve(ivy)
        resolved = {path.name.split("_", 1)[1]: path for path in Path(ivy, "jars").glob("*.jar")}
        wanted = needed_jars()
        files = [file for file in sorted(resolved) if any(wanted[name].fullmatch(file) for name in missing)]
        for file in files:
            _copy(resolved[file], jars_folder() / file)
    if missing_jars():
        raise EnvironmentProblem(f"Delta jars: {', '.join(missing_jars())} still missing after the download; {FIX}")
    return files


def _resolve(ivy: str) -> None:
    """Let Spark resolve delta-spark and all it needs into <ivy>/jars, named <organisation>_<file>."""
    from delta import configure_spark_with_delta_pip  # type: ignore[import-untyped]
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").appName("delta-jars")
    for key, value in {"spark.ui.enabled": "false", "spark.jars.ivy": ivy, "spark.log.level": "ERROR"}.items():
        builder = builder.config(key, value)
    try:
        configure_spark_with_delta_pip(builder).getOrCreate().stop()
    except PySparkException as error:
        raise EnvironmentProblem(
            "Delta jars: Spark could not fetch them from its Maven repository (see the lines above); "
            "check the network, or name a mirror in the variable DEFAULT_ARTIFACT_REPOSITORY, then " + FIX
        ) from error


def _copy(source: Path, target: Path) -> None:
    """Copy so that a reader sees the whole file or none; JVMs load only names that end in .jar."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(source, partial)
        os.replace(partial, target)
    except OSError as error:
        raise EnvironmentProblem(f"Delta jars: cannot write {target.parent}: {error.strerror}; {FIX}") from error
    finally:
        partial.unlink(missing_ok=True)


def main() -> int:
    """Install what is missing and say so; the exit code is the error's."""
    try:
        added = install_jars()
    except SynthError as error:
        print(f"synth-spark: {error}", file=sys.stderr)
        return error.exit_code
    print("Delta jars: " + (f"added {', '.join(added)}" if added else "already there"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
