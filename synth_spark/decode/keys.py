"""Fresh keys: a keyed bijection of the subject number into the key's type. [plain]

Unique by construction, independent of partitioning, and unrelated to any real key. A Feistel network whose round
function is a hash.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from synth_spark.codecs import units
from synth_spark.codecs.draws import mixed
from synth_spark.codecs.units import IntArray, Units, decimal_shape
from synth_spark.errors import ContractError
from synth_spark.seeds import derive

ROUNDS = 4
BITS = {"tinyint": 6, "smallint": 14, "int": 30, "bigint": 62, "string": 62}
_HEX = np.frombuffer(b"0123456789ABCDEF", dtype=np.uint8)


def key_bits(key_type: str) -> int:
    """Even number of bits of the keys of a type."""
    if key_type.startswith("decimal("):
        return min(62, ((10 ** decimal_shape(key_type)[0]).bit_length() - 1) // 2 * 2)
    return BITS[key_type]


def room(key_type: str) -> int:
    """How many subjects keys of a type can name."""
    return int(2 ** key_bits(key_type))


def check_room(key_type: str, num_subjects: int) -> None:
    """Raises ContractError when the type has fewer keys than there are subjects."""
    if num_subjects > room(key_type):
        raise ContractError(
            f"key of type {key_type}: it has room for {room(key_type)} synthetic subjects, "
            f"not for {num_subjects}; sample fewer (sample.subjects), or cast the key to a wider type with select"
        )


def key_numbers(subjects: IntArray, key_type: str, seed: int) -> IntArray:
    """N numbers from 0, one for each subject number (0-based) of a run's seed, in the order of their keys."""
    half = np.uint64(key_bits(key_type) // 2)
    mask = (np.uint64(1) << half) - np.uint64(1)
    words = subjects.astype(np.uint64)
    left, right = words >> half, words & mask
    for number in range(ROUNDS):
        left, right = right, left ^ (mixed(right + np.uint64(derive(seed, "keys", number))) & mask)
    return (left << half | right).astype(np.int64)


def keys_of(numbers: IntArray, key_type: str) -> pa.Array:
    """Keys of the key's type."""
    if key_type == "string":
        return _texts(numbers)
    # 0 is a usual stand-in for "no key": keys begin at 1
    return units.from_units(key_type, {"scale": 0}, Units(numbers + 1))


def _texts(numbers: IntArray) -> pa.Array:
    """S and sixteen hexadecimal digits."""
    digits = numbers.astype(">u8").view(np.uint8)
    text = np.full((len(numbers), 17), ord("S"), dtype=np.uint8)
    text[:, 1::2], text[:, 2::2] = (_HEX[half].reshape(-1, 8) for half in (digits >> 4, digits & 15))
    offsets = np.arange(0, text.size + 1, 17, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(text))
