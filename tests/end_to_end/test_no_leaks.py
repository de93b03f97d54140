"""Planted secrets appear in nothing that a run leaves, and the scanner that says so finds them where they are."""

from __future__ import annotations

import sqlite3
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end import scanner

if TYPE_CHECKING:
    from conftest import MadeLine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _needles(secrets: dict[str, Any]) -> list[Any]:
    numbers = [scanner.number_needle(name, secrets[name]) for name in ("score", "amount", "key")]
    return [scanner.text_needle("region", secrets["region"]), *numbers]


def test_nothing_that_the_run_left_holds_a_secret(made_line: MadeLine, planted: dict[str, Any]) -> None:
    salt = made_line.workspace.salt_file
    needles = [*_needles(planted), scanner.secret_needle("salt", salt.read_bytes())]
    assert scanner.scan(made_line.workspace.root, needles, without=(salt,)) == []
    if any(file.is_file() for file in made_line.temporary.rglob("*")):
        assert scanner.scan(made_line.temporary, needles) == []


def test_the_scanner_finds_them_in_the_source(made_line: MadeLine, planted: dict[str, Any]) -> None:
    found = " ".join(scanner.scan(made_line.folder / "source", _needles(planted)))
    assert all(f"{name} in" in found for name in ("region", "score", "amount", "key"))


def test_the_scanner_finds_them_in_sqlite_and_zip(tmp_path: Path, planted: dict[str, Any]) -> None:
    with sqlite3.connect(tmp_path / "planted.db") as database:
        database.execute("create table t (region text, score real, amount real, key integer)")
        values = (planted["region"], planted["score"], float(planted["amount"]), planted["key"])
        database.execute("insert into t values (?, ?, ?, ?)", values)
    with zipfile.ZipFile(tmp_path / "planted.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.json", str(planted))
    found = scanner.scan(tmp_path, _needles(planted))
    for name in ("region", "score", "amount", "key"):
        assert any(f"{name} in" in line and "planted.db" in line for line in found), name
        assert any(f"{name} in" in line and "inner.json" in line for line in found), name
