"""The page on columns: every cell of its table of odd values is a test, and every such test is a cell."""

from __future__ import annotations

import re
from pathlib import Path

from tests.with_spark.test_odd_values import CELLS


def test_every_cell_is_a_test(repository: Path) -> None:
    lines = (repository / "docs" / "codecs.md").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| value |"))
    heads = [re.findall(r"`([a-z]+)`", cell)[0] for cell in _cells(lines[start])[1:]]
    named = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        value, *cells = _cells(line)
        row = re.findall(r"^`([a-z-]+)`", value)[0]
        assert len(cells) == len(heads), row
        named += [f"{row}-{head}" for head, cell in zip(heads, cells, strict=True) if cell != "-"]
    assert sorted(named) == CELLS


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
