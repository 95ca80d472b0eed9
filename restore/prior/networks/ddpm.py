"""The UNet of denoising diffusion probabilistic models, in the layout of their PyTorch port.

Ho, Jain and Abbeel (NeurIPS 2020); the names of the parameters are those of pytorch_diffusion's
CelebA-HQ and LSUN checkpoints, which DDIM and DDRM use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.prior.networks.layers import (
    CheckpointNetwork,
    attend,
    nearest_doubled,
    shrinking_conv,
    sinusoidal,
)


@dataclass(frozen=True)
class DDPMConfig:
    """The architecture.

    Attributes:
        in_channels: channels of the picture.
        out_channels: of the output.
        base: width of the embedding of t.
        widths: channels of each level, from fine to coarse.
        blocks: residual blocks a level.
        attention: whether each level has attention.
        conv_resampling: resample with a convolution.
    """

    in_channels: int
    out_channels: int
    base: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[bool, ...]
    conv_resampling: bool = True


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


class _Block(nn.Module):
    def __init__(self, channels: int, width: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = _norm(channels)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.temb_proj = nn.Linear(embedding, width)
        self.norm2 = _norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        if channels != width:
            self.nin_shortcut = nn.Conv2d(channels, width, 1)
        self.widens = channels != width

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.temb_proj(embedding)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        total: Tensor = (self.nin_shortcut(x) if self.widens else x) + h
        return total


class _Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2)[:, None] for layer in (self.q, self.k, self.v))
        attended = attend(q, k, v).reshape(x.shape)
        total: Tensor = x + self.proj_out(attended)
        return total


class _Resample(nn.Module):
    def __init__(self, channels: int, conv: bool, down: bool) -> None:
        super().__init__()
        self.down = down
        if conv:
            self.conv = nn.Conv2d(
                channels, channels, 3, stride=2 if down else 1, padding=0 if down else 1
            )
        self.convolves = conv

    def forward(self, x: Tensor) -> Tensor:
        if self.down:
            return shrinking_conv(self.conv, x) if self.convolves else F.avg_pool2d(x, 2)
        x = nearest_doubled(x)
        return self.conv(x) if self.convolves else x


class _Level(nn.Module):
    """The blocks of a level, its attentions, and the resampling to the next one."""

    def __init__(self, blocks: list[_Block], width: int, attention: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(blocks)
        self.attn = nn.ModuleList(_Attention(width) for _ in blocks if attention)

    def step(self, i: int, h: Tensor, embedding: Tensor) -> Tensor:
        h = self.block[i](h, embedding)
        return self.attn[i](h) if len(self.attn) else h


class DDPM(CheckpointNetwork):
    """ε of [B, in_channels, H, W] at time t [B].

    Args:
        config: the architecture.
    """

    def __init__(self, config: DDPMConfig) -> None:
        super().__init__()
        self.config = config
        widths, embedding = config.widths, 4 * config.base
        self.multiple = 2 ** (len(widths) - 1)
        self.temb = nn.Module()
        self.temb.dense = nn.ModuleList(
            [nn.Linear(config.base, embedding), nn.Linear(embedding, embedding)]
        )
        self.conv_in = nn.Conv2d(config.in_channels, config.base, 3, padding=1)
        channels = config.base
        skips = [channels]
        self.down = nn.ModuleList()
        for i, width in enumerate(widths):
            entering = [channels] + [width] * (config.blocks - 1)
            level = _Level(
                [_Block(c, width, embedding) for c in entering], width, config.attention[i]
            )
            channels = width
            skips += [width] * config.blocks
            if i < len(widths) - 1:
                level.downsample = _Resample(width, config.conv_resampling, down=True)
                skips.append(width)
            self.down.append(level)
        self.mid = nn.Module()
        self.mid.block_1 = _Block(channels, channels, embedding)
        self.mid.attn_1 = _Attention(channels)
        self.mid.block_2 = _Block(channels, channels, embedding)
        up: list[_Level] = []
        for i, width in reversed(list(enumerate(widths))):
            blocks = []
            for _ in range(config.blocks + 1):
                blocks.append(_Block(channels + skips.pop(), width, embedding))
                channels = width
            level = _Level(blocks, width, config.attention[i])
            if i > 0:
                level.upsample = _Resample(width, config.conv_resampling, down=False)
            up.insert(0, level)
        self.up = nn.ModuleList(up)
        self.norm_out = _norm(channels)
        self.conv_out = nn.Conv2d(channels, config.out_channels, 3, padding=1)

    def edges(self) -> Iterable[nn.Module]:
        """Embedding, first convolution, last norm and convolution."""
        return [self.temb, self.conv_in, self.norm_out, self.conv_out]

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """ε of x at t [B]."""
        first, second = self.temb.get_submodule("dense").children()
        features = sinusoidal(time, self.config.base, 1, cosine_first=False)
        embedding = F.silu(second(F.silu(first(features.to(x.dtype))))).to(self.body_dtype)
        h = self.conv_in(x).to(self.body_dtype)
        skips = [h]
        for level in self.down:
            assert isinstance(level, _Level)
            for i in range(self.config.blocks):
                h = level.step(i, h, embedding)
                skips.append(h)
            if "downsample" in level._modules:
                h = level.get_submodule("downsample")(h)
                skips.append(h)
        h = self.mid.get_submodule("block_1")(h, embedding)
        h = self.mid.get_submodule("attn_1")(h)
        h = self.mid.get_submodule("block_2")(h, embedding)
        for level in reversed(list(self.up)):
            assert isinstance(level, _Level)
            for i in range(self.config.blocks + 1):
                h = level.step(i, torch.cat([h, skips.pop()], dim=1), embedding)
            if "upsample" in level._modules:
                h = level.get_submodule("upsample")(h)
        output: Tensor = self.conv_out(F.silu(self.norm_out(h.to(x.dtype))))
        return output
