"""A weight for each value: what whitens measurements of unequal noise."""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.identity import Identity
from operators.space import ShapeError, Space, shape_text
from operators.svd import ThinSVD


class Diagonal(LinearOperator):
    """y = w·x with weights w ≥ 0; y has the shape of x. V = U = I and s = w.

    Args:
        weights: `shape`, or `[B, *shape]` with one set for each image of a batch.
        shape: Shape of x without batch.
        dtype: Number type of x and y.
        device: Device of the weights.

    Raises:
        ShapeError: If the weights do not end in `shape`.
        ValueError: If a weight is negative or not finite.
    """

    def __init__(
        self,
        weights: Tensor,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        space = Space(tuple(shape), dtype)
        super().__init__(space, space)
        if tuple(weights.shape[-space.ndim :]) != space.shape or weights.ndim > space.ndim + 1:
            raise ShapeError(
                f"Diagonal: the weights are {shape_text(weights.shape)}; the shape is {space}"
            )
        if not bool(weights.isfinite().all()) or bool((weights < 0).any()):
            raise ValueError("Diagonal: weights are finite and not negative")
        self._weights = weights.to(device=device, dtype=space.real_dtype, copy=True)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """() for one set of weights, `(B,)` for one an image."""
        return self._weights.shape[: -self.domain.ndim]

    def _take(self, index: Tensor) -> LinearOperator:
        return Diagonal(
            self._weights.index_select(0, index), self.domain.shape,
            dtype=self.domain.dtype, device=self.device,
        )  # fmt: skip

    def _apply(self, x: Tensor) -> Tensor:
        return self._weights * x

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._weights * y

    def _factorise(self) -> ThinSVD:
        identity = Identity(self.domain.shape, dtype=self.domain.dtype, device=self.device)
        return ThinSVD(identity, self._weights, identity)
