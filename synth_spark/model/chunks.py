"""How many subjects are generated together. [plain]"""

from __future__ import annotations

MOST_SUBJECTS, FEWEST_SUBJECTS = 4096, 16
MAX_CODES = 16_000_000  # of a mean chunk: 32 MB as int16, a few times that while its rows are written


def chunk_subjects_for(codes_per_subject: float) -> int:
    """Subjects per chunk: 4096, fewer where they would hold more than MAX_CODES codes, 16 at least.

    A step costs a fixed time however few subjects take it, so a chunk is as large as memory lets it be.
    """
    return max(FEWEST_SUBJECTS, min(MOST_SUBJECTS, int(MAX_CODES / max(codes_per_subject, 1.0))))
