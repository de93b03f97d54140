"""How many subjects are generated together, and how many rows at once get logits. [plain]"""

from __future__ import annotations

from collections.abc import Sequence

MOST_SUBJECTS, ENOUGH_SUBJECTS, FEWEST_SUBJECTS = 4096, 512, 16
SHARED_CODES = 1_000_000  # of a mean chunk: more would leave processors idle where subjects are few
MOST_ANSWERED = 10_000  # subjects of one answer of a server
MAX_CODES = 16_000_000  # likewise: 32 MB as int16, a few times that while its rows are written
MAX_LOGITS = 32_000_000  # at once, of all sub-columns: 128 MB in float32, some ten times that while they are trained


def most_rows_for(*cardinalities: Sequence[int]) -> int:
    """Rows that are worked on at once, of the table whose sub-columns have more codes together: one logit for each."""
    return max(1, MAX_LOGITS // max(1, *(sum(of_table) for of_table in cardinalities)))


def chunk_subjects_for(codes_per_subject: float, *cardinalities: Sequence[int]) -> int:
    """Subjects per chunk that processors share: 4096, fewer where these would hold more than SHARED_CODES codes, but
    ENOUGH_SUBJECTS where memory holds them.

    A step costs a fixed time however few subjects take it; for ENOUGH_SUBJECTS that is a small part of its work.
    """
    wanted = max(ENOUGH_SUBJECTS, int(SHARED_CODES / max(codes_per_subject, 1.0)))
    return min(wanted, most_subjects_for(codes_per_subject, *cardinalities))


def most_subjects_for(codes_per_subject: float, *cardinalities: Sequence[int]) -> int:
    """Subjects that one process generates fastest: 4096, fewer where these would hold more than MAX_CODES codes or take
    more than MAX_LOGITS in a step, 16 at least."""
    fitting = min(MOST_SUBJECTS, int(MAX_CODES / max(codes_per_subject, 1.0)), most_rows_for(*cardinalities))
    return max(FEWEST_SUBJECTS, fitting)


def most_answered_for(codes_per_subject: float) -> int:
    """Subjects that a server gives in one answer, all in memory: MOST_ANSWERED, fewer where these would hold more than
    MAX_CODES codes, 1 at least."""
    return max(1, min(MOST_ANSWERED, int(MAX_CODES / max(codes_per_subject, 1.0))))
