"""`UNet2DModel` of the diffusers library, in the layout of its folders.

Its blocks are those of DDPM, ADM and NCSN++ under other names; its `config.json` says which.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from restore.prior.networks.layers import (
    CheckpointNetwork,
    Resample,
    attend,
    nearest_doubled,
    shrinking_conv,
    sinusoidal,
)

DownKind = Literal[
    "DownBlock2D",
    "AttnDownBlock2D",
    "ResnetDownsampleBlock2D",
    "SkipDownBlock2D",
    "AttnSkipDownBlock2D",
]
UpKind = Literal[
    "UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D", "SkipUpBlock2D", "AttnSkipUpBlock2D"
]


class UNet2DConfig(BaseModel):
    """What `config.json` says of the architecture, with the library's names and defaults."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    in_channels: int = 3
    out_channels: int = 3
    center_input_sample: bool = False
    time_embedding_type: Literal["positional", "fourier"] = "positional"
    time_embedding_dim: int | None = None
    freq_shift: float = 0
    flip_sin_to_cos: bool = True
    down_block_types: tuple[DownKind, ...]
    up_block_types: tuple[UpKind, ...]
    mid_block_type: Literal["UNetMidBlock2D"] | None = "UNetMidBlock2D"
    block_out_channels: tuple[int, ...]
    layers_per_block: int = 2
    mid_block_scale_factor: float = 1
    downsample_padding: int = 1
    downsample_type: Literal["conv", "resnet"] | None = "conv"
    upsample_type: Literal["conv", "resnet"] | None = "conv"
    act_fn: Literal["silu", "swish"] = "silu"
    attention_head_dim: int | None = 8
    norm_num_groups: int | None = 32
    attn_norm_num_groups: int | None = None
    norm_eps: float = 1e-5
    resnet_time_scale_shift: Literal["default", "scale_shift"] = "default"
    add_attention: bool = True
    class_embed_type: None = None
    num_class_embeds: int | None = None

    @property
    def embedding_width(self) -> int:
        """Width of the embedding of the time."""
        return self.time_embedding_dim or 4 * self.block_out_channels[0]

    def groups(self, channels: int) -> int:
        """Groups of a norm of the plain blocks."""
        return self.norm_num_groups or min(channels // 4, 32)


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


class _DownLevel(_Level):
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
            self.resnet_down = _Block(
                config,
                width,
                width,
                groups=_pair(width, width),
                scale=scale,
                resampling="down",
                fir=True,
            )
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


class _UpLevel(_Level):
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
            self.resnet_up = _Block(
                config,
                width,
                width,
                groups=_pair(width, width),
                scale=scale,
                resampling="up",
                fir=True,
            )
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


class _Middle(_Level):
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
        return self.step(1, self.step(0, h, embedding), embedding)


class _Time(nn.Module):
    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(features, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        embedding: Tensor = self.linear_2(F.silu(self.linear_1(features)))
        return embedding


class _Fourier(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width), requires_grad=False)


class UNet2D(CheckpointNetwork):
    """The output of [B, in_channels, H, W] at a time [B].

    With Fourier features the time is σ, and the output is before its division by σ.

    Args:
        config: the architecture.
    """

    def __init__(self, config: UNet2DConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.block_out_channels
        self.multiple = 2 ** (len(widths) - 1)
        fourier = config.time_embedding_type == "fourier"
        self.conv_in = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
        if fourier:
            self.time_proj = _Fourier(widths[0])
        self.time_embedding = _Time(2 * widths[0] if fourier else widths[0], config.embedding_width)
        if config.num_class_embeds:
            self.class_embedding = nn.Embedding(config.num_class_embeds, config.embedding_width)
        last = len(widths) - 1
        self.down_blocks = nn.ModuleList(
            _DownLevel(config, kind, widths[max(i - 1, 0)], widths[i], i == last)
            for i, kind in enumerate(config.down_block_types)
        )
        self.mid_block = _Middle(config, widths[-1]) if config.mid_block_type else None
        rising = widths[::-1]
        self.up_blocks = nn.ModuleList(
            _UpLevel(
                config, kind, rising[max(i - 1, 0)], rising[i], rising[min(i + 1, last)], i == last
            )
            for i, kind in enumerate(config.up_block_types)
        )
        self.conv_norm_out = nn.GroupNorm(config.groups(widths[0]), widths[0], eps=config.norm_eps)
        self.conv_out = nn.Conv2d(widths[0], config.out_channels, 3, padding=1)

    def edges(self) -> Iterable[nn.Module]:
        """Embeddings, and all that makes or reads a picture."""
        for name, part in self.named_children():
            if name not in ("down_blocks", "mid_block", "up_blocks"):
                yield part
        for level in [*self.down_blocks, *self.up_blocks]:
            yield from (p for n, p in level.named_children() if n in ("skip_conv", "skip_norm"))

    def _features(self, time: Tensor) -> Tensor:
        config = self.config
        if config.time_embedding_type == "fourier":
            weight = self.time_proj.weight.float()
            angle = time.float().log()[:, None] * weight[None] * 2 * math.pi
            return torch.cat([angle.sin(), angle.cos()], dim=1)
        return sinusoidal(
            time,
            config.block_out_channels[0],
            config.freq_shift,
            cosine_first=config.flip_sin_to_cos,
        )

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        """The output of x at a time [B], for classes [B] where the network is conditional."""
        if self.config.center_input_sample:
            x = 2 * x - 1
        embedding = self.time_embedding(self._features(time).to(x.dtype))
        if label is not None:
            embedding = embedding + self.class_embedding(label)
        embedding = F.silu(embedding).to(self.body_dtype)
        picture: Tensor = x
        h = self.conv_in(x).to(self.body_dtype)
        skips = [h]
        for level in self.down_blocks:
            h, more, picture = level(h, embedding, picture)
            skips += more
        if self.mid_block is not None:
            h = self.mid_block(h, embedding)
        output: Tensor | None = None
        for level in self.up_blocks:
            h, output = level(h, skips, embedding, output)
        last: Tensor = self.conv_out(F.silu(self.conv_norm_out(h.to(x.dtype))))
        return last if output is None else last + output


def _pair(channels: int, width: int) -> tuple[int, int]:
    return min(channels // 4, 32), min(width // 4, 32)
