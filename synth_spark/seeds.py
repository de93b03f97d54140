"""Seeds and secrets are derived, never consumed. [plain]"""

from __future__ import annotations

import hashlib
import hmac

MOST_SUBJECTS = 4_000_000_000  # of one sampling seed: even draws number subjects with 32 bits


def derive(run_seed: int, *names: str | int) -> int:
    """A 63-bit seed that depends on the run seed and the names alone; its values are pinned by a test."""
    message = "\x1f".join(str(part) for part in (run_seed, *names)).encode("utf-8")
    return int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 1


def drawing_seed(run_seed: int, weights_digest: str) -> int:
    """What keys all that is drawn from a model: draws, keys, values inside codes.

    Another model has another one although its config is the same: else subjects of two publications would share keys
    and draws, and what one real subject changes could be told from their differences.
    """
    return derive(run_seed, "drawn from", weights_digest)


def salt_fingerprint(salt: bytes) -> str:
    """Tells one salt from another, 32 hex digits; the salt cannot be told from it."""
    return hmac.new(salt, b"fingerprint", hashlib.sha256).hexdigest()[:32]


def keyed_threshold(salt: bytes, seed: int, *names: str) -> int:
    """A protection threshold of 5, 6, 7 or 8 subjects that nobody without the salt can recompute."""
    message = "\x1f".join(("threshold", str(seed), *names)).encode("utf-8")
    return 5 + hmac.new(salt, message, hashlib.sha256).digest()[0] % 4
