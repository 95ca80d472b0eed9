"""Spaces of arrays and the error that names two shapes which do not fit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

REAL_TYPES = {
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}
COMPLEX_TYPES = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def widest(device: torch.device) -> torch.dtype:
    """Return the widest real numbers of a device: Apple's accelerators have none of float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def double_home(device: torch.device) -> torch.device:
    """Return where double precision is computed for a device: there, or else on the CPU."""
    return device if widest(device) == torch.float64 else torch.device("cpu")


class ShapeError(ValueError):
    """An array does not fit an operator; the text names the operator and both shapes."""


def shape_text(shape: Iterable[int]) -> str:
    """Return a shape as it is printed in errors, for example `[3, 256, 256]`."""
    return str(list(shape))


@dataclass(frozen=True)
class Space:
    """The arrays that an operator takes or gives, without batch dimensions.

    Attributes:
        shape: Shape of one array, for example `(3, 256, 256)`.
        dtype: `float32`, `float64`, `complex64` or `complex128`.

    Raises:
        ValueError: If a side is not a positive number or the type is another one.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(side) for side in self.shape))
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"Space: every side must be positive; the shape is {list(self.shape)}")
        if self.dtype not in REAL_TYPES:
            names = ", ".join(str(dtype).removeprefix("torch.") for dtype in REAL_TYPES)
            raise ValueError(f"Space: the type is {self.dtype}; it must be one of {names}")

    @property
    def ndim(self) -> int:
        """Number of dimensions of one array."""
        return len(self.shape)

    @property
    def numel(self) -> int:
        """Number of elements of one array."""
        return math.prod(self.shape)

    @property
    def axes(self) -> tuple[int, ...]:
        """The dimensions of one array within a batch, counted from the end."""
        return tuple(range(-self.ndim, 0))

    @property
    def real_dtype(self) -> torch.dtype:
        """Type of the real part, in which buffers and singular values are kept."""
        return REAL_TYPES[self.dtype]

    def holds(self, x: object) -> bool:
        """Whether x is an array `[*batch, *shape]` of the type."""
        return (
            isinstance(x, torch.Tensor)
            and x.shape[-self.ndim :] == self.shape
            and x.dtype == self.dtype
        )

    def __str__(self) -> str:
        return shape_text(self.shape)


def refusal(x: object, space: Space, what: str, expected: str) -> Exception:
    """Return the error that says why x is no array of a space.

    Args:
        x: What a space does not hold.
        space: The space.
        what: The operator and the role of x.
        expected: What the shape should have been.
    """
    if not isinstance(x, torch.Tensor):
        return TypeError(f"{what} is a {type(x).__name__}; it must be a Tensor")
    if x.shape[-space.ndim :] != space.shape:
        return ShapeError(f"{what} is {shape_text(x.shape)}; {expected}")
    either = x.dtype in REAL_TYPES and x.is_complex() == space.dtype.is_complex
    return TypeError(
        f"{what} is {x.dtype}; the operator is {space.dtype} (convert it: "
        f".to({space.dtype}){f', or operator.to(dtype={x.dtype})' if either else ''})"
    )


def picture_shape(name: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return `shape` as (channels, height, width), or raise a `ShapeError` naming the operator."""
    if len(shape) != 3:
        raise ShapeError(
            f"{name}: the shape is {shape_text(shape)}; it must be [channels, height, width]"
        )
    channels, height, width = shape
    return int(channels), int(height), int(width)
