"""The authors' repositories, which want a GPU and more libraries than they use."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import torch


def open_clone(clone: Path, *absent: str) -> None:
    """Make the modules of a clone importable.

    torchvision, tqdm and what else is `absent`, which it imports and does not need, are empty
    modules; `.to("cuda")` does nothing.
    """
    for name in ("torchvision", "torchvision.utils", "tqdm", *absent):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torchvision"].utils = sys.modules["torchvision.utils"]  # type: ignore[attr-defined]
    sys.modules["tqdm"].tqdm = lambda iterable: iterable  # type: ignore[attr-defined]
    sys.path.insert(0, str(clone))
    move = torch.Tensor.to
    torch.Tensor.to = (  # type: ignore[method-assign]
        lambda self, *args, **kwargs: self if args == ("cuda",) else move(self, *args, **kwargs)
    )
