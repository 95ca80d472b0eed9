"""Blur kernels as the command line names them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from operators import box_kernel, disk_kernel, gaussian_kernel, motion_kernel
from restore.errors import InputError
from restore.io.kernel import read_kernel

FORMS = "gaussian:SIGMA, box:N, motion:LENGTH,ANGLE, disk:RADIUS or FILE"
# Larger ones are no blur that could be undone, and the disk is drawn 16 times as fine.
LARGEST = 301


@dataclass(frozen=True)
class Kernel:
    """A blur kernel.

    Attributes:
        weights: [rows, columns] in float64, both odd, that sum to 1; without margins of zeros.
        notes: what the user should know.
    """

    weights: Tensor
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Shape:
    """A kernel with parameters: how many, what they must be, the side that it takes, and itself."""

    count: int
    expected: str
    valid: Callable[..., bool]
    side: Callable[..., float]
    build: Callable[..., Tensor]


_SHAPES = {
    "gaussian": _Shape(
        1, "a standard deviation above 0", lambda s: s > 0, lambda s: 8 * s + 1, gaussian_kernel
    ),
    "box": _Shape(
        1,
        "an odd number of pixels (an even one would shift the picture by half a pixel)",
        lambda n: n > 0 and n % 2 == 1,
        lambda n: n,
        lambda n: box_kernel(int(n)),
    ),
    "motion": _Shape(
        2,
        "a length of at least 1 pixel and an angle in degrees",
        lambda length, angle: length >= 1,  # noqa: ARG005
        lambda length, angle: length,  # noqa: ARG005
        lambda length, angle: motion_kernel(length, math.radians(angle)),
    ),
    "disk": _Shape(1, "a radius above 0", lambda r: r > 0, lambda r: 2 * r, disk_kernel),
}


def parse_kernel(text: str, expected: str = FORMS) -> Kernel:
    """A blur kernel by its text.

    Args:
        text: `gaussian:SIGMA` (cut at 4σ), `box:N`, `motion:LENGTH,ANGLE` (degrees,
            counter-clockwise from the horizontal), `disk:RADIUS`, in pixels, or a file
            (`restore.io.kernel`).
        expected: what there is, for the error.

    Raises:
        InputError: one line that says what was found and what was expected.
    """
    name, colon, rest = text.partition(":")
    if not (colon and name in _SHAPES):
        if not Path(text).is_file():
            raise InputError(f"--kernel {text}: no such kernel or file; expected {expected}")
        weights, total = read_kernel(Path(text))
        rows, columns = weights.shape
        _check_side(text, max(rows, columns))
        note = f"kernel {text}: {columns}x{rows}, divided by its sum {total:.6g}"
        return Kernel(_trimmed(torch.from_numpy(weights)), (note,))
    shape = _SHAPES[name]
    parameters = [_number(part) for part in rest.split(",")]
    finite = all(map(math.isfinite, parameters))
    if not finite or len(parameters) != shape.count or not shape.valid(*parameters):
        raise InputError(f"--kernel {text}: expected {shape.expected}")
    _check_side(text, shape.side(*parameters))
    return Kernel(_trimmed(shape.build(*parameters)))


def absolute(text: str) -> str:
    """The text of a kernel so that it holds in any folder."""
    return str(Path(text).absolute()) if Path(text).is_file() else text


def check_fits(kernel: Kernel, text: str, path: Path, size: tuple[int, int]) -> None:
    """Refuse a kernel that is larger than the picture of `size` (rows, columns).

    Raises:
        InputError: likewise.
    """
    rows, columns = kernel.weights.shape
    if rows > size[0] or columns > size[1]:
        raise InputError(
            f"{path}: the kernel {text} is {columns}x{rows}, larger than the picture "
            f"{size[1]}x{size[0]}; expected a smaller kernel"
        )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _check_side(text: str, side: float) -> None:
    if side > LARGEST:
        raise InputError(
            f"--kernel {text}: {math.ceil(side)} pixels on a side; expected at most {LARGEST}"
        )


def _trimmed(weights: Tensor) -> Tensor:
    """Without the zeros around it, as many on either side, so that the centre stays."""
    for axis in (0, 1):
        size = weights.shape[axis]
        used = (weights != 0).any(1 - axis).nonzero()
        margin = min(int(used.min()), size - 1 - int(used.max()))
        weights = weights.narrow(axis, margin, size - 2 * margin)
    return weights
