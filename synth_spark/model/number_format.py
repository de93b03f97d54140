"""Which numbers weights are multiplied in. [torch]"""

from __future__ import annotations

import torch

from synth_spark.machine import processor_flags, processor_vendor

FLOAT32, BFLOAT16 = "float32", "bfloat16"
_FIRST_WITH_BFLOAT16 = (8, 0)  # compute capability: Ampere
_NATIVE = {"amx_bf16", "avx_ne_convert", "bf16"}  # of processors, as Linux calls them
_IN_VECTORS, _NATIVE_IN_VECTORS = "avx512_bf16", "AuthenticAMD"  # Intel's take twice as long as in float32
_SIZES_PER_DOUBLING = 16


def resolve_number_format(asked: str, device: torch.device) -> str:
    """For auto, bfloat16 where processor or GPU multiply it natively, else float32."""
    if asked != "auto":
        return asked
    return BFLOAT16 if _multiplies_bfloat16(device) else FLOAT32


def sampling_format(trained_in: str, device: torch.device) -> torch.dtype:
    """bfloat16 for a model that was trained in it, where it is native: elsewhere it would only be slower."""
    return torch.bfloat16 if trained_in == BFLOAT16 and _multiplies_bfloat16(device) else torch.float32


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":  # torch.cuda.is_bf16_supported counts what is only emulated, too
        return torch.cuda.get_device_capability(device) >= _FIRST_WITH_BFLOAT16
    if device.type != "cpu" or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    flags = processor_flags()  # oneDNN counts what it emulates with other instructions, several times slower
    in_vectors = _IN_VECTORS in flags and processor_vendor() == _NATIVE_IN_VECTORS
    return not flags or not flags.isdisjoint(_NATIVE) or in_vectors


def fewer_sizes(count: int) -> int:
    """The next of few numbers of rows, at most a sixteenth above.

    oneDNN compiles a matrix product in bfloat16 for each new size, which takes several times as long as the product.
    """
    unit = max(1, (1 << count.bit_length()) // _SIZES_PER_DOUBLING // 2)
    return count + -count % unit
