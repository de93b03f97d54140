"""Categories of 100,000 values: what is kept, and what encoding costs beside a column of 100 values.

    python benchmarks/large_categories.py [--subjects 1000000] [--repeats 3]

A million subjects with one event each, ten subjects to a value (and ten thousand to a value for comparison), without
holdout. Each encode runs in this process, the small and the large column in turn; seconds are medians without the first
pair, which warms the Java machine up.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from record import current_commit, record

from synth_spark.codebook import Codebook
from synth_spark.config import parse_config
from synth_spark.encode.stage import run_encode
from synth_spark.session import get_spark
from synth_spark.workspace import Workspace

COLUMNS = {"small": 100, "large": 100_000}  # distinct values


def main() -> None:
    """Run, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    commit = current_commit()
    seconds: dict[str, list[float]] = {name: [] for name in COLUMNS}
    kept: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="large-categories-") as folder:
        write_sources(Path(folder), arguments.subjects)
        for _ in range(arguments.repeats + 1):
            for name in COLUMNS:
                started = time.perf_counter()
                kept[name] = encode(Path(folder), name)
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(found[1:]) for name, found in seconds.items()}
    figures = {f"{name}.encode_seconds": value for name, value in medians.items()}
    figures |= {f"{name}.rows_kept_share": value for name, value in kept.items()}
    figures["encode_seconds.ratio"] = medians["large"] / medians["small"]
    figures["subjects"] = float(arguments.subjects)
    command = f"python benchmarks/large_categories.py --subjects {arguments.subjects} --repeats {arguments.repeats}"
    print(record("large_categories", command, commit, figures, {"seconds": seconds}))


def write_sources(folder: Path, subjects: int) -> None:
    """One Parquet table of events per column, equal but for the number of distinct values."""
    for name, values in COLUMNS.items():
        get_spark().range(subjects).selectExpr(
            "id AS customer", "DATE'2024-01-01' AS at", f"concat('product ', id % {values}) AS product"
        ).write.parquet(str(folder / name))


def encode(folder: Path, name: str) -> float:
    """Share of the rows whose value is kept."""
    events = {"path": str(folder / name), "format": "parquet", "key": "customer", "order_by": "at"}
    document = {"name": name, "source": {"events": [events]}, "split": {"holdout": 0.0}}
    paths = Workspace.at(folder / "workspace").run(name)
    run_encode(get_spark(), parse_config(document, origin=name), paths, salt=b"benchmark" * 4)
    codebook = Codebook.load(paths.codebook)
    rare = next(spec.protection["rows_rare"] for spec in codebook.event_fields if spec.columns == ("product",))
    return 1 - rare / sum(codebook.num_events.values())


if __name__ == "__main__":
    main()
