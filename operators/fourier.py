"""Single-coil MRI: the centred Fourier transform, and samples of it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.identity import Identity
from operators.mask import Mask
from operators.space import ShapeError, Space
from operators.svd import ThinSVD


def centred_fft(x: Tensor, axes: tuple[int, ...] = (-2, -1)) -> Tensor:
    """Return the orthonormal DFT with the origin of both sides in the middle, index n // 2."""
    shifted = torch.fft.ifftshift(x, axes)
    spectrum: Tensor = torch.fft.fftshift(torch.fft.fftn(shifted, dim=axes, norm="ortho"), axes)
    return spectrum


def centred_ifft(y: Tensor, axes: tuple[int, ...] = (-2, -1)) -> Tensor:
    """Return the inverse of `centred_fft`, which is its adjoint."""
    shifted = torch.fft.ifftshift(y, axes)
    image: Tensor = torch.fft.fftshift(torch.fft.ifftn(shifted, dim=axes, norm="ortho"), axes)
    return image


class Fourier(LinearOperator):
    """k-space of an image: the centred orthonormal DFT of height and width, any size.

    Args:
        shape: Shape of x without batch, `(..., H, W)`.
        dtype: `complex64` or `complex128`.
        device: Device of the singular values, and of what it is applied to.

    Raises:
        TypeError: If the type is real.
    """

    _real_matrix: ClassVar[bool] = False
    _isometry = _coisometry = 1.0

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.complex64,
        device: str | torch.device = "cpu",
    ) -> None:
        space = complex_space("Fourier", shape, dtype)
        super().__init__(space, space)
        self._one = torch.ones((), dtype=space.real_dtype, device=device)

    def _apply(self, x: Tensor) -> Tensor:
        return centred_fft(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return centred_ifft(y)

    def _factorise(self) -> ThinSVD:
        identity = Identity(self.domain.shape, dtype=self.domain.dtype, device=self.device)
        return ThinSVD(self, self._one.expand(self.domain.shape), identity)


class CartesianMRI(LinearOperator):
    """y = m·(F x): k-space of one coil on a grid, zero where it was not sampled.

    Partial Fourier is a mask like any other. V = Fᴴ, U = I, s = m.

    Args:
        mask: Zeros and ones that broadcast to `shape`, `[H, W]`, `[1, W]` (lines) or one per
            image, `[B, 1, H, W]`. DC is at (H // 2, W // 2).
        shape: Shape of x without batch, `(1, H, W)`.
        dtype: `complex64` or `complex128`.
        device: Device of the mask.

    Raises:
        ShapeError: If the mask does not broadcast to `shape`.
        ValueError: If the mask has values other than 0 and 1.
        TypeError: If the type is real.
    """

    _real_matrix: ClassVar[bool] = False

    def __init__(
        self,
        mask: Tensor,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.complex64,
        device: str | torch.device = "cpu",
    ) -> None:
        space = complex_space("CartesianMRI", shape, dtype)
        super().__init__(space, space)
        self._sampling = Mask(mask, space.shape, dtype=dtype, device=device)

    @property
    def mask(self) -> Tensor:
        """The mask as numbers 0 and 1, `[*batch, ...]`, with sides of 1 where it is repeated."""
        return self._sampling.mask

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """() for one mask, the batch dimensions for one mask per image."""
        return self._sampling.batch_shape

    def _take(self, index: Tensor) -> LinearOperator:
        new = object.__new__(CartesianMRI)
        new.__dict__.update(
            domain=self.domain, codomain=self.codomain, _sampling=self._sampling.take(index)
        )
        return new

    def _apply(self, x: Tensor) -> Tensor:
        return self._sampling(centred_fft(x))

    def _adjoint(self, y: Tensor) -> Tensor:
        return centred_ifft(self._sampling(y))

    def _factorise(self) -> ThinSVD:
        sampled = self._sampling.svd()
        transform = Fourier(self.domain.shape, dtype=self.domain.dtype)
        return ThinSVD(sampled.left, sampled.singular_values, transform.H)


def complex_space(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Space:
    """Return the space of complex images, or raise an error that names the operator."""
    if not dtype.is_complex:
        raise TypeError(f"{name}: the type is {dtype}; it must be complex64 or complex128")
    if len(shape) < 2:
        raise ShapeError(f"{name}: the shape is {list(shape)}; it must end in rows and columns")
    return Space(tuple(shape), dtype)
