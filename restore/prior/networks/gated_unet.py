"""The UNet of the bundled models: gated convolution blocks on a pixel-unshuffled picture.

Fully convolutional and without attention, so any picture size is served. The simple gate (two
halves multiplied in place of an activation) follows Chen et al., "Simple Baselines for Image
Restoration" (ECCV 2022); the conditioning on the noise level is FiLM (Perez et al., AAAI 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EMBEDDING = 128
FREQUENCIES = 16


class Float32Conv2d(nn.Conv2d):
    """A convolution that autocast leaves alone.

    For the picture's way in and out: in half precision the picture itself would be quantised.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, h, w] → [B, out, h', w']."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x)


class NoiseEmbedding(nn.Module):
    """Fourier features of ln σ / 4 through a small perceptron: [B] → [B, 128]."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        # From one period over the whole range of noise levels to one in a factor of e.
        octaves = torch.linspace(math.log(0.1), math.log(4.0), FREQUENCIES)
        self.register_buffer("frequencies", octaves.exp(), persistent=False)
        self.mlp = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING)
        )

    def forward(self, log_sigma: Tensor) -> Tensor:
        """Embed [B] noise levels."""
        angle = 2 * math.pi * log_sigma[:, None] * self.frequencies
        features: Tensor = self.mlp(torch.cat([angle.sin(), angle.cos()], dim=1))
        return F.silu(features)


class GatedBlock(nn.Module):
    """x + conv(gate(conv(FiLM(layer-norm(x))))), `width` channels in and out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.film = nn.Linear(EMBEDDING, 2 * width)
        self.expand = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.project = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():  # a block begins close to the identity
            self.project.weight.mul_(0.1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """[B, width, h, w] with the embedding [B, 128] → the same shape."""
        scale, shift = self.film(embedding)[:, None, None, :].chunk(2, dim=-1)
        # In channels-last memory the permutation is free and the norm runs over contiguous rows.
        h = self.norm(x.permute(0, 2, 3, 1))
        h = torch.addcmul(shift, h, 1 + scale).permute(0, 3, 1, 2)
        a, b = self.expand(h).chunk(2, dim=1)
        projected: Tensor = self.project(a * b)
        return x + projected


class GatedUNet(nn.Module):
    """UNet F(x, ln σ / 4) → same shape; every side must be a multiple of `multiple`.

    Args:
        channels: channels of the picture.
        widths: channels of each level, from fine to coarse.
        blocks: blocks at each level on the way down; the coarsest level has its number once.
        unshuffle: factor of the pixel-unshuffle at the input.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (48, 96, 160),
        blocks: Sequence[int] = (2, 2, 4),
        unshuffle: int = 2,
    ) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        self.multiple = unshuffle * 2 ** (len(widths) - 1)
        packed = channels * unshuffle**2
        self.embedding = NoiseEmbedding()
        self.stem = Float32Conv2d(packed, widths[0], 3, padding=1)
        self.head = Float32Conv2d(widths[0], packed, 3, padding=1)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
        fine = range(len(widths) - 1)

        def stage(level: int) -> nn.ModuleList:
            return nn.ModuleList(GatedBlock(widths[level]) for _ in range(blocks[level]))

        self.down_blocks = nn.ModuleList(stage(i) for i in fine)
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in fine)
        self.middle = stage(len(widths) - 1)
        self.up = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 1) for i in fine)
        self.up_blocks = nn.ModuleList(stage(i) for i in fine)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def set_body_dtype(self, dtype: torch.dtype) -> GatedUNet:
        """Run all but the first and last convolution and the embedding in `dtype`."""
        for part in (self.down_blocks, self.down, self.middle, self.up, self.up_blocks):
            part.to(dtype)
        return self

    def forward(self, x: Tensor, log_sigma: Tensor) -> Tensor:
        """F of [B, channels, H, W] and ln σ / 4 [B]."""
        embedding = self.embedding(log_sigma)
        h = self.stem(
            F.pixel_unshuffle(x, self.unshuffle).contiguous(memory_format=torch.channels_last)
        )
        outer = h.dtype
        body = next(self.middle.parameters()).dtype
        h, embedding = h.to(body), embedding.to(body)
        skips: list[Tensor] = []
        for stage, down in zip(self.down_blocks, self.down, strict=True):
            h = _through(stage, h, embedding)
            skips.append(h)
            h = down(h)
        h = _through(self.middle, h, embedding)
        for stage, up in zip(reversed(self.up_blocks), reversed(self.up), strict=True):
            h = F.pixel_shuffle(up(h), 2).contiguous(memory_format=torch.channels_last)
            h = _through(stage, h + skips.pop(), embedding)
        return F.pixel_shuffle(self.head(h.to(outer)), self.unshuffle)


def _through(blocks: nn.Module, h: Tensor, embedding: Tensor) -> Tensor:
    for block in blocks.children():
        h = block(h, embedding)
    return h
