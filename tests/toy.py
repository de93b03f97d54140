"""Small seeded sequences with the shape of the real ones, for tests that need no source tables. [plain]"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synth_spark.codebook import Codebook, FieldSpec, SourceColumn, SourceTable
from synth_spark.manifest import DataFile, Manifest
from synth_spark.train.plan import Window

STATIC_CARDINALITIES = (5, 4)  # an attribute, the length
EVENT_CARDINALITIES = (7, 12)
LOWS, HIGHS = (0, 1, 2, 5), (0, 1, 4, 9)
FLAT_CARDINALITIES = (5, 6, 1)  # two attributes, the length


def codebook() -> Codebook:
    """A codebook whose codes are those of `window`."""
    static = (
        FieldSpec("group", "category", "string", (STATIC_CARDINALITIES[0],), {}),
        FieldSpec("length", "length", "int", (STATIC_CARDINALITIES[1],), {"lows": list(LOWS), "highs": list(HIGHS)}),
    )
    event = tuple(
        FieldSpec(f"e{i}", "number", "int", (c,), {"missing": False, "atoms": list(range(c)), "lows": [], "highs": []})
        for i, c in enumerate(EVENT_CARDINALITIES)
    )
    return Codebook(
        subjects=None,
        events=SourceTable((SourceColumn("id", "bigint"), SourceColumn("at", "date")), "id", "at"),
        static_fields=static,
        event_fields=event,
        num_subjects={"training": 0, "validation": 0},
        num_events={"training": 0, "validation": 0},
        seed=1,
    )


def flat_codebook() -> Codebook:
    """A codebook whose codes are those of `flat_window`."""
    static = (
        *(FieldSpec(f"a{i}", "category", "string", (c,), {}) for i, c in enumerate(FLAT_CARDINALITIES[:-1])),
        FieldSpec("length", "length", "int", (1,), {"lows": [0], "highs": [0]}),
    )
    columns = tuple(SourceColumn(spec.name, "string") for spec in static[:-1])
    return dataclasses.replace(
        codebook(), subjects=SourceTable(columns, None), events=None, static_fields=static, event_fields=()
    )


def window(num_subjects: int, *, seed: int = 0, first_number: int = 0) -> Window:
    """Subjects whose events depend on their group and on the event before, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    group = rng.choice(STATIC_CARDINALITIES[0], num_subjects, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    length_code = rng.choice(len(LOWS), num_subjects, p=[0.05, 0.45, 0.35, 0.15])
    num_events = np.array([rng.integers(LOWS[c], HIGHS[c] + 1) for c in length_code], dtype=np.int64)
    owner = np.repeat(np.arange(num_subjects), num_events)
    step = np.concatenate([np.arange(n) for n in num_events]) if len(owner) else np.empty(0, dtype=np.int64)
    first = (group[owner] + step + (rng.random(len(owner)) < 0.1)) % EVENT_CARDINALITIES[0]
    second = (2 * first + rng.integers(0, 2, len(owner))) % EVENT_CARDINALITIES[1]
    return Window(
        subject_numbers=np.arange(first_number, first_number + num_subjects, dtype=np.int64),
        static_codes=np.stack([group, length_code], axis=1).astype(np.int16),
        num_events=num_events,
        event_codes=np.stack([first, second], axis=1).astype(np.int16).reshape(-1, 2),
    )


def flat_window(num_subjects: int, *, seed: int = 0, first_number: int = 0) -> Window:
    """Subjects without events, whose second attribute follows from the first nine times in ten."""
    rng = np.random.default_rng(seed)
    first = rng.choice(5, num_subjects, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    second = np.where(rng.random(num_subjects) < 0.9, first, rng.integers(0, 6, num_subjects))
    return Window(
        subject_numbers=np.arange(first_number, first_number + num_subjects, dtype=np.int64),
        static_codes=np.stack([first, second, np.zeros_like(first)], axis=1).astype(np.int16),
        num_events=np.zeros(num_subjects, dtype=np.int64),
        event_codes=np.empty((0, 0), dtype=np.int16),
    )


def long_window(num_subjects: int, *, seed: int = 0, first_number: int = 0, longest: int = 60) -> Window:
    """Subjects with 1 to `longest` events of random codes."""
    rng = np.random.default_rng(seed)
    num_events = rng.integers(1, longest + 1, num_subjects)
    codes = [rng.integers(0, cardinality, num_events.sum()) for cardinality in EVENT_CARDINALITIES]
    static = [rng.integers(0, cardinality, num_subjects) for cardinality in STATIC_CARDINALITIES]
    return Window(
        subject_numbers=np.arange(first_number, first_number + num_subjects, dtype=np.int64),
        static_codes=np.stack(static, axis=1).astype(np.int16),
        num_events=num_events,
        event_codes=np.stack(codes, axis=1).astype(np.int16),
    )


def table_of(part: Window, split: str) -> pa.Table:
    """Rows of a sequences table."""
    lists = [part.event_codes[a:b].ravel() for a, b in zip(part.offsets[:-1], part.offsets[1:], strict=True)]
    return pa.table(
        {
            "subject_number": pa.array(part.subject_numbers),
            "split": pa.array([split] * len(part.num_events), pa.string()),
            "num_events": pa.array(part.num_events.astype(np.int32)),
            "static_codes": pa.array(list(part.static_codes), pa.list_(pa.int16())),
            "event_codes": pa.array(lists, pa.list_(pa.int16())),
        }
    )


@dataclass(frozen=True)
class ToyRun:
    """Paths of a made-up encode run."""

    folder: Path
    manifest: Path
    codebook: Path


def write_run(
    folder: Path,
    *,
    training_files: list[int],
    validation_files: list[int],
    seed: int = 0,
    make: Callable[..., Window] = window,
    book: Codebook | None = None,
) -> ToyRun:
    """Files with the given numbers of rows (made by `make`), manifest and codebook."""
    folder.mkdir(parents=True, exist_ok=True)
    files, number = [], 0
    for split, sizes in (("training", training_files), ("validation", validation_files)):
        for index, rows in enumerate(sizes):
            part = make(rows, seed=seed + number, first_number=number)
            number += rows
            path = folder / f"{split}-{index:03d}.parquet"
            pq.write_table(table_of(part, split), path)
            files.append(DataFile(path.as_uri(), split, rows, 1, int(part.subject_numbers.sum())))
    book = book or codebook()
    book.save(folder / "codebook.json")
    Manifest("toy", 0, book.fingerprint, "toy", {}, tuple(files)).save(folder / "manifest.json")
    return ToyRun(folder, folder / "manifest.json", folder / "codebook.json")
