"""A preconditioner of AᴴA + ρI for operators whose AᴴA is nearly a blur, as that of a CT scan is.

AᴴA of a scan is nearly a convolution with 1/|r|, that is, division by |ω|, so its inverse is nearly
the ramp filter. Here the kernel is read off the operator: its answer to one pixel in the middle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from operators.svd import per_image

if TYPE_CHECKING:
    from operators.base import LinearOperator

# Least value of the spectrum, as a share of the largest: what the views leave between them differs
# from place to place, so a smaller one costs iterations with few views.
_LEAST = 1e-2


def near_inverse(
    operator: LinearOperator, rho: float | Tensor
) -> Callable[[Tensor], Tensor] | None:
    """Return a filter near (AᴴA + ρI)⁻¹ where AᴴA is nearly a blur; its spectrum is kept."""
    if not operator._nearly_a_blur:
        return None
    return inverse_filter(operator._once("_spectrum", lambda: normal_spectrum(operator)), rho)


def normal_spectrum(operator: LinearOperator) -> Tensor:
    """Return the half spectrum of AᴴA around the middle, `[*batch, 1, 2H, W + 1]`, above 0.

    The picture is padded to twice its size, so that its borders do not meet.

    Args:
        operator: A of pictures `(1, H, W)`.
    """
    height, width = operator.domain.shape[-2:]
    row = torch.arange(height, device=operator.device) == height // 2
    column = torch.arange(width, device=operator.device) == width // 2
    pixel = (row.unsqueeze(-1) & column).to(operator.domain.dtype).unsqueeze(0)
    answer = operator.normal(pixel.expand(*operator.batch_shape, *operator.domain.shape))
    answer = torch.nn.functional.pad(answer, (0, width, 0, height))
    spectrum = torch.fft.rfft2(answer.roll((-(height // 2), -(width // 2)), (-2, -1))).real
    largest = spectrum.amax((-2, -1), keepdim=True)
    tiny = torch.finfo(spectrum.dtype).tiny
    return torch.maximum(spectrum, _LEAST * largest).clamp_min(tiny)


def inverse_filter(spectrum: Tensor, rho: float | Tensor) -> Callable[[Tensor], Tensor]:
    """Return r ↦ the filter 1/(spectrum + ρ) on the padded picture, cut back to its size.

    Args:
        spectrum: Of `normal_spectrum`.
        rho: ρ ≥ 0, a number or one per image.

    Source: Clinthorne, Pan, Chiao, Rogers, Stamos, "Preconditioning methods for improved
    convergence rates in iterative reconstructions", IEEE Transactions on Medical Imaging 1993.
    """
    weight = 1 / (spectrum + per_image(rho, 3))

    def apply(residual: Tensor) -> Tensor:
        height, width = residual.shape[-2:]
        size = (2 * height, 2 * width)
        filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(residual, s=size) * weight, s=size)
        return filtered.narrow(-2, 0, height).narrow(-1, 0, width)

    return apply
