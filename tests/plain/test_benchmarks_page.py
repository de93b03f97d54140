"""Benchmarks: one figure out of those of several runs, and a page that is made of the committed results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.plain.benchmark_scripts import load_script


def a_line(lines: Any, *, accuracy: float, seconds: float, passed: bool, events: int = 0) -> Any:
    stages = {
        "encode": {"figures": {"subjects.training": 6, "subjects.holdout": 4, "events.training": events, "fields": 9}},
        "train": {"figures": {**dict.fromkeys(lines.TIMINGS, seconds), "epochs": 5, "train.events_per_second": 70.0}},
        "qa": {"figures": {"accuracy.overall": accuracy, "accuracy.overall.ceiling": 0.99, "dcr_share": 0.5}},
        "publish": {"figures": {}, "status": "done" if passed else "failed"},
    }
    stages = {name: {"seconds": seconds, "status": "done", **stage} for name, stage in stages.items()}
    state = {"stages": stages, "peak_memory_bytes": int(seconds), "start_up_seconds": 1.0}
    return lines.Line(Path("config.yml"), "run", seconds, passed, state)


def test_means_of_fidelity_medians_of_time_maximum_of_memory() -> None:
    lines = load_script("lines")
    figures = lines.line_figures(
        [
            a_line(lines, accuracy=0.9, seconds=10.0, passed=True),
            a_line(lines, accuracy=0.8, seconds=30.0, passed=True),
            a_line(lines, accuracy=0.7, seconds=11.0, passed=False),
        ]
    )
    assert round(figures["accuracy.overall"], 9) == 0.8
    assert (figures["fit.seconds"], figures["line.seconds"], figures["peak_memory_bytes"]) == (11.0, 11.0, 30)
    assert (figures["subjects"], figures["events"], round(figures["gate.passed"], 9)) == (10, 0, round(2 / 3, 9))
    assert figures["publish.seconds"] == 20.0, "only of runs that were published"
    assert not any("coherence" in name for name in figures), "families that are not there are left out"


def test_speeds_count_events_where_there_are_any() -> None:
    lines = load_script("lines")
    flat = lines.line_figures([a_line(lines, accuracy=0.5, seconds=2.0, passed=True)])
    assert flat["train.subjects_per_second"] == 6 * 5 / 2 and "train.events_per_second" not in flat
    histories = lines.line_figures([a_line(lines, accuracy=0.5, seconds=2.0, passed=True, events=20)])
    assert histories["train.events_per_second"] == 70.0 and "train.subjects_per_second" not in histories


def test_nothing_is_said_of_publishing_where_no_gate_passed() -> None:
    lines = load_script("lines")
    figures = lines.line_figures([a_line(lines, accuracy=0.5, seconds=1.0, passed=False)])
    assert "publish.seconds" not in figures and figures["qa.seconds"] == 1.0


def test_the_page_is_generated(repository: Path, tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    subprocess.run([sys.executable, repository / "benchmarks" / "table.py", page], check=True, capture_output=True)
    committed = repository / "docs" / "benchmarks.md"
    assert page.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8"), "run: python benchmarks/table.py"


def test_every_measured_data_set_is_one_row_of_the_first_table(repository: Path) -> None:
    results = [json.loads(path.read_text()) for path in (repository / "benchmarks" / "results").glob("*.json")]
    measured = {result["benchmark"] for result in results} & set(load_script("data_sets").DATA_SETS)
    page = (repository / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| [")]
    assert sorted(row[0] for row in rows) == sorted(f"| [{name}](#{name})" for name in measured)
    assert len({len(row) for row in rows}) == 1


def test_missing_data_are_named_before_any_work(repository: Path, tmp_path: Path) -> None:
    for script in ("prepare.py", "lines.py"):
        ended = subprocess.run(
            [sys.executable, repository / "benchmarks" / script, "--sets", "adult", "cdnow"],
            env={"PATH": "/usr/bin:/bin", "SYNTH_SPARK_BENCH_DATA": str(tmp_path), "PYTHONPATH": str(repository)},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 1
        assert ended.stderr.startswith("adult: ") and str(tmp_path) in ended.stderr, ended.stderr


def test_what_a_data_set_lacks_is_a_dash_in_its_row() -> None:
    table = load_script("table")
    figures = {"accuracy.overall": 0.95, "accuracy.overall.ceiling": 0.975, "peak_memory_bytes": 3 * 2**30}
    figures["sample.subjects_per_second"] = 12_345.6
    head, _, row = table.overview([{"benchmark": "adult", "figures": figures}]).splitlines()
    cells = dict(zip(head.split(" | "), row.split(" | "), strict=True))
    assert (cells["overall"], cells["coherence"], cells["peak, GiB"]) == ("0.950 / 0.975", "-", "3.0")
    assert cells["sampling, events/s"] == "12,346"


def test_the_table_has_data_sets_only_in_their_order() -> None:
    table = load_script("table")
    results = [{"benchmark": name, "figures": {}} for name in ("large_categories", "adult", "cdnow")]
    rows = table.overview(results).splitlines()[2:]
    assert [row.split("]")[0] for row in rows] == ["| [cdnow", "| [adult"]
