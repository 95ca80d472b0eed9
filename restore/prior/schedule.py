"""Noise levels: grids σ₁ > σ₂ > … > 0 that end at 0, of the picture's units, and schedules of β."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from torch import Tensor

from restore.prior.denoiser import Denoiser

Grid = Literal["native", "karras", "geometric", "quad"]
GRIDS: tuple[str, ...] = get_args(Grid)

RHO = 7.0
_Time = TypeVar("_Time", float, Tensor)


def sigma_grid(
    prior: Denoiser, steps: int, grid: Grid = "native", sigma_max: float | None = None
) -> list[float]:
    """Noise levels at which a sampler calls the denoiser, followed by 0.

    They end at the prior's smallest level, or at `sigma_max` where that is smaller still: a state
    that is cleaner than what the prior knows (`AnySizeDenoiser`).

    Args:
        prior: the denoiser, which owns the range of levels and its own timesteps.
        steps: number of levels before the 0. A native or a "quad" grid may have
            fewer (`native`, `quad`); "quad" has no more than there are timesteps.
        grid: "native" for the network's own timesteps; "karras", "geometric", or "quad" for those
            of the DDPM schedule within the prior's range. A prior without timesteps, or a
            `sigma_max`, makes "native" into "karras".
        sigma_max: first level, by default the prior's largest.

    Raises:
        ValueError: if the grid is unknown or has no level in the range, steps is below 1, or
            sigma_max is not above 0 and up to the prior's largest level.
    """
    if grid not in GRIDS:
        raise ValueError(f"grid is {grid!r}; it is one of {', '.join(GRIDS)}")
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be at least 1")
    if sigma_max is None and grid == "native":
        levels = prior.native_sigmas(steps)
        if levels is not None:
            return levels
    first = prior.sigma_max if sigma_max is None else sigma_max
    check_first(prior, first)
    if sigma_max is not None and sigma_max <= prior.sigma_min:
        return [sigma_max, 0.0]
    if grid == "quad":
        levels = [s for s in linear_beta_levels() if prior.sigma_min <= s <= first]
        if not levels:
            raise ValueError(
                f"grid is 'quad'; it has no level from {prior.sigma_min:g} to {first:g}"
            )
        return quad(levels, min(steps, len(levels)))
    spaced = geometric if grid == "geometric" else karras
    return spaced(steps, min(prior.sigma_min, first), first)


def check_first(prior: Denoiser, sigma_max: float) -> None:
    """Refuse a first level that the prior does not know.

    Raises:
        ValueError: likewise.
    """
    if not 0 < sigma_max <= prior.sigma_max:
        raise ValueError(
            f"sigma_max is {sigma_max:g}; the prior knows levels up to {prior.sigma_max:g}"
        )


def last_level(prior: Denoiser, sigma_min: float, first: float) -> float:
    """The last level of a method that has one, no lower than the prior knows.

    Raises:
        ValueError: if it is above the first.
    """
    last = max(sigma_min, prior.sigma_min)
    if last > first:
        raise ValueError(f"sigma_min is {last:g}; the first level is {first:g}, expected less")
    return last


def karras(steps: int, sigma_min: float, sigma_max: float, rho: float = RHO) -> list[float]:
    """Levels evenly spaced in σ^(1/ρ), then 0 (Karras et al., NeurIPS 2022, eq. 5).

    Raises:
        ValueError: if steps is below 1 or not 0 < sigma_min <= sigma_max.
    """
    _check(steps, sigma_min, sigma_max)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    inner = [(high + (low - high) * i / (steps - 1)) ** rho for i in range(1, steps - 1)]
    return _closed(steps, sigma_min, sigma_max, inner)


def geometric(steps: int, sigma_min: float, sigma_max: float) -> list[float]:
    """Levels evenly spaced in log σ, then 0.

    Raises:
        ValueError: if steps is below 1 or not 0 < sigma_min <= sigma_max.
    """
    _check(steps, sigma_min, sigma_max)
    ratio = sigma_min / sigma_max
    inner = [sigma_max * ratio ** (i / (steps - 1)) for i in range(1, steps - 1)]
    return _closed(steps, sigma_min, sigma_max, inner)


def native(levels: Sequence[float], steps: int) -> list[float]:
    """Levels of a network's own timesteps, then 0.

    The timesteps are reversed(range(0, T, ⌈T / steps⌉)): uniform, down to t = 0 and not up to
    T - 1. Their number is `steps` where steps divides T, as in the DDRM code (which otherwise has
    up to twice as many), otherwise fewer.

    Args:
        levels: σ of the timesteps t = 0 … T - 1, increasing.
        steps: number of levels asked for, at most T.

    Raises:
        ValueError: if steps is not within 1 … T.
    """
    if not 1 <= steps <= len(levels):
        raise ValueError(f"steps is {steps}; the network has {len(levels)} timesteps")
    stride = math.ceil(len(levels) / steps)
    return [float(levels[t]) for t in reversed(range(0, len(levels), stride))] + [0.0]


def quad(levels: Sequence[float], steps: int) -> list[float]:
    """Levels whose timesteps, from the last, are the square roots of a uniform grid; then 0.

    So they are the denser the smaller the noise. Timesteps that coincide are taken once.

    Args:
        levels: σ of the timesteps t = 0 … T - 1, increasing.
        steps: number of levels asked for.

    Raises:
        ValueError: if steps is not within 1 … T.

    Source: the code of DiffPIR (Zhu et al., CVPR workshops 2023).
    """
    last = len(levels) - 1
    if not 1 <= steps <= len(levels):
        raise ValueError(f"steps is {steps}; there are {len(levels)} timesteps in the range")
    roots = [math.sqrt(len(levels) ** 2 * i / max(1, steps - 1)) for i in range(steps)]
    times = dict.fromkeys(max(0, last - int(root)) for root in roots)
    return [float(levels[t]) for t in times] + [0.0]


def linear_beta_levels(timesteps: int = 1000) -> list[float]:
    """σ of each timestep of the DDPM schedule (Ho et al., NeurIPS 2020), for pictures in [0, 1].

    σ_t = ½ √((1 - ᾱ_t) / ᾱ_t), half of the level in the network's [-1, 1].
    """
    return [level / 2 for level in vp_levels(linear_betas(timesteps))]


def vp_levels(betas: Sequence[float]) -> tuple[float, ...]:
    """σ_t = √((1 - ᾱ_t) / ᾱ_t) of a network in [-1, 1], for the β of its timesteps."""
    levels, lost = [], 0.0
    for beta in betas:
        lost += beta - lost * beta  # 1 - ᾱ, without cancellation
        levels.append(math.sqrt(lost / (1 - lost)) if lost < 1 else math.inf)
    return tuple(levels)


def linear_betas(timesteps: int = 1000, start: float = 1e-4, end: float = 0.02) -> list[float]:
    """β of Ho et al. (NeurIPS 2020), evenly spaced."""
    step = (end - start) / max(1, timesteps - 1)
    return [start + step * t for t in range(timesteps)]


def cosine_betas(timesteps: int = 1000) -> list[float]:
    """β ≤ 0.999 of Nichol and Dhariwal (ICML 2021): ᾱ(t) = cos²(π/2 · (t + 0.008) / 1.008)."""

    def kept(t: int) -> float:
        return math.cos((t / timesteps + 0.008) / 1.008 * math.pi / 2) ** 2

    return [min(1 - kept(t + 1) / kept(t), 0.999) for t in range(timesteps)]


@dataclass(frozen=True)
class LinearBeta:
    """β(t) = β_min + (β_max − β_min) t of the VP and sub-VP SDEs, for t from 0 to 1.

    Attributes:
        beta_min: β(0).
        beta_max: β(1).

    Source: Song et al., ICLR 2021, appendix C; the limit of Ho et al., NeurIPS 2020.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def beta(self, t: Tensor) -> Tensor:
        """β(t)."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def decay(self, t: _Time) -> _Time:
        """∫₀ᵗ β = β_min t + ½ (β_max − β_min) t², which is −2 ln a(t)."""
        return self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * (t * t)

    def time_of(self, decay: Tensor) -> Tensor:
        """The inverse of `decay`, without cancellation at small t."""
        root = (self.beta_min**2 + 2 * (self.beta_max - self.beta_min) * decay).sqrt()
        return 2 * decay / (root + self.beta_min)


def _check(steps: int, sigma_min: float, sigma_max: float) -> None:
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be at least 1")
    if not 0 < sigma_min <= sigma_max < math.inf:
        raise ValueError(f"sigma_min is {sigma_min:g} and sigma_max is {sigma_max:g}")


def _closed(steps: int, sigma_min: float, sigma_max: float, inner: list[float]) -> list[float]:
    # The ends are exact, and no level is above the one before by the rounding of the powers.
    within = [min(max(sigma, sigma_min), sigma_max) for sigma in inner]
    ends = [sigma_max] if steps == 1 else [sigma_max, *within, sigma_min]
    return [*map(float, ends), 0.0]
