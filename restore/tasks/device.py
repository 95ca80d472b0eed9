"""Which device a run uses."""

from __future__ import annotations

import torch

from restore.errors import InputError


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
