"""Inpainting: kept and missing pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.identity import Identity
from operators.space import ShapeError, Space, shape_text
from operators.svd import ThinSVD


class Mask(LinearOperator):
    """y = m·x: kept pixels where m = 1, zero where m = 0; y has the shape of x.

    V = U = I and s = m, so the transforms of the SVD cost nothing.

    Args:
        mask: Zeros and ones (or booleans): `[H, W]`, `[1, H, W]` or `[C, H, W]`, in general
            anything that broadcasts to `shape`; or one mask per image with leading batch
            dimensions, `[B, 1, H, W]` or `[B, C, H, W]`.
        shape: Shape of x without batch, `(C, H, W)`.
        dtype: Number type of x and y.
        device: Device of the mask.

    Raises:
        ShapeError: If the mask does not broadcast to `shape`; on use, if x does not end in
            `shape` or its batch is not that of the masks.
        ValueError: If the mask has values other than 0 and 1.
    """

    def __init__(
        self,
        mask: Tensor,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        space = Space(shape, dtype)
        super().__init__(space, space)
        mask = torch.as_tensor(mask)
        own = mask.shape[-space.ndim :]
        if any(
            side not in (1, full) for side, full in zip(own[::-1], space.shape[::-1], strict=False)
        ):
            raise ShapeError(f"Mask: the mask is {shape_text(mask.shape)}; the shape is {space}")
        if not bool(((mask == 0) | (mask == 1)).all()):
            raise ValueError("Mask: the values of a mask are 0 (missing) and 1 (kept)")
        while mask.ndim < space.ndim:
            mask = mask[None]
        self._mask = mask.to(device=device, dtype=space.real_dtype, copy=True)

    @property
    def mask(self) -> Tensor:
        """The mask as numbers 0 and 1, `[*batch, ...]`, with sides of 1 where it is repeated."""
        return self._mask

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """() for one mask, the batch dimensions for one mask per image."""
        return self._mask.shape[: -self.domain.ndim]

    def _take(self, index: Tensor) -> LinearOperator:
        new = object.__new__(Mask)
        kept = {key: value for key, value in self.__dict__.items() if key != "_svd"}
        new.__dict__.update(kept, _mask=self._mask.index_select(0, index))
        return new

    def _domain_text(self) -> str:
        return f"the mask is {shape_text(self._mask.shape)}"

    def _codomain_text(self) -> str:
        return self._domain_text()

    def _apply(self, x: Tensor) -> Tensor:
        return self._mask * x

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._mask * y

    def _normal(self, x: Tensor) -> Tensor:
        return self._apply(x)  # m² = m

    def _with_channels(self, channels: int) -> LinearOperator | None:
        if self.domain.ndim < 3 or self._mask.shape[-self.domain.ndim] != 1:
            return None
        shape = (channels, *self.domain.shape[1:])
        return Mask(self._mask, shape, dtype=self.domain.dtype, device=self.device)

    def _factorise(self) -> ThinSVD:
        identity = Identity(self.domain.shape, dtype=self.domain.dtype, device=self.device)
        values = self._mask.expand(*self.batch_shape, *self.domain.shape)
        return ThinSVD(identity, values, identity)
