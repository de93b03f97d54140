"""What QA costs as subjects grow: all figures of utility and privacy but those that need a trained model.

    python benchmarks/qa_scale.py [--subjects 100000 1000000] [--events 20]

Made subjects with histories of --events events on the average (geometric lengths) and six event columns: a clock, two
numbers, two categories, a flag; their values depend on the subject. Half of the real subjects are holdout, and there
are as many synthetic as training subjects. Each size is measured in a process of its own, by its own peaks: of the
Python driver, and of all processes together. One repeat: it is a bar of minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from record import current_commit, record

from synth_spark.attack.profiles import fit_profiles
from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories
from synth_spark.pipeline.memory import PeakMemory
from synth_spark.qa import compare as comparing
from synth_spark.qa.compare import by_subject, compare
from synth_spark.session import get_spark

_WORTH = "WORTH "
SETS = {"training": 0.5, "holdout": 0.5, "synthetic": 0.5}  # of the subjects asked for


def main() -> None:
    """Measure every size, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(_WORTH + json.dumps(measure(arguments.alone, arguments.events)))
        return
    commit, figures = current_commit(), {}
    for subjects in arguments.subjects:
        command = [sys.executable, __file__, "--alone", str(subjects), "--events", str(arguments.events)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith(_WORTH))
        found = json.loads(line.removeprefix(_WORTH))
        figures |= {f"{subjects}.{name}": value for name, value in found.items()}
        print(subjects, found)
    asked = " ".join(map(str, arguments.subjects))
    command_line = f"python benchmarks/qa_scale.py --subjects {asked} --events {arguments.events}"
    print(record("qa_scale", command_line, commit, figures, {}))


def measure(subjects: int, events: int) -> dict[str, float]:
    """Seconds and peaks of one comparison; writing the tables is not counted."""
    spark = get_spark()
    with tempfile.TemporaryDirectory(prefix="qa-scale-") as folder:
        for seed, (name, share) in enumerate(SETS.items()):
            events_of(int(subjects * share), events, seed).write.parquet(f"{folder}/{name}")
        tables = [spark.read.parquet(f"{folder}/{name}") for name in SETS]
        started = time.perf_counter()
        sets = [by_subject(Histories(table.select(SUBJECT_KEY).distinct(), table)) for table in tables]
        rows = sum(histories.events.count() for histories in sets)
        privacy = Stopwatch(comparing, "privacy_figures", "uniqueness_figures")
        with PeakMemory() as memory, privacy:
            found = compare(*sets, order_by="at", codebook=None, seed=0, fit_profiles=fit_profiles)
        seconds = time.perf_counter() - started
    assert found.figures["accuracy.overall"] > 0.9, "these are draws of the same distribution"
    return {
        "seconds": seconds,
        "seconds.privacy": privacy.seconds,
        "events": float(rows),
        "driver_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "all_gib": memory.peak_bytes / 2**30,
    }


class Stopwatch:
    """While inside, sums up what some functions of a module take."""

    def __init__(self, module: ModuleType, *names: str) -> None:
        self.seconds = 0.0
        self._module, self._own = module, {name: getattr(module, name) for name in names}

    def __enter__(self) -> None:
        for name, own in self._own.items():
            setattr(self._module, name, self._timed(own))

    def __exit__(self, *_: object) -> None:
        for name, own in self._own.items():
            setattr(self._module, name, own)

    def _timed(self, own: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return own(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - started

        return timed


def events_of(subjects: int, events: int, seed: int) -> DataFrame:
    """One row per event; a hash of seed, subject and place makes every value."""
    people = get_spark().range(subjects).withColumn("level", _uniform(seed, "level", "id"))
    length = F.least(
        F.lit(20 * events), 1 + F.floor(F.log(_uniform(seed, "length", "id")) / F.log(F.lit(1 - 1 / events)))
    )
    rows = people.withColumn(EVENT_INDEX, F.explode(F.sequence(F.lit(1), length.cast("int")))).withColumn(
        EVENT_INDEX, F.col(EVENT_INDEX) - 1
    )
    first = F.lit(1_700_000_000) + F.floor(_uniform(seed, "start", "id") * 20_000_000)
    step = F.col(EVENT_INDEX) * 86_400 + F.floor(_uniform(seed, "step", "id", EVENT_INDEX) * 86_000)
    own = _uniform(seed, "own", "id", EVENT_INDEX)
    return rows.select(
        F.concat(F.lit(f"{seed}-"), F.col("id").cast("string")).alias(SUBJECT_KEY),
        F.col(EVENT_INDEX).cast("int"),
        F.timestamp_seconds(first + step).alias("at"),
        F.round(F.exp(3 + 2 * F.col("level") + own), 2).alias("amount"),
        F.floor(10 * _uniform(seed, "pieces", "id", EVENT_INDEX) ** 2).cast("int").alias("pieces"),
        F.concat(F.lit("kind "), F.floor(20 * F.col("level") * own).cast("string")).alias("kind"),
        F.concat(F.lit("shop "), F.floor(300 * own**2).cast("string")).alias("shop"),
        (own < F.col("level")).alias("flag"),
    )


def _uniform(seed: int, purpose: str, *columns: str) -> Column:
    return (F.pmod(F.xxhash64(F.lit(seed), F.lit(purpose), *columns), F.lit(2**53)) + 0.5) / F.lit(float(2**53))


if __name__ == "__main__":
    main()
