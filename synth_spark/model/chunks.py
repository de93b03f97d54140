"""How many subjects are generated together. [plain]"""

from __future__ import annotations

MOST_SUBJECTS, ENOUGH_SUBJECTS, FEWEST_SUBJECTS = 4096, 512, 16
SHARED_CODES = 1_000_000  # of a mean chunk: more would leave processors idle where subjects are few
MOST_ANSWERED = 10_000  # subjects of one answer of a server
MAX_CODES = 16_000_000  # likewise: 32 MB as int16, a few times that while its rows are written


def chunk_subjects_for(codes_per_subject: float) -> int:
    """Subjects per chunk that processors share: 4096, fewer where these would hold more than SHARED_CODES codes, but
    ENOUGH_SUBJECTS where memory holds them.

    A step costs a fixed time however few subjects take it; for ENOUGH_SUBJECTS that is a small part of its work.
    """
    wanted = max(ENOUGH_SUBJECTS, int(SHARED_CODES / max(codes_per_subject, 1.0)))
    return min(wanted, most_subjects_for(codes_per_subject))


def most_subjects_for(codes_per_subject: float) -> int:
    """Subjects that one process generates fastest: 4096, fewer where these would hold more than MAX_CODES codes, 16 at
    least."""
    return max(FEWEST_SUBJECTS, min(MOST_SUBJECTS, int(MAX_CODES / max(codes_per_subject, 1.0))))


def most_answered_for(codes_per_subject: float) -> int:
    """Subjects that a server gives in one answer, all in memory: MOST_ANSWERED, fewer where these would hold more than
    MAX_CODES codes, 1 at least."""
    return max(1, min(MOST_ANSWERED, int(MAX_CODES / max(codes_per_subject, 1.0))))
