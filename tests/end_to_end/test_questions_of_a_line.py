"""Ten questions of the analysts' page, asked of a fresh line on CDNOW: as near to the truth as the page says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_fresh_line_answers_as_the_page_tolerates(tmp_path: Path) -> None:
    document = yaml.safe_load((ROOT / "conf" / "cdnow.yml").read_text(encoding="utf-8"))
    document["output"] = {"root": str(tmp_path / "workspace")}
    config = tmp_path / "cdnow.yml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    page = (ROOT / "docs" / "for-analysts.md").read_text(encoding="utf-8")
    for command in (["-m", "synth_spark.cli", "run"], ["benchmarks/questions.py", "--check"]):
        done = subprocess.run([sys.executable, *command, str(config)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("tolerated.") == 10
    assert (ROOT / "docs" / "for-analysts.md").read_text(encoding="utf-8") == page
