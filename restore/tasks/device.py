"""Which device a run uses, and in which precision the network runs there."""

from __future__ import annotations

import torch

from restore.errors import InputError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """The device by name; `auto` is the first of cuda, mps, cpu that is there.

    Raises:
        InputError: if the name is unknown or the device is absent; says what there is.
    """
    present = ["cpu"]
    if torch.cuda.is_available():
        present += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        present.append("mps")
    if name == "auto":
        return torch.device(next(d for d in ("cuda", "mps", "cpu") if d in present))
    if name not in present:
        raise InputError(f"--device {name}: not here; expected one of auto, {', '.join(present)}")
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> str:
    """The precision by name; `auto` is bf16 on a processor that multiplies in it, else fp32.

    There the bundled networks take half the time and lose some 0.01 dB.

    Raises:
        InputError: if the name is unknown.
    """
    if name == "auto":
        return "bf16" if device.type == "cpu" and _multiplies_in_bfloat16() else "fp32"
    if name not in DTYPES:
        raise InputError(f"--dtype {name}: expected one of auto, {', '.join(DTYPES)}")
    return name


def _multiplies_in_bfloat16() -> bool:
    """Whether this processor has instructions for it: without them bfloat16 is the slower one."""
    if not hasattr(torch.cpu, "get_capabilities"):  # older versions of torch do not tell
        return False
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
