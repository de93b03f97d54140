"""Fresh keys: a keyed bijection of the subject number into the key's type. [plain]

Unique by construction, independent of partitioning, and unrelated to any real key. A Feistel network whose round
function is a hash: it needs no multiplication, so nothing overflows under ANSI rules.
"""

from __future__ import annotations

from synth_spark.codecs.units import decimal_shape
from synth_spark.errors import ContractError

ROUNDS = 4
BITS = {"tinyint": 6, "smallint": 14, "int": 30, "bigint": 62, "string": 62}


def key_bits(key_type: str) -> int:
    """Even number of bits of the keys of a type."""
    if key_type.startswith("decimal("):
        return min(62, ((10 ** decimal_shape(key_type)[0]).bit_length() - 1) // 2 * 2)
    return BITS[key_type]


def check_room(key_type: str, num_subjects: int) -> None:
    """Raises ContractError when the type has fewer keys than there are subjects."""
    if num_subjects > 2 ** key_bits(key_type):
        raise ContractError(
            f"key of type {key_type}: it has room for {2 ** key_bits(key_type)} synthetic subjects, "
            f"{num_subjects} were sampled; sample fewer, or cast the source's key to a wider type with select"
        )


def key_sql(number_sql: str, key_type: str, seed: int) -> str:
    """Expression of the key's type for the subject number (BIGINT, 0-based)."""
    bits = key_bits(key_type)
    half = bits // 2
    mask = 2**half - 1
    pair = f"named_struct('l', shiftright({number_sql}, {half}), 'r', {number_sql} & {mask}L)"
    round_ = f"named_struct('l', p.r, 'r', p.l ^ (xxhash64({seed}L, k, p.r) & {mask}L))"
    rounds = ", ".join(str(i) for i in range(ROUNDS))
    number = f"aggregate(array({rounds}), {pair}, (p, k) -> {round_}, p -> shiftleft(p.l, {half}) | p.r)"
    if key_type == "string":
        return f"concat('S', lpad(hex({number}), 16, '0'))"
    # 0 is a usual stand-in for "no key": keys begin at 1
    return f"CAST({number} + 1L AS {key_type.upper()})"
