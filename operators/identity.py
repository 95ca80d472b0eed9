"""The identity: a measurement that is the picture itself (denoising)."""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.space import Space
from operators.svd import ThinSVD


class Identity(LinearOperator):
    """y = x, for arrays of any shape.

    Args:
        shape: Shape without batch.
        dtype: Number type of x and y.
        device: Device of the singular values.
    """

    _isometry = _coisometry = 1.0

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        space = Space(shape, dtype)
        super().__init__(space, space)
        self._one = torch.ones((), dtype=space.real_dtype, device=device)

    def _apply(self, x: Tensor) -> Tensor:
        return x.clone()  # so that writing to the one leaves the other as it is

    def _adjoint(self, y: Tensor) -> Tensor:
        return y.clone()

    def _with_channels(self, channels: int) -> LinearOperator | None:
        shape = (channels, *self.domain.shape[1:])
        return Identity(shape, dtype=self.domain.dtype, device=self.device)

    def _factorise(self) -> ThinSVD:
        frame = copy(self)
        return ThinSVD(frame, self._one.expand(self.domain.shape), frame)
