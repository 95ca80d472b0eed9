"""NCSN++, DDPM++ and the DDPM of score_sde_pytorch, in the layout of its checkpoints.

Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations" (ICLR
2021). All modules are in one list, so the names of the parameters are their numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.prior.networks.layers import (
    CheckpointNetwork,
    Resample,
    attend,
    nearest_doubled,
    shrinking_conv,
    sinusoidal,
)

HALF = math.sqrt(0.5)


@dataclass(frozen=True)
class NCSNppConfig:
    """The architecture.

    Attributes:
        channels: channels of the picture.
        base: width of the first convolution and of the embedding.
        widths: channels of each level, from fine to coarse.
        blocks: residual blocks a level.
        attention: whether each level has attention.
        residual: blocks that resample, of BigGAN, or plain ones with resampling layers, of DDPM.
        embedding: Fourier features of ln σ, or sines and cosines of a time.
        fir: resample with the filter (1, 3, 3, 1); otherwise means and nearest neighbours.
        skip_rescale: divide sums by √2.
        progressive_input: how the shrunk picture enters each level.
        progressive_output: whether each level adds to the output.
        combine: how the shrunk picture is joined, for "input_skip".
    """

    channels: int
    base: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[bool, ...]
    residual: Literal["biggan", "ddpm"] = "biggan"
    embedding: Literal["fourier", "positional"] = "fourier"
    fir: bool = True
    skip_rescale: bool = True
    progressive_input: Literal["none", "input_skip", "residual"] = "none"
    progressive_output: bool = False
    combine: Literal["sum", "cat"] = "sum"

    def norm(self, channels: int) -> nn.GroupNorm:
        """Group norm of so many channels."""
        groups = 32 if self.residual == "ddpm" else min(channels // 4, 32)
        return nn.GroupNorm(groups, channels, eps=1e-6)

    def sum(self, x: Tensor, h: Tensor) -> Tensor:
        """x + h, or (x + h) / √2."""
        return (x + h) * HALF if self.skip_rescale else x + h


class _Fourier(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(width), requires_grad=False)

    def forward(self, sigma: Tensor) -> Tensor:
        angle = sigma.float().log()[:, None] * self.W[None] * 2 * math.pi
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class _Mix(nn.Module):
    """A linear map of the channels of each pixel."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(channels, width))
        self.b = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.W.t()[:, :, None, None], self.b)


class _Block(nn.Module):
    def __init__(
        self, config: NCSNppConfig, channels: int, width: int, down: bool = False, up: bool = False
    ) -> None:
        super().__init__()
        self.config, self.down, self.up = config, down, up
        self.GroupNorm_0 = config.norm(channels)
        self.Conv_0 = nn.Conv2d(channels, width, 3, padding=1)
        self.Dense_0 = nn.Linear(4 * config.base, width)
        self.GroupNorm_1 = config.norm(width)
        self.Conv_1 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = channels != width or down or up
        if self.shortcut and config.residual == "biggan":
            self.Conv_2 = nn.Conv2d(channels, width, 1)
        elif self.shortcut:
            self.NIN_0 = _Mix(channels, width)
        if (down or up) and config.fir:
            self.filter = Resample()

    def _resampled(self, x: Tensor) -> Tensor:
        if self.down:
            return self.filter.down(x) if self.config.fir else F.avg_pool2d(x, 2)
        if self.up:
            return self.filter.up(x) if self.config.fir else nearest_doubled(x)
        return x

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self._resampled(F.silu(self.GroupNorm_0(x)))
        h = self.Conv_0(h) + self.Dense_0(embedding)[:, :, None, None]
        h = self.Conv_1(F.silu(self.GroupNorm_1(h)))
        x = self._resampled(x)
        if self.shortcut:
            x = self.Conv_2(x) if self.config.residual == "biggan" else self.NIN_0(x)
        return self.config.sum(x, h)


