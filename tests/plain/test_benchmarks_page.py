"""The benchmark page is what its generator makes of the committed results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_page_is_generated(repository: Path, tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    subprocess.run([sys.executable, repository / "benchmarks" / "table.py", page], check=True, capture_output=True)
    committed = repository / "docs" / "benchmarks.md"
    assert page.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8"), "run: python benchmarks/table.py"


def test_every_result_is_one_row_of_the_first_table(repository: Path) -> None:
    results = [json.loads(path.read_text()) for path in (repository / "benchmarks" / "results").glob("*.json")]
    page = (repository / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| [")]
    assert sorted(row[0] for row in rows) == sorted(f"| [{r['benchmark']}](#{r['benchmark']})" for r in results)
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
