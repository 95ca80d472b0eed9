"""Colourisation with hints: the luma of every pixel, and the colours of some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.colorize import Colorize
from operators.mask import Mask
from operators.space import ShapeError, Space, picture_shape, shape_text
from operators.svd import ThinSVD


class HintedColorize(LinearOperator):
    """y = (Σ_c w_c x_c, m·x): `Colorize` and `Mask` stacked, `[C, H, W]` to `[1 + C, H, W]`.

    For each pixel AᴴA = wwᵀ + mI, so V is one orthonormal basis of colours for all pixels, whose
    first vector is w/‖w‖: s = √(‖w‖² + m) along it and m across.

    Args:
        mask: `[H, W]` or `[1, H, W]`, 1 where the colour is known, otherwise 0.
        shape: `(C, H, W)`.
        weights: As for `Colorize`.
        dtype: Number type of x and y.
        device: Device of the operator's arrays.

    Raises:
        ShapeError: If the shape is not `[channels, height, width]`, or the mask has another size.
        ValueError: If the weights do not fit, or the mask has values other than 0 and 1.
    """

    _real_matrix: ClassVar[bool] = False

    def __init__(
        self,
        mask: Tensor,
        shape: tuple[int, ...],
        weights: str | Sequence[float] | Tensor = "bt601",
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        channels, height, width = picture_shape("HintedColorize", shape)
        mask = torch.as_tensor(mask)
        if tuple(mask.shape) not in ((height, width), (1, height, width)):
            raise ShapeError(
                f"HintedColorize: the mask is {shape_text(mask.shape)}; "
                f"the shape is {shape_text(shape)}"
            )
        super().__init__(Space(shape, dtype), Space((channels + 1, height, width), dtype))
        self._luma = Colorize(shape, weights, dtype=dtype, device=device)
        self._hints = Mask(mask.reshape(1, height, width), shape, dtype=dtype, device=device)

    def _apply(self, x: Tensor) -> Tensor:
        return torch.cat([self._luma(x), self._hints(x)], -3)

    def _adjoint(self, y: Tensor) -> Tensor:
        luma, colour = _first_and_rest(y)
        return self._luma.adjoint(luma) + self._hints.adjoint(colour)

    def _factorise(self) -> ThinSVD:
        shape, dtype, mask = self.domain.shape, self.domain.dtype, self._hints.mask
        weights = self._luma.weights.cpu().double()
        size = torch.linalg.vector_norm(weights)
        rest = torch.eye(len(weights), dtype=torch.float64, device="cpu")
        basis, _ = torch.linalg.qr(torch.cat([weights[:, None], rest], 1))
        basis = basis * torch.sign(basis[:, 0] @ weights)
        along = (size**2 + mask).sqrt().to(mask)
        right = _Basis(shape, basis.to(mask), dtype)
        left = _Stacked(shape, right, size.to(mask) / along, mask / along)
        return ThinSVD(left, torch.cat([along, mask.expand(len(basis) - 1, -1, -1)]), right)


class _Basis(LinearOperator):
    """From the coefficients of an orthonormal basis of colours to colours, for each pixel."""

    def __init__(self, shape: tuple[int, ...], basis: Tensor, dtype: torch.dtype) -> None:
        super().__init__(Space(shape, dtype), Space(shape, dtype))
        self._basis = basis

    def _apply(self, x: Tensor) -> Tensor:
        return torch.einsum("ij,...jhw->...ihw", self._basis, x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return torch.einsum("ij,...ihw->...jhw", self._basis, y)


class _Stacked(LinearOperator):
    """U: a coefficient along w goes to the luma and to the colour, the others to the colour."""

    _real_matrix: ClassVar[bool] = False

    def __init__(
        self, shape: tuple[int, ...], basis: _Basis, to_luma: Tensor, to_colour: Tensor
    ) -> None:
        dtype = basis.domain.dtype
        super().__init__(Space(shape, dtype), Space((shape[0] + 1, *shape[1:]), dtype))
        self._basis, self._to_luma, self._to_colour = basis, to_luma, to_colour

    def _apply(self, x: Tensor) -> Tensor:
        along, across = _first_and_rest(x)
        colour = self._basis(torch.cat([self._to_colour * along, across], -3))
        return torch.cat([self._to_luma * along, colour], -3)

    def _adjoint(self, y: Tensor) -> Tensor:
        luma, colour = _first_and_rest(y)
        along, across = _first_and_rest(self._basis.adjoint(colour))
        return torch.cat([self._to_luma * luma + self._to_colour * along, across], -3)


def _first_and_rest(x: Tensor) -> tuple[Tensor, Tensor]:
    """The first channel of [*batch, C, H, W], and the others."""
    return x.narrow(-3, 0, 1), x.narrow(-3, 1, x.shape[-3] - 1)
