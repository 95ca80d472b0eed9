"""Resampling as Pillow's `Image.resize` does it, as an operator; super-resolution."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from operators.separable import Separable
from operators.space import picture_shape

RESIZE_KERNELS = ("box", "bilinear", "bicubic", "lanczos")


def _box(x: Tensor) -> Tensor:
    return ((x > -0.5) & (x <= 0.5)).double()


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp_min(0)


def _cubic(x: Tensor) -> Tensor:
    # Keys' cubic convolution with a = -1/2.
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where((x >= -3) & (x < 3), torch.sinc(x) * torch.sinc(x / 3), 0)


_KERNELS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "box": (_box, 0.5),
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}


def resize_matrix(size_in: int, size_out: int, kernel: str = "bicubic") -> Tensor:
    """Return the `[size_out, size_in]` matrix of Pillow's resize along one axis, in float64.

    Output pixel i has its centre at (i + ½)·size_in/size_out; when shrinking, the kernel is
    stretched by size_in/size_out (the antialiasing); the weights within the picture are
    normalised to sum to 1.

    Args:
        size_in: Number of pixels.
        size_out: Number of pixels after the resize, smaller or larger.
        kernel: "box", "bilinear", "bicubic" or "lanczos".

    Raises:
        ValueError: If the kernel is unknown or a size is not positive.

    Source: the documentation and behaviour of Pillow's `Image.resize`; cubic: Keys 1981, a = -1/2.
    """
    if kernel not in _KERNELS:
        raise ValueError(
            f"resize: the kernel is one of {', '.join(RESIZE_KERNELS)}, not {kernel!r}"
        )
    if size_in < 1 or size_out < 1:
        raise ValueError(f"resize: cannot resize {size_in} pixels to {size_out}")
    function, support = _KERNELS[kernel]
    scale = size_in / size_out
    stretch = max(scale, 1.0)
    centre = (torch.arange(size_out, dtype=torch.float64, device="cpu")[:, None] + 0.5) * scale
    pixel = torch.arange(size_in, dtype=torch.float64, device="cpu")[None]
    first = torch.floor(centre - support * stretch + 0.5)
    end = torch.floor(centre + support * stretch + 0.5)
    weights = function((pixel - centre + 0.5) / stretch)
    weights = torch.where((pixel >= first) & (pixel < end), weights, 0)
    return weights / weights.sum(1, keepdim=True)


class Resize(Separable):
    """Pillow's `Image.resize` of each channel to any size, smaller or larger.

    Equal to Pillow's float mode to 1e-5, and to its 8-bit result within one grey level, except
    where that is not linear: Pillow clips to 0 … 255 between the two axes too, so beside saturated
    edges "bicubic" and "lanczos", which overshoot, differ by more (on a photograph shrunk 4 times,
    in 0.1 % and 0.4 % of the values, by up to 4 and 10 levels).

    Args:
        shape: `(C, H, W)`.
        size: `(h, w)` of the result.
        kernel: "box", "bilinear", "bicubic" or "lanczos".
        dtype: Number type of x and y.
        device: Device of the matrices.

    Raises:
        ShapeError: If the shape is not `[channels, height, width]`.
        ValueError: If the kernel is unknown or a size is not positive.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        size: tuple[int, int],
        kernel: str = "bicubic",
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        _, height, width = picture_shape(type(self).__name__, shape)
        rows = resize_matrix(height, size[0], kernel)
        square = (height, size[0]) == (width, size[1])
        columns = rows if square else resize_matrix(width, size[1], kernel)
        super().__init__(shape, rows, columns, dtype=dtype, device=device)


class Downsample(Resize):
    """Antialiased shrinking, equal to Pillow's `Image.resize`: a file that Pillow shrank is y.

    `Resize` says where the 8 bits of Pillow are not linear.

    Args:
        shape: `(C, H, W)`.
        factor: How many times smaller, any number ≥ 1; the sides of y are rounded (H/factor to the
            nearest, at least 1), and each axis then has the factor H/h exactly.
        size: `(h, w)` of y instead of a factor.
        kernel: "box", "bilinear", "bicubic" or "lanczos".
        dtype: Number type of x and y.
        device: Device of the matrices.

    Raises:
        ShapeError: If the shape is not `[channels, height, width]`.
        ValueError: If not exactly one of factor and size is given, if y would be larger than x,
            or if the kernel is unknown.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        factor: float | None = None,
        size: tuple[int, int] | None = None,
        kernel: str = "bicubic",
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        _, height, width = picture_shape("Downsample", shape)
        if (factor is None) == (size is None):
            raise ValueError("Downsample: give either a factor or a size (height, width)")
        if factor is not None:
            if not (factor >= 1 and math.isfinite(factor)):
                raise ValueError(f"Downsample: the factor is {factor}; it must be at least 1")
            size = (max(1, round(height / factor)), max(1, round(width / factor)))
        assert size is not None
        if size[0] > height or size[1] > width:
            raise ValueError(
                f"Downsample: the size {list(size)} is larger than {[height, width]}; use Resize"
            )
        super().__init__(shape, size, kernel, dtype=dtype, device=device)
