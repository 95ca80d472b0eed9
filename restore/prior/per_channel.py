"""A prior of one channel for images of several that share no pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.prior.denoiser import Denoiser, Wrapped


class PerChannel(Wrapped):
    """Denoises each channel by itself, as the sets of a folded MRI image want it.

    Args:
        prior: of one channel.
        channels: of the images.
    """

    def __init__(self, prior: Denoiser, channels: int) -> None:
        super().__init__(prior)
        self.channels = channels
        self._count = channels

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, channels, H, W]."""
        level = sigma
        if isinstance(sigma, Tensor) and sigma.numel() > 1:
            level = torch.repeat_interleave(sigma.flatten(), self._count)
        return self._prior(x.flatten(0, 1)[:, None], level).reshape(x.shape)
