"""The figures that a plan estimates with are those of benchmarks/results, which an installed package does not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synth_spark.pipeline.expected import COSTS, LARGEST, MACHINE, MILLION, NUM_SETS, PEAK_BYTES, START_UP, Cost

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
NOT_LEARNED = "tgt::Sequence Length"


def lines() -> list[tuple[float, dict[str, Any]]]:
    """Cells and document of every benchmark that walked the line."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("*.json"))]
    return [(_cells(document), document) for document in found if "line.seconds" in document["figures"]]


def _cells(document: dict[str, Any]) -> float:
    columns = set(document["details"].get("round_trip", {}).get("columns", ())) - {NOT_LEARNED}
    return (document["figures"].get("events") or document["figures"].get("subjects", 0)) * len(columns)


def _measured(figure: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Seconds of the small sets, and of a million cells of the others beyond the least of these; least and most."""
    seconds = [(cells, d["figures"][figure]) for cells, d in lines() if figure in d["figures"]]
    small = [taken for cells, taken in seconds if cells < MILLION]
    added = [(taken - min(small)) / cells * MILLION for cells, taken in seconds if cells >= MILLION]
    return (min(small), max(small)), (min(added), max(added))


@pytest.mark.parametrize("stage", COSTS)
def test_seconds_are_those_of_the_benchmarks(stage: str) -> None:
    fixed, per_million = _measured(f"{stage}.seconds")
    assert COSTS[stage].fixed == pytest.approx(fixed, abs=0.06)
    assert COSTS[stage].per_million == pytest.approx(per_million, abs=0.06)


def test_start_up_memory_sizes_and_machine_are_those_of_the_benchmarks() -> None:
    figures = [document["figures"] for _, document in lines()]
    assert len(figures) == NUM_SETS
    start_up = [one["line.seconds.start_up"] for one in figures]
    assert START_UP.fixed == pytest.approx((min(start_up), max(start_up)), abs=0.06)
    peaks = [one["peak_memory_bytes"] for one in figures]
    assert PEAK_BYTES == (min(peaks), max(peaks))
    assert pytest.approx(max(cells for cells, _ in lines()) / MILLION, abs=0.06) == LARGEST
    machines = [document["machine"] for _, document in lines()]
    ((cpus, memory),) = {(machine["cpus"], machine["memory_gib"]) for machine in machines}
    processors = " or ".join(sorted({machine["processor"] for machine in machines}))
    assert f"{cpus} CPUs of {processors}, {memory} GiB of memory" == MACHINE


def test_epochs_are_those_of_the_benchmarks() -> None:
    pytest.importorskip("torch")
    from synth_spark.model.estimate import EPOCHS

    epochs = [document["figures"]["epochs"] for _, document in lines()]
    assert EPOCHS == (min(epochs), max(epochs))


def test_seconds_grow_with_cells() -> None:
    assert Cost((1.0, 2.0), (3.0, 4.0)).seconds(0) == (1.0, 2.0)
    assert Cost((1.0, 2.0), (3.0, 4.0)).seconds(2 * MILLION) == (7.0, 10.0)
