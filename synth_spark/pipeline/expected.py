"""What a run would take, told from what the committed benchmarks took; nobody measured the data at hand. [plain]

An installed package has no benchmarks/results, so the figures stand here; tests/plain/test_expected.py makes them anew
from those files. A set's size is counted in cells: rows of its events (of flat data: of its subjects) times the columns
that are learned of them. Sets below a million cells tell what a stage takes before size matters, the others what a
million cells add.
"""

from __future__ import annotations

from dataclasses import dataclass

MACHINE = "2 CPUs of AMD EPYC or Intel(R) Xeon(R) Processor, 23.5 GiB of memory"
NUM_SETS = 8
LARGEST = 5.3  # million cells, of these sets
MILLION = 1_000_000
Range = tuple[float, float]


@dataclass(frozen=True)
class Cost:
    """Seconds of a stage, the fewest and the most: before size matters, and for each million cells."""

    fixed: Range
    per_million: Range = (0.0, 0.0)

    def seconds(self, cells: float) -> Range:
        """For so many cells."""
        low, high = (self.fixed[i] + self.per_million[i] * cells / MILLION for i in (0, 1))
        return low, high


START_UP = Cost((11.0, 16.3))
COSTS = {
    "encode": Cost((32.0, 43.7), (1.4, 3.9)),
    "sample": Cost((7.3, 10.1), (2.3, 2.5)),
    "decode": Cost((5.0, 10.4), (1.1, 1.7)),
    "qa": Cost((52.1, 128.9), (24.9, 26.0)),
    "publish": Cost((4.4, 7.9), (0.2, 0.2)),
}
PEAK_BYTES = (3_932_114_944, 7_275_656_192)  # of all processes of a run together, the least and the most
