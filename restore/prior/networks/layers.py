"""What the published UNets share: attention, embeddings of the noise level, resampling filters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_PERIOD = 10000.0


class CheckpointNetwork(nn.Module):
    """A network of a published family: its size multiple, and which of its parts are the edges.

    Attributes:
        multiple: every side of the picture must be a multiple of it.
        body_dtype: dtype of all but the edges.
    """

    multiple: int = 1
    body_dtype: torch.dtype = torch.float32

    def edges(self) -> Iterable[nn.Module]:
        """The parts that stay in float32 when the body runs in half precision."""
        raise NotImplementedError

    def set_dtype(self, dtype: torch.dtype) -> None:
        """Run in `dtype`; in half precision all but the edges, which keep the picture exact."""
        half = dtype in (torch.float16, torch.bfloat16)
        at_the_edge = {id(part) for edge in self.edges() for part in edge.modules()}
        for part in self.modules():
            own = torch.float32 if half and id(part) in at_the_edge else dtype
            for name, weight in list(part.named_parameters(recurse=False)):
                setattr(part, name, nn.Parameter(weight.to(own), requires_grad=False))
            for name, value in list(part.named_buffers(recurse=False)):
                setattr(part, name, value.to(own))
        self.body_dtype = dtype


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(qᵀk / √channels) vᵀ for each head: [B, heads, channels, positions] → the same."""
    # Strided tokens take three times as long on a CPU.
    q, k, v = (part.transpose(-1, -2).contiguous() for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(-1, -2)


def sinusoidal(time: Tensor, width: int, shift: float, *, cosine_first: bool) -> Tensor:
    """Sines and cosines of `time` [B] at width / 2 frequencies from 1 down to 1/10000: [B, width].

    Args:
        time: may be fractional.
        width: number of features.
        shift: the last frequency is 10000^(−(half − 1) / (half − shift)).
        cosine_first: the cosines before the sines.
    """
    half = width // 2
    index = torch.arange(half, dtype=torch.float32, device=time.device)
    angle = time.float()[:, None] * torch.exp(-math.log(MAX_PERIOD) * index / (half - shift))
    parts = (angle.cos(), angle.sin()) if cosine_first else (angle.sin(), angle.cos())
    return F.pad(torch.cat(parts, dim=1), (0, width % 2))


class Resample(nn.Module):
    """Halve or double a picture with a separable filter, zero beyond the border.

    As the FIR resampling of StyleGAN2 (Karras et al., CVPR 2020), one depth-wise convolution.

    Args:
        taps: the filter, of even length and symmetric; it is normalised.
    """

    kernel: Tensor

    def __init__(self, taps: Sequence[float] = (1, 3, 3, 1)) -> None:
        super().__init__()
        line = torch.tensor(taps, dtype=torch.float32, device="cpu")
        kernel = torch.outer(line, line) / line.sum().square()
        self.register_buffer("kernel", kernel[None, None], persistent=False)
        self.padding = (len(taps) - 2) // 2

    def down(self, x: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C, H / 2, W / 2]."""
        return halved(x, self.kernel, self.padding)

    def up(self, x: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C, 2 H, 2 W]."""
        return doubled(x, self.kernel, self.padding)

    def smooth(self, x: Tensor, padding: int) -> Tensor:
        """The filter alone, after `padding` zeros on each side."""
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
        return F.conv2d(x, kernel, padding=padding, groups=x.shape[1])


def halved(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """x [B, C, H, W] filtered by a kernel [1, 1, n, n], every second pixel kept."""
    kernel = kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
    return F.conv2d(x, kernel, stride=2, padding=padding, groups=x.shape[1])


def doubled(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """x [B, C, H, W] with zeros between the pixels, filtered by four times the kernel."""
    kernel = 4 * kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
    return F.conv_transpose2d(x, kernel, stride=2, padding=padding, groups=x.shape[1])


def nearest_doubled(x: Tensor) -> Tensor:
    """Each pixel of [B, C, H, W] as a square of four."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def shrinking_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of stride 2 and no padding, after a zero row below and column to the right."""
    shrunk: Tensor = conv(F.pad(x, (0, 1, 0, 1)))
    return shrunk
