"""Files are replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from synth_spark.files import add_line, replace_text


def test_a_broken_off_replacement_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "made" / "on" / "the" / "way.json"
    replace_text(path, "old")

    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        replace_text(path, "new and longer")
    assert path.read_text(encoding="utf-8") == "old"


def test_lines_are_added_in_order(tmp_path: Path) -> None:
    for line in ("one", "zwölf"):
        add_line(tmp_path / "log.jsonl", line)
    assert (tmp_path / "log.jsonl").read_text(encoding="utf-8") == "one\nzwölf\n"
    assert [file.name for file in tmp_path.iterdir()] == ["log.jsonl"]
