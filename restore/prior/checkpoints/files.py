"""Weights from a file of anyone's: memory-mapped, and nothing in it is ever executed."""

from __future__ import annotations

import ctypes
import mmap
import re
import struct
import warnings
import zipfile

# The exceptions of a refused or damaged file; nothing here unpickles by itself.
from _pickle import PickleError, UnpicklingError
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from restore.errors import InputError
from restore.io.json_text import parse_json

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
# Where training scripts keep the weights, averaged ones first.
NESTED = (
    "ema", "ema_state_dict", "ema_params", "ema_helper", "model_ema", "ema_model", "shadow",
    "state_dict", "model_state_dict", "model", "network", "net", "module",
)  # fmt: skip
PREFIXES = ("module.", "_orig_mod.")
# How many models an average is of, beside its weights (torch.optim.swa_utils.AveragedModel).
_COUNTER = "n_averaged"
CONFIG_KEY = "config"
# What torch.load raises on a damaged file or one that is something else.
_DAMAGED = (
    RuntimeError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    AssertionError, NotImplementedError, OverflowError, OSError, struct.error,
    zipfile.BadZipFile, PickleError, SafetensorError,
)  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Named tensors of a file, and what the file itself says about their architecture.

    Attributes:
        path: the file.
        state: its tensors by name.
        config: the architecture, as far as the file's metadata say it.
        mapped: the tensors are pages of the file, read when they are first used.
    """

    path: Path
    state: dict[str, Tensor]
    config: dict[str, Any]
    mapped: bool = False

    def take(self, name: str, device: str | torch.device, dtype: torch.dtype) -> Tensor:
        """Take a tensor out of `state`, on a device and of a dtype.

        Where it is mapped and already as asked for, it stays mapped. Where it has to be copied,
        the pages that were read for that are given back: never is more than one tensor held twice.
        """
        stored = self.state.pop(name)
        taken = stored.to(device, dtype)
        if self.mapped and taken is not stored:
            _give_back(stored)
        return taken


def read_weights(path: Path) -> Weights:
    """Read a safetensors or PyTorch file.

    PyTorch files are read with weights only: their pickle may build tensors and containers and
    nothing else, so a file with code is refused. Tensors are mapped from the file, not read.

    Raises:
        InputError: if the file is damaged, holds code, or has no weights in floating point.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(80)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a checkpoint") from None
    zipped = head[:4] == b"PK\x03\x04"
    stored_safely = head[8:9] == b"{"
    if len(head.strip()) > 9 and re.fullmatch(rb"[\t\r\n -~]*", head.strip()):
        raise InputError(
            f"{path}: text that begins with {head.split(maxsplit=1)[0].decode()!r}, such as a web "
            f"page or a pointer of Git LFS; expected a whole file of safetensors or of torch.save"
        )
    state, config = _safetensors(path) if stored_safely else (_torch(path, zipped), {})
    _check_floats(path, state)
    return Weights(path, without_prefix(state), config, mapped=stored_safely or zipped)


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        config = parse_json(metadata.get(CONFIG_KEY, "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; expected a whole safetensors file") from None
    return state, config if isinstance(config, dict) else {}


def _torch(path: Path, zipped: bool) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except UnpicklingError:
        raise InputError(
            f"{path}: not weights alone: it is damaged, or holds Python objects, whose code is "
            f"never run here; expected a state dict in safetensors or saved by torch.save "
            f"(EDM's .pkl: convert with tools/convert_edm.py where you trust the file)"
        ) from None
    except _DAMAGED as error:
        reason = str(error).partition("\n")[0][:120] or type(error).__name__
        raise InputError(
            f"{path}: {reason}; expected a whole file of safetensors or of torch.save"
        ) from None
    try:
        state = tensors_of(content)
    except (ValueError, RecursionError) as error:
        reason = "a container within itself" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path}: {reason}; expected a state dict") from None
    if not state:
        raise InputError(f"{path}: no named tensors in it; expected a state dict")
    return state


def _give_back(mapped: Tensor) -> None:
    """Drop the pages of a mapped tensor from memory; whoever reads it again reads the file."""
    if not hasattr(mmap, "MADV_DONTNEED"):  # Windows
        return
    storage = mapped.untyped_storage()
    first = -(-storage.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (storage.data_ptr() + storage.nbytes()) // mmap.PAGESIZE * mmap.PAGESIZE
    if first < end:
        size = ctypes.c_size_t(end - first)
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), size, mmap.MADV_DONTNEED)


def tensors_of(content: object) -> dict[str, Tensor]:
    """The state dict within what a training script saved; the averaged one where there is one."""
    if isinstance(content, list | tuple):  # the DDIM code: [weights, optimiser, epoch, step, ema]
        found = [state for part in content if (state := tensors_of(part))]
        return found[-1] if found else {}
    if not isinstance(content, Mapping):
        return {}
    averages = content.get("ema")
    if isinstance(averages, Mapping) and isinstance(averages.get("shadow_params"), list):
        return _averaged(tensors_of(content.get("model")), averages["shadow_params"])
    for name in NESTED:
        if isinstance(content.get(name), Mapping) and (state := tensors_of(content[name])):
            return state
    return {str(k): v for k, v in content.items() if isinstance(v, Tensor) and k != _COUNTER}


def _averaged(state: dict[str, Tensor], averages: list[Any]) -> dict[str, Tensor]:
    """The state dict with the averages of score_sde in it: a list, in the parameters' order.

    Raises:
        ValueError: if they are not those of the model.
    """
    trained = [k for k in state if not k.endswith(("sigmas", "all_modules.0.W"))]
    values = [v for v in averages if isinstance(v, Tensor)]
    if [state[k].shape for k in trained] != [v.shape for v in values]:
        raise ValueError(f"{len(values)} averaged weights that are not those of its model")
    return state | dict(zip(trained, values, strict=True))


def without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict without what wrappers put before every name."""
    for prefix in PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            return without_prefix({k.removeprefix(prefix): v for k, v in state.items()})
    return state


def _check_floats(path: Path, state: dict[str, Tensor]) -> None:
    for name, value in state.items():
        if value.dtype not in FLOATS and value.ndim > 1:
            kind = str(value.dtype).removeprefix("torch.")
            raise InputError(f"{path}: {name} is {kind}; expected weights in floating point")
        if value.layout != torch.strided or value.is_meta:
            raise InputError(f"{path}: {name} is not a dense tensor")
