"""A denoiser that counts its evaluations."""

from __future__ import annotations

from torch import Tensor

from restore.prior.denoiser import Denoiser


class Counted(Denoiser):
    """A denoiser with the number of its evaluations, one for each picture of a batch.

    Attributes:
        calls: evaluations so far.

    Args:
        prior: the denoiser.
    """

    def __init__(self, prior: Denoiser) -> None:
        self._prior = prior
        self.calls = 0
        self.channels, self.centre = prior.channels, prior.centre
        self.sigma_min, self.sigma_max = prior.sigma_min, prior.sigma_max

    def native_sigmas(self, steps: int) -> list[float] | None:
        """Those of the denoiser."""
        return self._prior.native_sigmas(steps)

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, C, H, W]."""
        self.calls += x.shape[0]
        return self._prior(x, sigma)