class _Attention(nn.Module):
    def __init__(self, config: NCSNppConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.GroupNorm_0 = config.norm(channels)
        self.NIN_0 = _Mix(channels, channels)
        self.NIN_1 = _Mix(channels, channels)
        self.NIN_2 = _Mix(channels, channels)
        self.NIN_3 = _Mix(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.GroupNorm_0(x)
        q, k, v = (mix(h).flatten(2)[:, None] for mix in (self.NIN_0, self.NIN_1, self.NIN_2))
        return self.config.sum(x, self.NIN_3(attend(q, k, v).reshape(x.shape)))


class _Down(nn.Module):
    """Convolution of stride 2, after the filter where there is one."""

    def __init__(self, channels: int, width: int, fir: bool) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, width, 3, stride=2)
        if fir:
            self.filter, self.Conv2d_0 = Resample(), conv
        else:
            self.Conv_0 = conv
        self.fir = fir

    def forward(self, x: Tensor) -> Tensor:
        if not self.fir:
            return shrinking_conv(self.Conv_0, x)
        shrunk: Tensor = self.Conv2d_0(self.filter.smooth(x, 2))
        return shrunk


class _Up(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Conv_0 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.Conv_0(nearest_doubled(x))
        return doubled


class _Combine(nn.Module):
    def __init__(self, channels: int, width: int, method: str) -> None:
        super().__init__()
        self.Conv_0 = nn.Conv2d(channels, width, 1)
        self.method = method

    def forward(self, pyramid: Tensor, h: Tensor) -> Tensor:
        mixed = self.Conv_0(pyramid).to(h.dtype)
        return torch.cat([mixed, h], dim=1) if self.method == "cat" else mixed + h


class NCSNpp(CheckpointNetwork):
    """The output before it is divided by σ, of [B, channels, H, W] in [-1, 1] at a time [B].

    With Fourier features the time is σ.

    Args:
        config: the architecture.
    """

    def __init__(self, config: NCSNppConfig) -> None:
        super().__init__()
        self.config = config
        self.multiple = 2 ** (len(config.widths) - 1)
        self._edges: list[nn.Module] = []
        self.all_modules = nn.ModuleList(self._encoder())
        if config.progressive_input == "input_skip" or config.progressive_output:
            self.pyramid_filter = Resample()

    def _encoder(self) -> Iterator[nn.Module]:
        config = self.config
        base, last = config.base, len(config.widths) - 1
        fourier = config.embedding == "fourier"
        if fourier:
            yield self._edge(_Fourier(base))
        yield self._edge(nn.Linear(2 * base if fourier else base, 4 * base))
        yield self._edge(nn.Linear(4 * base, 4 * base))
        yield self._edge(nn.Conv2d(config.channels, base, 3, padding=1))
        channels, pyramid = base, config.channels
        skips = [base]
        for level, width in enumerate(config.widths):
            for _ in range(config.blocks):
                yield _Block(config, channels, width)
                channels = width
                if config.attention[level]:
                    yield _Attention(config, width)
                skips.append(width)
            if level < last:
                if config.residual == "ddpm":
                    yield _Down(channels, channels, fir=False)
                else:
                    yield _Block(config, channels, channels, down=True)
                if config.progressive_input == "input_skip":
                    yield self._edge(_Combine(pyramid, channels, config.combine))
                    channels *= 2 if config.combine == "cat" else 1
                elif config.progressive_input == "residual":
                    yield _Down(pyramid, channels, config.fir)
                    pyramid = channels
                skips.append(channels)
        yield _Block(config, channels, channels)
        yield _Attention(config, channels)
        yield _Block(config, channels, channels)
        yield from self._decoder(channels, skips)

    def _decoder(self, channels: int, skips: list[int]) -> Iterator[nn.Module]:
        config = self.config
        for level, width in reversed(list(enumerate(config.widths))):
            for _ in range(config.blocks + 1):
                yield _Block(config, channels + skips.pop(), width)
                channels = width
            if config.attention[level]:
                yield _Attention(config, channels)
            if config.progressive_output or level == 0:
                yield self._edge(config.norm(channels))
                yield self._edge(nn.Conv2d(channels, config.channels, 3, padding=1))
            if level > 0:
                biggan = config.residual == "biggan"
                yield _Block(config, channels, channels, up=True) if biggan else _Up(channels)

    def _edge(self, module: nn.Module) -> nn.Module:
        self._edges.append(module)
        return module

    def edges(self) -> Iterable[nn.Module]:
        """Embedding, first convolution, and all that makes or reads a picture."""
        return self._edges

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The output of x at a time [B] (σ with Fourier features)."""
        config = self.config
        modules = iter(self.all_modules)
        if config.embedding == "fourier":
            features = next(modules)(time)
        else:
            features = sinusoidal(time, config.base, 1, cosine_first=False)
        embedding = next(modules)(features.to(x.dtype))
        embedding = F.silu(next(modules)(F.silu(embedding))).to(self.body_dtype)

        def step(h: Tensor) -> Tensor:
            module = next(modules)
            stepped: Tensor = module(h, embedding) if isinstance(module, _Block) else module(h)
            return stepped

        pyramid = x
        skips = [next(modules)(x).to(self.body_dtype)]
        for level in range(len(config.widths)):
            for _ in range(config.blocks):
                h = step(skips[-1])
                skips.append(step(h) if config.attention[level] else h)
            if level < len(config.widths) - 1:
                h = step(skips[-1])
                if config.progressive_input == "input_skip":
                    pyramid = self._shrunk(pyramid)
                    h = next(modules)(pyramid, h)
                elif config.progressive_input == "residual":
                    h = pyramid = config.sum(step(pyramid.to(h.dtype)), h)
                skips.append(h)
        h = step(step(step(skips[-1])))
        output: Tensor | None = None
        for level in reversed(range(len(config.widths))):
            for _ in range(config.blocks + 1):
                h = step(torch.cat([h, skips.pop()], dim=1))
            h = step(h) if config.attention[level] else h
            if config.progressive_output or level == 0:
                added = step(F.silu(step(h.to(x.dtype))))
                output = added if output is None else self._grown(output) + added
            h = step(h) if level > 0 else h
        assert output is not None
        return output

    def _shrunk(self, x: Tensor) -> Tensor:
        return self.pyramid_filter.down(x) if self.config.fir else F.avg_pool2d(x, 2)

    def _grown(self, x: Tensor) -> Tensor:
        return self.pyramid_filter.up(x) if self.config.fir else nearest_doubled(x)
