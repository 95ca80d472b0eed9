"""Blocks and levels of the diffusers library's `UNet2DModel`.

They are those of DDPM, ADM and NCSN++ under other names.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.prior.networks.diffusers_config import DownKind, UNet2DConfig, UpKind
from restore.prior.networks.layers import Resample, attend, nearest_doubled, shrinking_conv


class _Block(nn.Module):
    """Residual block; `filter` resamples, and `scale` divides the sum."""

    def __init__(
        self,
        config: UNet2DConfig,
        channels: int,
        width: int,
        *,
        groups: tuple[int, int] | None = None,
        scale: float = 1.0,
        resampling: Literal["up", "down", None] = None,
        fir: bool = False,
    ) -> None:
        super().__init__()
        first, second = groups or (config.groups(channels), config.groups(channels))
        self.scale, self.resampling, self.fir = scale, resampling, fir
        self.scale_shift = config.resnet_time_scale_shift == "scale_shift"
        self.norm1 = nn.GroupNorm(first, channels, eps=config.norm_eps)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.time_emb_proj = nn.Linear(
            config.embedding_width, 2 * width if self.scale_shift else width
        )
        self.norm2 = nn.GroupNorm(second, width, eps=config.norm_eps)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels, width, 1) if channels != width or fir else None
        if fir:
            self.filter = Resample()

    def _resampled(self, x: Tensor) -> Tensor:
        if self.resampling == "down":
            return self.filter.down(x) if self.fir else F.avg_pool2d(x, 2)
        if self.resampling == "up":
            return self.filter.up(x) if self.fir else nearest_doubled(x)
        return x

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(self._resampled(F.silu(self.norm1(x))))
        x = self._resampled(x)
        shift = self.time_emb_proj(embedding)[:, :, None, None]
        if self.scale_shift:
            factor, shift = shift.chunk(2, dim=1)
            h = self.norm2(h) * (1 + factor) + shift
        else:
            h = self.norm2(h + shift)
        h = self.conv2(F.silu(h))
        if self.conv_shortcut is not None:
            x = self.conv_shortcut(x)
        total: Tensor = (x + h) / self.scale if self.scale != 1 else x + h
        return total


class _Attention(nn.Module):
    def __init__(
        self, config: UNet2DConfig, channels: int, groups: int | None, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.scale = scale
        self.head = config.attention_head_dim or channels
        self.group_norm = nn.GroupNorm(groups, channels, eps=config.norm_eps) if groups else None
        inner = channels // self.head * self.head
        self.to_q = nn.Linear(channels, inner)
        self.to_k = nn.Linear(channels, inner)
        self.to_v = nn.Linear(channels, inner)
        self.to_out = nn.ModuleList([nn.Linear(inner, channels)])

    def forward(self, x: Tensor) -> Tensor:
        batch, _, rows, columns = x.shape
        flat = x.flatten(2)
        normed = flat if self.group_norm is None else self.group_norm(flat)
        tokens = normed.transpose(1, 2)
        q, k, v = (
            layer(tokens).transpose(1, 2).reshape(batch, -1, self.head, rows * columns)
            for layer in (self.to_q, self.to_k, self.to_v)
        )
        attended = attend(q, k, v).reshape(batch, -1, rows * columns).transpose(1, 2)
        h = self.to_out.get_submodule("0")(attended).transpose(1, 2).view(x.shape)
        total: Tensor = (x + h) / self.scale if self.scale != 1 else x + h
        return total


class _Conv(nn.Module):
    """The one layer `conv` of a resampling step."""

    def __init__(self, channels: int, *, up: bool, padding: int = 1) -> None:
        super().__init__()
        self.up = up
        self.pads = not up and padding == 0
        self.conv = nn.Conv2d(channels, channels, 3, stride=1 if up else 2, padding=padding)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # noqa: ARG002
        if self.pads:
            return shrinking_conv(self.conv, x)
        resampled: Tensor = self.conv(nearest_doubled(x) if self.up else x)
        return resampled


class _Level(nn.Module):
    """What the levels share: residual blocks, each followed by its attention if there is one."""

    resnets: nn.ModuleList
    attentions: nn.ModuleList

    def step(self, i: int, h: Tensor, embedding: Tensor) -> Tensor:
        h = self.resnets[i](h, embedding)
        return self.attentions[i](h) if i < len(self.attentions) else h


class DownLevel(_Level):
    """A level on the way down: its blocks; all but the last halve the resolution."""

    def __init__(
        self, config: UNet2DConfig, kind: DownKind, channels: int, width: int, last: bool
    ) -> None:
        super().__init__()
        self.skip = "Skip" in kind
        scale = math.sqrt(2.0) if self.skip else 1.0
        entering = [channels] + [width] * (config.layers_per_block - 1)
        self.resnets = nn.ModuleList(
            _Block(config, c, width, groups=_pair(c, width) if self.skip else None, scale=scale)
            for c in entering
        )
        groups = 32 if self.skip else config.groups(width)
        self.attentions = nn.ModuleList(
            _Attention(config, width, groups, scale) for _ in entering if "Attn" in kind
        )
        self.resamples = not last and (kind != "AttnDownBlock2D" or bool(config.downsample_type))
        if not self.resamples:
            return
        if self.skip:
            self.resnet_down = _resampling(config, width, scale, "down")
            self.filter = Resample()
            self.skip_conv = nn.Conv2d(config.in_channels, width, 1)
        elif kind == "ResnetDownsampleBlock2D" or (
            kind == "AttnDownBlock2D" and config.downsample_type == "resnet"
        ):
            block = _Block(config, width, width, resampling="down")
            self.downsamplers = nn.ModuleList([block])
        else:
            conv = _Conv(width, up=False, padding=config.downsample_padding)
            self.downsamplers = nn.ModuleList([conv])

    def forward(
        self, h: Tensor, embedding: Tensor, picture: Tensor
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """h, what the way up will need of it, and the shrunk picture of "Skip" levels."""
        skips = []
        for i in range(len(self.resnets)):
            h = self.step(i, h, embedding)
            skips.append(h)
        if self.resamples and self.skip:
            h = self.resnet_down(h, embedding)
            picture = self.filter.down(picture)
            h = h + self.skip_conv(picture).to(h.dtype)
        elif self.resamples:
            h = self.downsamplers.get_submodule("0")(h, embedding)
        if self.resamples:
            skips.append(h)
        return h, skips, picture


class UpLevel(_Level):
    """A level on the way up: its blocks with the skips; all but the last double the resolution."""

    def __init__(
        self,
        config: UNet2DConfig,
        kind: UpKind,
        channels: int,
        width: int,
        below: int,
        last: bool,
    ) -> None:
        super().__init__()
        self.skip = "Skip" in kind
        scale = math.sqrt(2.0) if self.skip else 1.0
        count = config.layers_per_block + 1
        entering = [channels] + [width] * (count - 1)
        skips = [width] * (count - 1) + [below]

        def groups(h: int, s: int) -> tuple[int, int] | None:
            if not self.skip:
                return None
            # The library's own arithmetic, missing bracket included.
            first = h + s // 4 if kind == "AttnSkipUpBlock2D" else (h + s) // 4
            return min(first, 32), min(width // 4, 32)

        self.resnets = nn.ModuleList(
            _Block(config, h + s, width, groups=groups(h, s), scale=scale)
            for h, s in zip(entering, skips, strict=True)
        )
        attentions = {"AttnSkipUpBlock2D": 1, "AttnUpBlock2D": count}.get(kind, 0)
        self.attentions = nn.ModuleList(
            _Attention(config, width, 32 if self.skip else config.groups(width), scale)
            for _ in range(attentions)
        )
        self.resamples = not last and (kind != "AttnUpBlock2D" or bool(config.upsample_type))
        if self.skip:
            self.filter = Resample()
        if not self.resamples:
            return
        if self.skip:
            self.resnet_up = _resampling(config, width, scale, "up")
            self.skip_conv = nn.Conv2d(width, config.out_channels, 3, padding=1)
            self.skip_norm = nn.GroupNorm(min(width // 4, 32), width, eps=config.norm_eps)
        elif kind == "ResnetUpsampleBlock2D" or (
            kind == "AttnUpBlock2D" and config.upsample_type == "resnet"
        ):
            self.upsamplers = nn.ModuleList([_Block(config, width, width, resampling="up")])
        else:
            self.upsamplers = nn.ModuleList([_Conv(width, up=True)])

    def forward(
        self, h: Tensor, skips: list[Tensor], embedding: Tensor, picture: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """h, from which the last skips were taken, and the output so far of "Skip" levels."""
        for i in range(len(self.resnets)):
            h = torch.cat([h, skips.pop()], dim=1)
            h = self.resnets[i](h, embedding) if self.skip else self.step(i, h, embedding)
        if self.skip:
            for attention in self.attentions:
                h = attention(h)
            picture = None if picture is None else self.filter.up(picture)
        if self.resamples and self.skip:
            edge = self.skip_conv.weight.dtype
            added = self.skip_conv(F.silu(self.skip_norm(h.to(edge))))
            picture = added if picture is None else picture + added
            h = self.resnet_up(h, embedding)
        elif self.resamples:
            h = self.upsamplers.get_submodule("0")(h, embedding)
        return h, picture


class Middle(_Level):
    """The lowest level: attention between two blocks."""

    def __init__(self, config: UNet2DConfig, channels: int) -> None:
        super().__init__()
        scale = config.mid_block_scale_factor
        groups = config.attn_norm_num_groups
        if groups is None and config.resnet_time_scale_shift == "default":
            groups = config.groups(channels)
        self.resnets = nn.ModuleList(
            _Block(config, channels, channels, scale=scale) for _ in range(2)
        )
        self.attentions = nn.ModuleList(
            [_Attention(config, channels, groups, scale)] if config.add_attention else []
        )

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """h of the same size."""
        return self.step(1, self.step(0, h, embedding), embedding)


def _resampling(
    config: UNet2DConfig, width: int, scale: float, way: Literal["up", "down"]
) -> _Block:
    """The block of a "Skip" level that resamples with a filter."""
    groups = _pair(width, width)
    return _Block(config, width, width, groups=groups, scale=scale, resampling=way, fir=True)


def _pair(channels: int, width: int) -> tuple[int, int]:
    return min(channels // 4, 32), min(width // 4, 32)
