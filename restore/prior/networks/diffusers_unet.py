"""`UNet2DModel` of the diffusers library, in the layout of its folders."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.prior.networks.diffusers_blocks import DownLevel, Middle, UpLevel
from restore.prior.networks.diffusers_config import UNet2DConfig
from restore.prior.networks.layers import CheckpointNetwork, sinusoidal


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
            DownLevel(config, kind, widths[max(i - 1, 0)], widths[i], i == last)
            for i, kind in enumerate(config.down_block_types)
        )
        self.mid_block = Middle(config, widths[-1]) if config.mid_block_type else None
        rising = widths[::-1]
        self.up_blocks = nn.ModuleList(
            UpLevel(
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
