"""A denoiser that counts its evaluations."""

from __future__ import annotations

from torch import Tensor

from restore.prior.denoiser import Denoiser, Wrapped


class Counted(Wrapped):
    """A denoiser with the number of its evaluations, one for each picture of a batch.

    Attributes:
        calls: evaluations so far.

    Args:
        prior: the denoiser.
    """

    def __init__(self, prior: Denoiser) -> None:
        super().__init__(prior)
        self.calls = 0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, C, H, W]."""
        self.calls += x.shape[0]
        return self._prior(x, sigma)
