"""The exact SVD of a CT scan, made once for each geometry and kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from operators import RayFactors, factor_bytes, ray_factors
from operators.picture_symmetry import PictureSymmetry
from operators.ray_svd import CUT
from operators.rays import RayOperator
from restore.errors import InputError
from restore.io.atomic import atomic_path
from restore.tasks.cache import cache_folder
from restore.tasks.memory import available_memory

_VERSION = 1


def exact_factors(
    operator: RayOperator, on_step: Callable[[int, int], None] | None = None
) -> RayFactors:
    """The factors of a scan whose pixels have side 1, from the user's cache folder if they can be.

    Two processes that make the same ones at once each write a file of their own, and the last one
    to finish is kept.

    Args:
        operator: the scan.
        on_step: called with the blocks done and their number while they are made.

    Raises:
        NoFastSVD: if its rays are not symmetric.
        InputError: if there is too little memory.
    """
    path = cache_folder() / f"ct-svd-{_key(operator)}.safetensors"
    kept = _read(path)
    if kept is not None:
        return kept
    needed, left = factor_bytes(operator)
    available = available_memory(operator.device)
    if available is not None and needed > available:
        raise InputError(
            f"the exact SVD of {operator.domain.shape[1]}x{operator.domain.shape[2]} pixels needs "
            f"{needed / 2**30:.1f} GiB of memory, found {available / 2**30:.1f}; expected a "
            "smaller --size, or a method such as ddrm-cg"
        )
    factors = ray_factors(operator, on_step)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free > 2 * left:
            _write(path, factors)
    except (OSError, InputError):
        pass  # a home that cannot be written to: the factors are made every time
    return factors


def _key(operator: RayOperator) -> str:
    cut = CUT[operator.domain.dtype]
    head = f"{_VERSION} {operator.domain.shape} {operator.domain.dtype} {cut} "
    content = operator.lines().cpu().numpy().tobytes()
    return hashlib.sha256(head.encode() + content).hexdigest()[:24]


def _write(path: Path, factors: RayFactors) -> None:
    blocks = {"vectors": factors.vectors, "values": factors.values}
    tensors = {
        f"{name}.{i}": part.cpu().contiguous()
        for name, parts in blocks.items()
        for i, part in enumerate(parts)
    }
    with atomic_path(path) as temporary:
        save_file(
            tensors, temporary, {"symmetry": json.dumps(dataclasses.asdict(factors.symmetry))}
        )


def _read(path: Path) -> RayFactors | None:
    """What was kept; None where nothing was, or the file is damaged."""
    try:
        with safe_open(path, framework="pt") as stored:
            symmetry = PictureSymmetry(**json.loads(stored.metadata()["symmetry"]))
            count = len(symmetry.sizes)

            def part(name: str) -> tuple[torch.Tensor, ...]:
                return tuple(stored.get_tensor(f"{name}.{i}") for i in range(count))

            return RayFactors(symmetry, part("vectors"), part("values"))
    except (FileNotFoundError, SafetensorError, KeyError):
        return None
