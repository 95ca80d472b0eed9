"""The two UNets of EDM: its versions of DDPM++ / NCSN++ and of ADM.

Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (NeurIPS 2022);
the names of the parameters are those of the published networks. Levels are named by the
resolution at which the network was trained, but any multiple of its finest cell is served.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.prior.networks.layers import (
    CheckpointNetwork,
    attend,
    doubled,
    halved,
    sinusoidal,
)


@dataclass(frozen=True)
class EDMConfig:
    """The architecture.

    Attributes:
        song: SongUNet (DDPM++, NCSN++); otherwise DhariwalUNet (ADM).
        resolution: of the pictures it was trained on; part of the names.
        channels: channels of the picture.
        out_channels: of the output; twice as many where a variance is learned.
        base: width of the first convolution of a SongUNet.
        widths: channels of each level, from fine to coarse.
        blocks: residual blocks a level.
        attention: whether each level has attention.
        noise_width: features of the noise level.
        embedding_width: width of their embedding.
        fourier: Fourier features of the noise level; otherwise sines and cosines.
        encoder: how the shrunk picture enters each level of a SongUNet.
        skip_decoder: each level adds to the output.
        taps: length of the resampling filter.
        classes: number of classes; 0 for an unconditional network.
        augmentations: augmentation labels that it was trained with; none are given here.
        head_channels: channels of an attention head of a DhariwalUNet.
    """

    song: bool
    resolution: int
    channels: int
    out_channels: int
    base: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[bool, ...]
    noise_width: int
    embedding_width: int
    fourier: bool = False
    encoder: Literal["standard", "skip", "residual"] = "standard"
    skip_decoder: bool = False
    taps: int = 2
    classes: int = 0
    augmentations: int = 0
    head_channels: int = 64

    def norm(self, channels: int) -> nn.GroupNorm:
        """Group norm of so many channels."""
        eps = 1e-6 if self.song else 1e-5
        return nn.GroupNorm(min(32, channels // 4), channels, eps=eps)


class _Conv(nn.Module):
    """Convolution with the picture halved or doubled before it; `kernel` 0 only resamples."""

    resample_filter: Tensor

    def __init__(
        self,
        config: EDMConfig,
        channels: int,
        width: int,
        kernel: int,
        resampling: Literal["up", "down", None] = None,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.resampling, self.fused, self.convolves = resampling, fused, kernel > 0
        if kernel:
            self.weight = nn.Parameter(torch.empty(width, channels, kernel, kernel))
            self.bias = nn.Parameter(torch.empty(width))
        if resampling:
            self.register_buffer("resample_filter", torch.empty(1, 1, config.taps, config.taps))
        self.kernel_padding = kernel // 2
        self.filter_padding = (config.taps - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        if self.fused:  # the padding of both first, the filter after the convolution
            x = F.conv2d(x, self.weight, padding=self.kernel_padding + self.filter_padding)
            return halved(x, self.resample_filter, 0) + self.bias[:, None, None]
        if self.resampling == "down":
            x = halved(x, self.resample_filter, self.filter_padding)
        elif self.resampling == "up":
            x = doubled(x, self.resample_filter, self.filter_padding)
        if self.convolves:
            x = F.conv2d(x, self.weight, self.bias, padding=self.kernel_padding)
        return x


class _Block(nn.Module):
    def __init__(
        self,
        config: EDMConfig,
        channels: int,
        width: int,
        resampling: Literal["up", "down", None] = None,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.song = config.song
        self.norm0 = config.norm(channels)
        self.conv0 = _Conv(config, channels, width, 3, resampling)
        self.affine = nn.Linear(config.embedding_width, width if config.song else 2 * width)
        self.norm1 = config.norm(width)
        self.conv1 = _Conv(config, width, width, 3)
        self.skip: _Conv | None = None
        if channels != width or resampling:
            kernel = 1 if config.song or channels != width else 0
            self.skip = _Conv(config, channels, width, kernel, resampling)
        self.heads = 0
        if attention:
            self.heads = 1 if config.song else width // config.head_channels
            self.norm2 = config.norm(width)
            self.qkv = _Conv(config, width, 3 * width, 1)
            self.proj = _Conv(config, width, width, 1)

    def _scaled(self, x: Tensor) -> Tensor:
        return x * math.sqrt(0.5) if self.song else x

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv0(F.silu(self.norm0(x)))
        shift = self.affine(embedding)[:, :, None, None]
        if self.song:
            h = self.norm1(h + shift)
        else:
            scale, shift = shift.chunk(2, dim=1)
            h = self.norm1(h) * (1 + scale) + shift
        h = self.conv1(F.silu(h))
        x = self._scaled(h + (x if self.skip is None else self.skip(x)))
        if not self.heads:
            return x
        batch, width, rows, columns = x.shape
        qkv = self.qkv(self.norm2(x)).view(batch, self.heads, width // self.heads, 3, -1)
        attended = attend(*qkv.unbind(3)).reshape(batch, width, rows, columns)
        return self._scaled(x + self.proj(attended))


class _Fourier(nn.Module):
    freqs: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.empty(width // 2))


class _Names(nn.Module):
    """Modules by name, in order."""

    def add(self, name: str, module: nn.Module) -> None:
        self.add_module(name, module)


class EDMUNet(CheckpointNetwork):
    """F of [B, channels, H, W] at the noise label [B].

    Args:
        config: the architecture.
    """

    def __init__(self, config: EDMConfig) -> None:
        super().__init__()
        self.config = config
        self.multiple = 2 ** (len(config.widths) - 1)
        noise, embedding = config.noise_width, config.embedding_width
        if config.fourier:
            self.map_noise = _Fourier(noise)
        if config.classes:
            self.map_label = nn.Linear(
                config.classes, noise if config.song else embedding, bias=config.song
            )
        if config.augmentations:
            self.map_augment = nn.Linear(config.augmentations, noise, bias=False)
        self.map_layer0 = nn.Linear(noise, embedding)
        self.map_layer1 = nn.Linear(embedding, embedding)
        self.enc, self.dec = _Names(), _Names()
        channels, skips = self._encoder()
        channels = self._decoder(channels, skips)
        if not config.song:
            self.out_norm = config.norm(channels)
            self.out_conv = _Conv(config, channels, config.out_channels, 3)

    def _encoder(self) -> tuple[int, list[int]]:
        config = self.config
        channels = config.base if config.song else config.widths[0]
        picture = config.channels
        skips = [channels]
        for level, width in enumerate(config.widths):
            name = f"{config.resolution >> level}x{config.resolution >> level}"
            if level == 0:
                self.enc.add(f"{name}_conv", _Conv(config, picture, channels, 3))
            else:
                self.enc.add(f"{name}_down", _Block(config, channels, channels, "down"))
                skips.append(channels)
                if config.encoder == "skip":
                    self.enc.add(f"{name}_aux_down", _Conv(config, picture, picture, 0, "down"))
                    self.enc.add(f"{name}_aux_skip", _Conv(config, picture, channels, 1))
                elif config.encoder == "residual":
                    aux = _Conv(config, picture, channels, 3, "down", fused=True)
                    self.enc.add(f"{name}_aux_residual", aux)
                    picture = channels
            for i in range(config.blocks):
                block = _Block(config, channels, width, attention=config.attention[level])
                self.enc.add(f"{name}_block{i}", block)
                channels = width
                skips.append(width)
        return channels, skips

    def _decoder(self, channels: int, skips: list[int]) -> int:
        config, last = self.config, len(self.config.widths) - 1
        for level, width in reversed(list(enumerate(config.widths))):
            name = f"{config.resolution >> level}x{config.resolution >> level}"
            if level == last:
                self.dec.add(f"{name}_in0", _Block(config, channels, channels, attention=True))
                self.dec.add(f"{name}_in1", _Block(config, channels, channels))
            else:
                self.dec.add(f"{name}_up", _Block(config, channels, channels, "up"))
            for i in range(config.blocks + 1):
                attention = config.attention[level] and (i == config.blocks or not config.song)
                block = _Block(config, channels + skips.pop(), width, attention=attention)
                self.dec.add(f"{name}_block{i}", block)
                channels = width
            if config.song and (config.skip_decoder or level == 0):
                out = config.out_channels
                if config.skip_decoder and level < last:
                    self.dec.add(f"{name}_aux_up", _Conv(config, out, out, 0, "up"))
                self.dec.add(f"{name}_aux_norm", config.norm(width))
                self.dec.add(f"{name}_aux_conv", _Conv(config, width, out, 3))
        return channels

    def edges(self) -> Iterable[nn.Module]:
        """Embeddings, first convolution, and all that makes or reads a picture."""
        yield from (part for name, part in self.named_children() if name not in ("enc", "dec"))
        for name, part in [*self.enc.named_children(), *self.dec.named_children()]:
            if name.endswith("_conv") or ("_aux_" in name and "residual" not in name):
                yield part

    def _embedding(self, time: Tensor, label: Tensor | None, dtype: torch.dtype) -> Tensor:
        config = self.config
        if config.fourier:
            angle = time.float()[:, None] * (2 * math.pi * self.map_noise.freqs.float())
            features = torch.cat([angle.sin(), angle.cos()], dim=1).to(dtype)
        else:
            shift = 1 if config.song else 0
            features = sinusoidal(time, config.noise_width, shift, cosine_first=not config.song)
            features = features.to(dtype)
        classes = None
        if label is not None:
            classes = self.map_label(F.one_hot(label, config.classes).to(dtype) * self._one)
        if config.song and classes is not None:
            features = features + classes
        embedding: Tensor = self.map_layer1(F.silu(self.map_layer0(features)))
        if not config.song and classes is not None:
            embedding = embedding + classes
        return F.silu(embedding)

    @property
    def _one(self) -> float:
        """What stands for 1 in the vector of a class."""
        return math.sqrt(self.config.classes) if self.config.song else 1.0

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        """F of x at the noise label [B], for classes [B] where the network is conditional."""
        embedding = self._embedding(time, label, x.dtype).to(self.body_dtype)
        picture, h = x, x
        skips: list[Tensor] = []
        for name, part in self.enc.named_children():
            if name.endswith("_aux_down"):
                picture = part(picture)
            elif name.endswith("_aux_skip"):
                h = skips[-1] = h + part(picture).to(h.dtype)
            elif name.endswith("_aux_residual"):
                h = skips[-1] = picture = (h + part(picture.to(h.dtype))) * math.sqrt(0.5)
            else:
                h = part(h, embedding) if isinstance(part, _Block) else part(h).to(self.body_dtype)
                skips.append(h)
        output: Tensor | None = None
        normed = h
        for name, part in self.dec.named_children():
            if name.endswith("_aux_up"):
                output = part(output)
            elif name.endswith("_aux_norm"):
                normed = part(h.to(x.dtype))
            elif name.endswith("_aux_conv"):
                added = part(F.silu(normed))
                output = added if output is None else output + added
            else:
                if "_block" in name:
                    h = torch.cat([h, skips.pop()], dim=1)
                h = part(h, embedding)
        if output is None:
            output = self.out_conv(F.silu(self.out_norm(h.to(x.dtype))))
        return output
