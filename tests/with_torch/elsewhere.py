"""A device that is not there: its tensors hold values of the CPU, which may not touch the CPU's own.

Where a GPU would refuse a tensor of the CPU, so does this device, and stricter: a GPU takes indices from the CPU. It
calls itself `meta`, the one device without hardware that torch knows everywhere; the name decides nothing else.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

NAME = "meta"
_MOVES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class WrongDeviceError(RuntimeError):
    """Tensors of two devices met."""


class Elsewhere(torch.Tensor):
    """A tensor of that device; `held` are its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Elsewhere:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=NAME,
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


class _Factories(TorchDispatchMode):
    """Tensors that are made there by name are of that device."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


def _run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [part for part in tree_flatten((args, kwargs))[0] if isinstance(part, torch.Tensor)]
    there = [part for part in given if isinstance(part, Elsewhere)]
    here = [part for part in given if not isinstance(part, Elsewhere) and part.dim()]  # one number may be anywhere
    if there and here and function not in _MOVES:
        shapes = [tuple(part.shape) for part in there], [tuple(part.shape) for part in here]
        raise WrongDeviceError(f"{function}: {shapes[0]} of the device, {shapes[1]} of the CPU")
    asked = kwargs.get("device")
    is_there = bool(there) if asked is None else torch.device(asked).type == NAME
    if function is torch.ops.aten.copy_.default:
        is_there = isinstance(args[0], Elsewhere)
    own = {**kwargs, "device": "cpu"} if asked is not None else kwargs
    found = function(*_held(args), **_held(own))
    if not is_there:
        return found
    found = tree_map(lambda part: Elsewhere(part) if isinstance(part, torch.Tensor) else part, found)
    return return_and_correct_aliasing(function, args, kwargs, found) if there else found


def _held(parts: Any) -> Any:
    return tree_map(lambda part: part.held if isinstance(part, Elsewhere) else part, parts)


@contextlib.contextmanager
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device, while inside; autocast, which knows real devices only, is off."""
    with monkeypatch.context() as patched, _Factories():
        patched.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
        patched.setattr(torch, "is_autocast_enabled", lambda *_: False)
        # torch knows which devices have fused and joined kernels; this one has them all
        for module, name, answer in (
            ("torch.optim.adam", "_device_dtype_check_for_fused", None),
            ("torch.nn.utils.clip_grad", "_device_has_foreach_support", True),
        ):
            patched.setattr(sys.modules[module], name, lambda *_, answer=answer, **__: answer)
        yield torch.device(NAME)
