"""The manifest: exactly which files, rows and subjects training reads. [plain]"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synth_spark.errors import ContractError
from synth_spark.files import replace_text
from synth_spark.json_file import read_json


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of the sequences table: one split, one row group."""

    path: str  # absolute URL, such as file:///...
    split: str
    rows: int
    row_groups: int
    subject_number_sum: int


@dataclass(frozen=True)
class Manifest:
    """A version of the sequences table, resolved from the Delta log to its active files (sorted by path)."""

    table: str
    delta_version: int
    codebook_fingerprint: str
    schema_digest: str
    source_digest: dict[str, str]  # source table -> digest of its content, see synth_spark.source
    files: tuple[DataFile, ...]
    salt: str = ""  # fingerprint of the salt that split the subjects; none where nothing was split by one

    def check_salt(self, fingerprint: str) -> None:
        """Whether the salt at hand gives the split that this run was encoded with.

        Raises:
            ContractError: it does not, so who trained would be taken for holdout subjects.
        """
        if self.salt not in ("", fingerprint):
            raise ContractError(
                "salt: another one than this run was encoded with, so training and holdout subjects would be mixed up; "
                "restore the workspace's secrets/salt, or SYNTH_SPARK_SALT as it was, or start a new run"
            )

    def of_split(self, split: str) -> tuple[DataFile, ...]:
        """Files of a split, sorted by path."""
        return tuple(file for file in self.files if file.split == split)

    def rows(self, split: str) -> int:
        """Rows of a split."""
        return sum(file.rows for file in self.of_split(split))

    def to_json(self) -> str:
        """Canonical JSON; without a salt as it was before salts had fingerprints, so that digests stay."""
        document = {name: value for name, value in asdict(self).items() if name != "salt" or value}
        return json.dumps(document, sort_keys=True, indent=1)

    @property
    def digest(self) -> str:
        """Digest of the JSON, 32 hex digits."""
        return hashlib.sha256(self.to_json().encode("utf-8")).hexdigest()[:32]

    def save(self, path: Path) -> None:
        """Write atomically."""
        replace_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read and check.

        Raises:
            ContractError: missing or damaged.
        """
        try:
            document = read_json(path)
            document["files"] = tuple(_file(item) for item in document["files"])
            return cls(**document)
        except FileNotFoundError:
            raise ContractError(f"manifest {path}: not found; run the encode stage first") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ContractError(f"manifest {path}: damaged or foreign ({error}); run the encode stage again") from None


def _file(item: dict[str, Any]) -> DataFile:
    found = DataFile(**item)
    numbers = (found.rows, found.row_groups, found.subject_number_sum)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError("a file's rows, row_groups and subject_number_sum are whole numbers")
    return found
