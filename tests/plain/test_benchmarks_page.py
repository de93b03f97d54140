"""The benchmark page is what its generator makes of the committed results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_page_is_generated(repository: Path, tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    subprocess.run([sys.executable, repository / "benchmarks" / "table.py", page], check=True, capture_output=True)
    committed = repository / "docs" / "benchmarks.md"
    assert page.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8"), "run: python benchmarks/table.py"
