"""Colourisation: a grey picture from a coloured one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.identity import Identity
from operators.space import Space, picture_shape
from operators.svd import ThinSVD

BT601 = (0.299, 0.587, 0.114)


class Colorize(LinearOperator):
    """y = Σ_c w_c x_c: `[C, H, W]` to `[1, H, W]`.

    One singular value ‖w‖ per pixel, with v = w/‖w‖.

    Args:
        shape: `(C, H, W)`.
        weights: "bt601" (0.299, 0.587, 0.114, as Pillow's mode L), "mean", or one number per
            channel.
        dtype: Number type of x and y.
        device: Device of the weights.

    Raises:
        ShapeError: If the shape is not `[channels, height, width]`.
        ValueError: If the weights are unknown, are not one per channel, or are all zero.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        weights: str | Sequence[float] | Tensor = "bt601",
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        channels, height, width = picture_shape("Colorize", shape)
        super().__init__(Space(shape, dtype), Space((1, height, width), dtype))
        if isinstance(weights, str):
            if weights not in ("bt601", "mean"):
                raise ValueError(
                    f'Colorize: weights are "bt601", "mean" or numbers, not {weights!r}'
                )
            weights = BT601 if weights == "bt601" else (1 / channels,) * channels
        if isinstance(weights, Tensor):
            weights = weights.cpu()
        values = torch.as_tensor(weights, dtype=torch.float64, device="cpu")
        if values.shape != (channels,):
            raise ValueError(f"Colorize: {values.numel()} weights for {channels} channels")
        if not bool(values.any()):
            raise ValueError("Colorize: the weights are all zero")
        self._weights = values.reshape(-1, 1, 1).to(device=device, dtype=self.domain.real_dtype)

    @property
    def weights(self) -> Tensor:
        """The weights, `[C]`."""
        return self._weights.flatten()

    @property
    def _coisometry(self) -> float | None:
        return float(self._norm())

    def resized(self, shape: tuple[int, ...]) -> Colorize:
        """Return the same weights for pictures of another height and width."""
        return Colorize(shape, self.weights, dtype=self.domain.dtype, device=self.device)

    def _norm(self) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(self._weights.cpu().double())
        return norm

    def _apply(self, x: Tensor) -> Tensor:
        return (self._weights * x).sum(-3, keepdim=True)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._weights * y

    def _factorise(self) -> ThinSVD:
        shape, dtype = self.codomain.shape, self.domain.dtype
        identity = Identity(shape, dtype=dtype, device=self.device)
        length = self._norm()
        unit = Colorize(
            self.domain.shape,
            self._weights.cpu().double().flatten() / length,
            dtype=dtype,
            device=self.device,
        )
        values = length.to(self._weights).expand(shape)
        return ThinSVD(identity, values, unit.H)
