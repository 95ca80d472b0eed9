"""A pretended accelerator that computes, for machines without one.

Its tensors say that they lie on Apple's device and are computed on the CPU. As there, double
precision is refused, and so is a tensor of the CPU beside one of the device, or one that NumPy is
to read. What fake tensors cannot be used for, code that looks at values, runs on it: whole
commands. Gradients do not, since torch looks for the device itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("mps")
DOUBLE = (torch.float64, torch.complex128)
_aten = torch.ops.aten
# What takes tensors of two devices.
_MIXING = {
    _aten._to_copy.default,
    _aten.copy_.default,
    _aten.index.Tensor,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
}


class Pretended(Tensor):
    """A tensor of the device; `inner` is where its numbers are."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> Pretended:
        if inner.dtype in DOUBLE:
            raise TypeError(f"the device has no {inner.dtype}")
        shown: Pretended = Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=DEVICE,
        )  # fmt: skip
        shown.inner = inner
        return shown

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


def _plain(tree: Any) -> Any:
    return tree_map(lambda t: t.inner if isinstance(t, Pretended) else t, tree)


def _is_ours(device: Any) -> bool:
    return device is not None and torch.device(device).type == DEVICE.type


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation on the CPU, of the numbers of all tensors; what it gives is the device's."""
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    ours = {id(t.inner): t for t in tensors if isinstance(t, Pretended)}
    if func not in _MIXING and ours:
        others = [t for t in tensors if not isinstance(t, Pretended) and t.ndim > 0]
        if others:
            raise RuntimeError(f"{func}: of two devices")
    kwargs = _plain(kwargs)
    stays = bool(ours)
    if kwargs.get("device") is not None:
        stays = _is_ours(kwargs["device"])
        kwargs["device"] = torch.device("cpu")
    result = func(*_plain(args), **kwargs)
    if ours and any(t.dtype in DOUBLE for t in tree_leaves(result) if isinstance(t, Tensor)):
        raise TypeError(f"{func}: the device has no double precision")
    if func is _aten.copy_.default:
        return args[0]

    def shown(t: Any) -> Any:
        if not stays or not isinstance(t, Tensor):
            return t
        return ours[id(t)] if id(t) in ours else Pretended(t.resolve_conj().resolve_neg())

    return tree_map(shown, result)


def _moved(
    x: Tensor, *args: Any, device: Any = None, dtype: Any = None, copy: bool = False, **kwargs: Any
) -> Tensor:
    """`x.to(...)`."""
    for argument in args:
        if isinstance(argument, Tensor):
            device, dtype = argument.device, argument.dtype
        elif isinstance(argument, torch.dtype):
            dtype = argument
        elif isinstance(argument, (str, torch.device)):
            device = argument
    kwargs.pop("non_blocking", None)
    if device is None or (_is_ours(device) and isinstance(x, Pretended)):
        return x.to(dtype=dtype, copy=copy, **kwargs)
    if _is_ours(device):
        return Pretended(x.detach().to(dtype=dtype, copy=True, **kwargs))
    if not isinstance(x, Pretended):
        return x.to(device=device, dtype=dtype, copy=copy, **kwargs)
    if dtype in DOUBLE:
        raise TypeError("the device has no double precision to be copied in")
    return x.inner.to(dtype=dtype, copy=True, **kwargs)


class _Above(TorchFunctionMode):
    """Functions for which torch would look for the device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if func is Tensor.to:
            return _moved(*args, **kwargs)
        if func is Tensor.numpy and isinstance(args[0], Pretended):
            raise TypeError("NumPy reads the memory of the CPU")
        if func is Tensor.tolist:
            return func(*_plain(args))
        if _is_ours(kwargs.get("device")) and name != "_parse_to":
            return Pretended(func(*_plain(args), **kwargs | {"device": "cpu"}))
        if name.startswith("new_") and isinstance(args[0], Pretended):
            made = func(args[0].inner, *args[1:], **kwargs)
            return made if kwargs.get("device") is not None else Pretended(made)
        try:
            return func(*args, **kwargs)
        except RuntimeError as error:
            if "not linked with support" not in str(error):
                raise
        return _computed(func, args, kwargs)


class _Below(TorchDispatchMode):
    """What torch makes on the device by itself."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class DefaultDevice(TorchFunctionMode):
    """`torch.set_default_device`, which a library has to live with."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _device_constructors() and kwargs.get("device") is None:
            kwargs = kwargs | {"device": DEVICE}
        return func(*args, **kwargs)


@contextmanager
def accelerator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The device is there."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Above(), _Below():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrites)
