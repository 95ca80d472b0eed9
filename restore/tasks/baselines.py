"""Classical estimates: what a method starts from, and what it is compared with."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from operators import Blur, ConvergenceError, LinearOperator, Resize
from operators.cg import conjugate_gradient
from operators.valid_blur import ValidConvolution
from restore.problem import Problem

# Stands for the noise of a measurement that has less: it keeps the iterations few.
LEAST_NOISE = 1e-3
# Of its conjugate gradients: for each σ_y of noise, at least and at most. Tighter changes it by
# 0.04 dB.
WIENER_TOLERANCE, WIENER_TIGHTEST, WIENER_LOOSEST = 0.1, 3e-4, 1e-3
WIENER_ITERATIONS = 200


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

    pixels = picture.permute(0, 2, 3, 1).cpu().double().numpy()
    denoised = [
        denoise_nl_means(
            one, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True,
            channel_axis=-1,
        ).reshape(one.shape)  # scikit-image drops axes of length 1
        for one in pixels
    ]  # fmt: skip
    return torch.from_numpy(np.stack(denoised)).permute(0, 3, 1, 2).to(picture)


def wiener(problem: Problem, kernel: Tensor) -> Tensor:
    """Wiener's estimate of the picture behind a blur, with any border: [B, C, H, W].

    The mean under a Gaussian prior around the measurement's mean with the spectrum of photographs,
    which falls with the square of the frequency (Field 1987, "Relations between the statistics of
    natural images and the response properties of cortical cells"):
    argmin ‖y - A x‖²/σ_y² + Σ_f |x_f|²/S_f, by conjugate gradients. These are preconditioned by the
    filter that solves it for a periodic picture, so that some tens of iterations do.

    Args:
        problem: a blur of [C, H, W].
        kernel: of the blur, [rows, columns].
    """
    operator, y = problem.operator, problem.y
    shape = operator.domain.shape
    # A periodic picture, of which this one may be a part.
    valid = operator.valid if isinstance(operator, Blur) else None
    height, width = shape[1:] if valid is None else valid.torus
    frequency, real = _frequencies(height, width)
    spectrum = y.var((-2, -1), correction=0).mean().cpu() / frequency.reciprocal().mean() / real
    rows, columns = kernel.shape
    wrapped = F.pad(kernel.cpu().double(), (0, width - columns, 0, height - rows))
    gain = torch.fft.rfft2(wrapped).abs().square()
    mean = y.mean((-2, -1), keepdim=True).expand(-1, *shape).contiguous()
    noise = max(problem.noise_std, LEAST_NOISE)
    while True:
        damping = (noise**2 / spectrum.clamp_min(1e-12)).to(y)
        try:
            return mean + _solved(
                operator if valid is None else valid,
                y - operator(mean),
                gain.to(y),
                damping,
                min(max(WIENER_TOLERANCE * noise, WIENER_TIGHTEST), WIENER_LOOSEST),
            )
        except ConvergenceError:
            noise *= 2


def _frequencies(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Squared frequencies of the pixels of a picture, and those that a real picture has."""
    lowest = 1 / max(height, width) ** 2
    rows = torch.fft.fftfreq(height, dtype=torch.float64)[:, None].square()
    full = rows + torch.fft.fftfreq(width, dtype=torch.float64).square()
    half = rows + torch.fft.rfftfreq(width, dtype=torch.float64).square()
    return full.clamp_min(lowest), half.clamp_min(lowest)


def _solved(
    operator: LinearOperator, residual: Tensor, gain: Tensor, damping: Tensor, tolerance: float
) -> Tensor:
    """(AᴴA + D)⁻¹Aᴴ residual, D the filter `damping`; |k̂|² is `gain`.

    An accelerator is waited for: made once, it must not begin a run from what has not converged.
    """
    if isinstance(operator, ValidConvolution):
        return operator.solve_filtered(
            operator.adjoint(residual), damping,
            tolerance=tolerance, max_iterations=WIENER_ITERATIONS, watched=True,
        )  # fmt: skip
    size = operator.domain.shape[1:]
    # x = P u with the filter P = (|k̂|² + D)^-½, which makes the system nearly the identity.
    precondition = (gain + damping).rsqrt()

    def filtered(transfer: Tensor, x: Tensor) -> Tensor:
        out: Tensor = torch.fft.irfft2(transfer * torch.fft.rfft2(x), s=size)
        return out

    def apply(u: Tensor) -> Tensor:
        x = filtered(precondition, u)
        return filtered(precondition, operator.normal(x) + filtered(damping, x))

    u = conjugate_gradient(
        apply,
        filtered(precondition, operator.adjoint(residual)),
        operator.domain.axes,
        name="wiener",
        tolerance=tolerance,
        max_iterations=WIENER_ITERATIONS,
        watched=True,
    )
    return filtered(precondition, u)
