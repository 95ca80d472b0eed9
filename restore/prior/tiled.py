"""Denoising in overlapping tiles, so that memory does not grow with the picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restore.prior.denoiser import Denoiser, Wrapped, sigma_column

OVERLAP = 64


class TiledDenoiser(Wrapped):
    """D(x, σ) tile by tile, the overlaps blended with half-sine weights.

    Only the denoiser is tiled, anew at every step of a sampler; the operator stays whole, so
    consistency with the measurement is not affected and no seam can form.

    Args:
        prior: the denoiser of one tile.
        tile: side of a tile in pixels; tiles overlap by 64 pixels, or a quarter if that is less.
    """

    def __init__(self, prior: Denoiser, tile: int) -> None:
        super().__init__(prior)
        self.tile = tile
        self.overlap = min(OVERLAP, tile // 4)

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, C, H, W]."""
        height, width = x.shape[-2:]
        if max(height, width) <= self.tile:
            return self._prior(x, sigma)
        level = sigma_column(sigma, x)
        rows, columns = self._starts(height), self._starts(width)
        side = (min(self.tile, height), min(self.tile, width))
        window = self._ramp(side[0], x)[:, None] * self._ramp(side[1], x)
        total = torch.zeros_like(x)
        weight = x.new_zeros(height, width)
        for top in rows:
            for left in columns:
                area = (..., slice(top, top + side[0]), slice(left, left + side[1]))
                total[area] += window * self._prior(x[area], level.flatten())
                weight[area] += window
        return total / weight

    def _starts(self, size: int) -> list[int]:
        """Where the tiles begin: evenly spread, the last one ending with the picture."""
        if size <= self.tile:
            return [0]
        count = 1 + math.ceil((size - self.tile) / (self.tile - self.overlap))
        return [round(i * (size - self.tile) / (count - 1)) for i in range(count)]

    def _ramp(self, side: int, like: Tensor) -> Tensor:
        """sin² rise over the overlap at both ends, 1 between; nowhere 0."""
        position = torch.arange(side, device=like.device, dtype=like.dtype) + 0.5
        edge = torch.minimum(position, side - position) / self.overlap
        return torch.sin(math.pi / 2 * edge.clamp(max=1)).square()
