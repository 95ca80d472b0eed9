"""Classical estimates: what a method starts from, and what it is compared with."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from operators import Resize


def bicubic(small: Tensor, size: tuple[int, int]) -> Tensor:
    """Pillow's bicubic enlargement of [B, C, h, w] to [B, C, *size]."""
    shape = tuple(small.shape[1:])
    return Resize(shape, size, "bicubic", dtype=small.dtype, device=small.device)(small)


def biharmonic(picture: Tensor, hole: Tensor) -> Tensor:
    """Biharmonic inpainting of [B, C, H, W] where `hole` [H, W] is true (scikit-image)."""
    from skimage.restoration import inpaint_biharmonic

    filled = [
        inpaint_biharmonic(
            one.permute(1, 2, 0).cpu().double().numpy(),
            hole.cpu().numpy(),
            split_into_regions=True,
            channel_axis=-1,
        )
        for one in picture
    ]
    return torch.from_numpy(np.stack(filled)).permute(0, 3, 1, 2).to(picture)


def smooth_fill(picture: Tensor, hole: Tensor) -> Tensor:
    """Fill by normalised averages from fine to coarse: O(pixels), for holes of any size.

    Each level of the pyramid averages what is known of 2×2 pixels; a pixel that is unknown takes
    the value of the next coarser level, interpolated (push-pull, Gortler et al., "The Lumigraph",
    SIGGRAPH 1996).

    Args:
        picture: [B, C, H, W].
        hole: [H, W], true where the value is unknown; not everywhere.
    """
    known = (~hole).to(picture)[None, None]
    return torch.where(hole, _pull(picture * known, known), picture)


def _pull(weighted: Tensor, weight: Tensor) -> Tensor:
    """The filled picture, of weight·value and weight in [0, 1]."""
    value = weighted / weight.clamp_min(1e-6)
    if min(weight.shape[-2:]) <= 2:
        mean = weighted.sum((-2, -1), keepdim=True) / weight.sum((-2, -1), keepdim=True)
        return weight * value + (1 - weight) * mean
    coarse = F.avg_pool2d(weighted, 2, ceil_mode=True, count_include_pad=False)
    coarse_weight = F.avg_pool2d(weight, 2, ceil_mode=True, count_include_pad=False)
    # Where any of the four pixels is known, their mean is taken as known.
    gain = (4 * coarse_weight).clamp(max=1) / coarse_weight.clamp_min(1e-6)
    below = _pull(coarse * gain, (4 * coarse_weight).clamp(max=1))
    up = F.interpolate(below, scale_factor=2, mode="bilinear", align_corners=False)
    up = up[..., : weight.shape[-2], : weight.shape[-1]]
    return weight * value + (1 - weight) * up


def non_local_means(picture: Tensor, sigma: float) -> Tensor:
    """Non-local means of [B, C, H, W] at noise σ (scikit-image, fast mode)."""
    from skimage.restoration import denoise_nl_means

    denoised = [
        denoise_nl_means(
            one.permute(1, 2, 0).cpu().double().numpy(),
            patch_size=5,
            patch_distance=6,
            h=0.8 * sigma,
            sigma=sigma,
            fast_mode=True,
            channel_axis=-1,
        )
        for one in picture
    ]
    return torch.from_numpy(np.stack(denoised)).permute(0, 3, 1, 2).to(picture)
