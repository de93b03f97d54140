"""A small made source with attributes and events, and a config for it. [plain]"""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

DAY = datetime.date(2024, 1, 1)
REGIONS = np.array(["north", "south", "east", "Größe `w`"])
KINDS = np.array(["visit", "order", "return"])


def write_source(
    folder: Path, *, num_subjects: int = 400, seed: int = 3, secrets: dict[str, Any] | None = None
) -> None:
    """subjects.parquet and events.parquet; `secrets` plants one key, region, score and amount."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    keys = 5_000_017 + 7 * rng.permutation(num_subjects)
    regions = [None if rng.uniform() < 0.1 else str(REGIONS[rng.integers(4)]) for _ in keys]
    scores = [None if rng.uniform() < 0.2 else round(float(rng.normal(50, 10)), 1) for _ in keys]
    lengths = rng.integers(0, 6, num_subjects)
    owner = np.repeat(keys, lengths)
    days = np.concatenate([np.sort(rng.integers(0, 300, count)) for count in lengths])
    kinds = KINDS[rng.integers(0, 3, len(owner))]
    amounts = [Decimal(int(cents)).scaleb(-2) for cents in rng.integers(100, 5000, len(owner))]
    if secrets:
        regions[7], scores[7] = secrets["region"], secrets["score"]
        amounts[11] = secrets["amount"]
        owner[owner == keys[7]] = secrets["key"]
        keys[7] = secrets["key"]
    subjects = pa.table(
        {
            "customer id": pa.array(keys, pa.int64()),
            "region": pa.array(regions, pa.string()),
            "score": pa.array(scores, pa.float64()),
        }
    )
    events = pa.table(
        {
            "customer id": pa.array(owner, pa.int64()),
            "day": pa.array([DAY + datetime.timedelta(days=int(day)) for day in days], pa.date32()),
            "kind.of.event": pa.array(kinds, pa.string()),
            "amount": pa.array(amounts, pa.decimal128(12, 2)),
        }
    )
    pq.write_table(subjects, folder / "subjects.parquet")
    pq.write_table(events, folder / "events.parquet")


def write_config(folder: Path, *, name: str = "made", **sections: Any) -> Path:
    """A config beside the source, which is in <folder>/source."""
    document: dict[str, Any] = {
        "name": name,
        "source": {
            "subjects": {
                "path": str(folder / "source" / "subjects.parquet"),
                "format": "parquet",
                "key": "customer id",
            },
            "events": [
                {
                    "path": str(folder / "source" / "events.parquet"),
                    "format": "parquet",
                    "key": "customer id",
                    "order_by": "day",
                }
            ],
        },
        "sample": {"chunk_subjects": 64},
        "output": {"root": str(folder / "workspace")},
    }
    for section, values in sections.items():
        document[section] = {**document.get(section, {}), **values} if isinstance(values, dict) else values
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path
