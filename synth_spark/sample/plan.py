"""Which synthetic subjects are generated together. [plain]

A chunk is the unit of reproducibility: a fixed range of subject numbers, always generated whole, so that its codes
depend on checkpoint, seed and range alone. The last one is generated whole too and cut afterwards, which makes N
subjects a prefix of 10 N.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_CHUNKS_PER_CORE = 4  # small enough shares that one slow chunk does not hold the job


@dataclass(frozen=True)
class SamplePlan:
    """All that a chunk's codes depend on, besides the weights."""

    num_subjects: int
    chunk_subjects: int
    seed: int

    @property
    def num_chunks(self) -> int:
        """Chunks that hold all subjects."""
        return -(-self.num_subjects // self.chunk_subjects)

    def num_partitions(self, cores: int) -> int:
        """Tasks of the sampling job; it changes nothing but its speed."""
        return max(1, min(self.num_chunks, _CHUNKS_PER_CORE * cores))

    def to_document(self) -> dict[str, int]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> SamplePlan:
        """The inverse of to_document."""
        return cls(**document)
