"""Pictures as latents of the probability-flow ODE, and the way between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from restore.prior.denoiser import Denoiser
from restore.sde.flow import Transported, transport


def encode(
    prior: Denoiser,
    x: Tensor,
    *,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    **tolerance: Any,
) -> Transported:
    """Return z = (x(σ_max) − c)/σ_max, about standard normal, for pictures x at the level σ_min.

    Args:
        prior: the denoiser.
        x: pictures [B, *shape], taken as samples at σ_min.
        sigma_min: by default the prior's smallest level.
        sigma_max: by default its largest.
        tolerance: `rtol`, `atol`, `solver` and `on_step` of `transport`.
    """
    low, high = _levels(prior, sigma_min, sigma_max)
    moved = transport(prior, x, low, high, **tolerance)
    return moved._replace(x=(moved.x - prior.centre) / high)


def decode(
    prior: Denoiser,
    z: Tensor,
    *,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    **tolerance: Any,
) -> Transported:
    """Return the pictures x(σ_min) of latents z: the inverse of `encode` up to the tolerance."""
    low, high = _levels(prior, sigma_min, sigma_max)
    return transport(prior, prior.centre + high * z, high, low, **tolerance)


def slerp(a: Tensor, b: Tensor, shares: Sequence[float]) -> Tensor:
    """Return [F, *shape], the points on the great circle from a to b at each share of the angle.

    (sin((1−w)ω) a + sin(wω) b)/sin ω with ω the angle between them: unlike on the straight line,
    each point of two standard normal latents is as long as they are. Latents in one direction are
    joined by the straight line.

    Args:
        a: [*shape], at share 0.
        b: likewise, at share 1.
        shares: w, within 0 and 1.

    Source: Shoemake, SIGGRAPH 1985.
    """
    w = torch.tensor(list(shares), dtype=a.dtype, device=a.device).reshape(-1, *(1,) * a.ndim)
    lengths = torch.linalg.vector_norm(a) * torch.linalg.vector_norm(b)
    angle = torch.acos(((a * b).sum() / lengths).clamp(-1, 1))
    small = angle.sin() < torch.finfo(a.dtype).eps ** 0.5
    sine = torch.where(small, 1, angle.sin())
    left = torch.where(small, 1 - w, torch.sin((1 - w) * angle) / sine)
    right = torch.where(small, w, torch.sin(w * angle) / sine)
    return left * a + right * b


def _levels(prior: Denoiser, low: float | None, high: float | None) -> tuple[float, float]:
    return (
        prior.sigma_min if low is None else low,
        prior.sigma_max if high is None else high,
    )
