"""Finds texts and numbers in whatever a run leaves: raw bytes, and Parquet, sqlite and archives unpacked. [plain]"""

from __future__ import annotations

import base64
import gzip
import io
import sqlite3
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


@dataclass(frozen=True)
class Needle:
    """Something that must not be found, in all the byte forms it could take, and as a value."""

    name: str
    patterns: tuple[bytes, ...]
    value: str | float | None = None


def text_needle(name: str, text: str) -> Needle:
    return Needle(name, (text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be")), text)


def number_needle(name: str, number: int | float | Decimal) -> Needle:
    texts = {str(number), repr(float(number)), f"{float(number):.10g}"}
    patterns = [text.encode() for text in texts] + [struct.pack("<d", float(number)), struct.pack(">d", float(number))]
    whole = [int(number)] if number == int(number) else []
    if isinstance(number, Decimal):
        whole.append(int(number.scaleb(2)))
    for integer in whole:
        patterns += [struct.pack("<q", integer), struct.pack(">q", integer)]
    return Needle(name, tuple(patterns), float(number))


def secret_needle(name: str, secret: bytes) -> Needle:
    return Needle(name, (secret, secret.hex().encode(), base64.b64encode(secret), repr(secret)[2:-1].encode()))


def scan(folder: Path, needles: list[Needle], *, without: tuple[Path, ...] = ()) -> list[str]:
    """'needle in file' for every find under a folder."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file not in without]
    assert files, f"{folder} holds no files"
    return [f"{needle.name} in {where}" for file in files for needle, where in _finds(file, needles)]


def _finds(file: Path, needles: list[Needle]) -> Iterator[tuple[Needle, str]]:
    for where, content in _unpacked(str(file), file.read_bytes()):
        for needle in needles:
            if any(pattern in content for pattern in needle.patterns):
                yield needle, where
        if content[:4] == b"PAR1":
            yield from _parquet_finds(where, content, needles)
    with file.open("rb") as opened:
        if opened.read(15) == b"SQLite format 3":
            yield from _sqlite_finds(file, needles)


def _unpacked(where: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The bytes themselves, and those of whatever is packed in them."""
    yield where, content
    if content[:2] == b"\x1f\x8b":
        yield from _unpacked(f"{where}|gunzip", gzip.decompress(content))
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from _unpacked(f"{where}|{name}", archive.read(name))
    elif content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive.getmembers():
                if (opened := archive.extractfile(member)) is not None:
                    yield from _unpacked(f"{where}|{member.name}", opened.read())


def _parquet_finds(where: str, content: bytes, needles: list[Needle]) -> Iterator[tuple[Needle, str]]:
    file = pq.ParquetFile(io.BytesIO(content))
    footer = [str(file.metadata.metadata), *_statistics(file.metadata)]
    values = {value for column in file.read().columns for value in _flat(column.to_pylist())}
    texts = [str(value) for value in values] + footer
    numbers = {float(value) for value in values if isinstance(value, int | float | Decimal)}
    for needle in needles:
        if isinstance(needle.value, str) and any(needle.value in text for text in texts):
            yield needle, f"{where}|values"
        if isinstance(needle.value, float):
            if needle.value in numbers or any(
                pattern.decode("latin-1") in "".join(footer) for pattern in needle.patterns[:3]
            ):
                yield needle, f"{where}|values"


def _statistics(metadata: pq.FileMetaData) -> Iterator[str]:
    """Smallest and largest values in the footer; types that pyarrow cannot show are found as raw bytes."""
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            try:
                yield str(metadata.row_group(group).column(column).statistics)
            except NotImplementedError:
                continue


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(list(value))
        elif isinstance(value, dict):
            yield from _flat([*value.keys(), *value.values()])
        elif value is not None:
            yield value


def _sqlite_finds(file: Path, needles: list[Needle]) -> Iterator[tuple[Needle, str]]:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        content = "\n".join(database.iterdump()).encode("utf-8", "surrogateescape")
    for needle in needles:
        if any(pattern in content for pattern in needle.patterns):
            yield needle, f"{file}|dump"
