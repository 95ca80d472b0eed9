"""The UNet of guided diffusion (ADM), and of improved diffusion before it.

Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis" (NeurIPS 2021); the names of
the parameters are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.prior.networks.layers import CheckpointNetwork, attend, nearest_doubled, sinusoidal

GROUPS = 32


@dataclass(frozen=True)
class ADMConfig:
    """The architecture.

    Attributes:
        in_channels: channels of the picture.
        out_channels: of the output; twice as many where a variance is learned.
        model_channels: width of the embedding of t.
        widths: channels of each level, from fine to coarse.
        blocks: residual blocks a level.
        attention: whether each level has attention.
        head_channels: channels of an attention head; None where `heads` says how many there are.
        heads: number of attention heads.
        new_order: the projection holds all queries, then all keys, then all values; otherwise a
            head's queries, keys and values are together.
        scale_shift: t scales and shifts (otherwise shifts only).
        residual_resampling: residual blocks resample (otherwise one layer).
        conv_resampling: that layer is a convolution (otherwise the mean, or nothing).
        classes: number of classes; 0 for an unconditional network.
    """

    in_channels: int
    out_channels: int
    model_channels: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[bool, ...]
    head_channels: int | None = 64
    heads: int = 1
    new_order: bool = False
    scale_shift: bool = True
    residual_resampling: bool = True
    conv_resampling: bool = True
    classes: int = 0


class _Block(nn.Module):
    """Residual block, with the picture halved or doubled between its norm and its convolution."""

    def __init__(
        self, config: ADMConfig, channels: int, width: int, down: bool = False, up: bool = False
    ) -> None:
        super().__init__()
        self.down, self.up, self.scale_shift = down, up, config.scale_shift
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, width, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(
            nn.SiLU(),
            nn.Linear(4 * config.model_channels, (2 if config.scale_shift else 1) * width),
        )
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, width),
            nn.SiLU(),
            nn.Identity(),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.skip_connection = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = F.silu(self.in_layers[0](x))
        if self.down:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        elif self.up:
            h, x = nearest_doubled(h), nearest_doubled(x)
        h = self.in_layers[2](h)
        shift = self.emb_layers(embedding)[:, :, None, None]
        if self.scale_shift:
            scale, shift = shift.chunk(2, dim=1)
            h = self.out_layers[0](h) * (1 + scale) + shift
        else:
            h = self.out_layers[0](h + shift)
        h = self.out_layers[3](F.silu(h))
        total: Tensor = self.skip_connection(x) + h
        return total


class _Attention(nn.Module):
    def __init__(self, config: ADMConfig, channels: int) -> None:
        super().__init__()
        self.new_order = config.new_order
        self.heads = channels // config.head_channels if config.head_channels else config.heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # noqa: ARG002
        batch, channels, *size = x.shape
        flat = x.flatten(2)
        qkv = self.qkv(self.norm(flat))
        if self.new_order:
            parts = qkv.view(batch, 3, self.heads, channels // self.heads, -1).unbind(1)
        else:
            parts = qkv.view(batch, self.heads, 3, channels // self.heads, -1).unbind(2)
        attended = attend(*parts).reshape(batch, channels, -1)
        total: Tensor = (flat + self.proj_out(attended)).view(batch, channels, *size)
        return total


class _Down(nn.Module):
    def __init__(self, channels: int, conv: bool) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if conv else nn.AvgPool2d(2)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # noqa: ARG002
        halved: Tensor = self.op(x)
        return halved


class _Up(nn.Module):
    def __init__(self, channels: int, conv: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if conv else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # noqa: ARG002
        doubled: Tensor = self.conv(nearest_doubled(x))
        return doubled


class ADM(CheckpointNetwork):
    """ε (and the learned variance after it) of [B, in_channels, H, W] at time t [B].

    Args:
        config: the architecture.
    """

    def __init__(self, config: ADMConfig) -> None:
        super().__init__()
        self.config = config
        levels = range(len(config.widths))
        self.multiple = 2 ** (len(config.widths) - 1)
        width = 4 * config.model_channels
        self.time_embed = nn.Sequential(
            nn.Linear(config.model_channels, width), nn.SiLU(), nn.Linear(width, width)
        )
        if config.classes:
            self.label_emb = nn.Embedding(config.classes, width)
        channels = config.widths[0]
        self.input_blocks = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(config.in_channels, channels, 3, padding=1)])]
        )
        skips = [channels]
        for level in levels:
            for _ in range(config.blocks):
                stage = self._stage(channels, level)
                self.input_blocks.append(stage)
                channels = config.widths[level]
                skips.append(channels)
            if level < levels[-1]:
                down: nn.Module = _Down(channels, config.conv_resampling)
                if config.residual_resampling:
                    down = _Block(config, channels, channels, down=True)
                self.input_blocks.append(nn.ModuleList([down]))
                skips.append(channels)
        self.middle_block = nn.ModuleList(
            [
                _Block(config, channels, channels),
                _Attention(config, channels),
                _Block(config, channels, channels),
            ]
        )
        self.output_blocks = nn.ModuleList()
        for level in reversed(levels):
            for i in range(config.blocks + 1):
                stage = self._stage(channels + skips.pop(), level)
                channels = config.widths[level]
                if level > 0 and i == config.blocks:
                    up: nn.Module = _Up(channels, config.conv_resampling)
                    if config.residual_resampling:
                        up = _Block(config, channels, channels, up=True)
                    stage.append(up)
                self.output_blocks.append(stage)
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, channels),
            nn.SiLU(),
            nn.Conv2d(channels, config.out_channels, 3, padding=1),
        )

    def _stage(self, channels: int, level: int) -> nn.ModuleList:
        width = self.config.widths[level]
        stage = nn.ModuleList([_Block(self.config, channels, width)])
        if self.config.attention[level]:
            stage.append(_Attention(self.config, width))
        return stage

    def edges(self) -> Iterable[nn.Module]:
        """Embeddings, first convolution, last norm and convolution."""
        edges = [self.time_embed, self.input_blocks[0], self.out]
        return [*edges, self.label_emb] if self.config.classes else edges

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        """ε of x at t [B], for classes [B] where the network is conditional."""
        features = sinusoidal(time, self.config.model_channels, 0, cosine_first=True)
        embedding = self.time_embed(features.to(x.dtype))
        if label is not None:
            embedding = embedding + self.label_emb(label)
        embedding = embedding.to(self.body_dtype)
        first = self.input_blocks[0].get_submodule("0")
        h = first(x).to(self.body_dtype)
        skips = [h]
        for stage in list(self.input_blocks)[1:]:
            h = _through(stage, h, embedding)
            skips.append(h)
        h = _through(self.middle_block, h, embedding)
        for stage in self.output_blocks:
            h = _through(stage, torch.cat([h, skips.pop()], dim=1), embedding)
        output: Tensor = self.out(h.to(x.dtype))
        return output


def _through(stage: nn.Module, h: Tensor, embedding: Tensor) -> Tensor:
    for layer in stage.children():
        h = layer(h, embedding)
    return h
