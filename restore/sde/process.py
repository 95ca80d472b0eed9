"""A diffusion process with a linear drift, its reverse, and its probability-flow ODE."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from restore.noise import Noise
from restore.prior.denoiser import Denoiser

Time = float | Tensor
"""t: a number, a scalar tensor, or one value a picture, [B]."""


class SDE(ABC):
    """dx = −½ β(t) x dt + g(t) dw for t from 0 to `t_max`, x [B, *shape].

    Its marginals are x_t = a(t) x₀ + s(t) n. In the coordinates of the priors (VE) that is
    x_t / a = x₀ + σ n with σ = s/a: so a prior D(x, σ) of any training serves every process.

    Attributes:
        t_max: last time.
        prior_std: standard deviation of what x_t is taken for at `t_max`, N(0, prior_std² I).

    Source: Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, ICLR 2021, section 3 and appendix B;
    the reverse: Anderson, Stochastic Processes and their Applications 12, 1982.
    """

    t_max: float = 1.0
    prior_std: float = 1.0

    @abstractmethod
    def decay(self, t: Tensor) -> Tensor:
        """∫₀ᵗ β, which is −2 ln a(t)."""

    @abstractmethod
    def beta(self, t: Tensor) -> Tensor:
        """β(t)."""

    @abstractmethod
    def std(self, t: Tensor) -> Tensor:
        """s(t), the standard deviation of x_t given x₀."""

    @abstractmethod
    def diffusion(self, t: Tensor) -> Tensor:
        """g(t)."""

    @abstractmethod
    def time(self, sigma: Tensor) -> Tensor:
        """The t whose level in VE coordinates is σ: the inverse of `sigma`."""

    def mean_coefficient(self, t: Tensor) -> Tensor:
        """a(t)."""
        return torch.exp(-0.5 * self.decay(t))

    def sigma(self, t: Tensor) -> Tensor:
        """σ(t) = s(t)/a(t)."""
        return self.std(t) * torch.exp(0.5 * self.decay(t))

    def drift(self, x: Tensor, t: Time) -> Tensor:
        """−½ β(t) x."""
        return -0.5 * self.beta(time_column(t, x)) * x

    def marginal(self, x0: Tensor, t: Time) -> tuple[Tensor, Tensor]:
        """Mean [B, *shape] and standard deviation [B or 1, 1, …] of x_t given x₀."""
        column = time_column(t, x0)
        return self.mean_coefficient(column) * x0, self.std(column)

    def prior_sample(self, like: Tensor, noise: Noise) -> Tensor:
        """Draw x at `t_max`, of like's shape, device and number type."""
        return self.prior_std * noise(like)

    def prior_log_prob(self, x: Tensor) -> Tensor:
        """Log-density of N(0, prior_std² I) in nats, [B]."""
        return normal_log_prob(x, self.prior_std)

    def to_ve(self, x: Tensor, t: Time) -> Tensor:
        """x / a(t) = x₀ + σ(t) n."""
        return x / self.mean_coefficient(time_column(t, x))

    def from_ve(self, x: Tensor, t: Time) -> Tensor:
        """The inverse of `to_ve`."""
        return x * self.mean_coefficient(time_column(t, x))

    def score(self, prior: Denoiser, x: Tensor, t: Time) -> Tensor:
        """∇ log p_t(x) = (a D(x/a, σ) − x)/s² for t > 0, [B, *shape]."""
        column = time_column(t, x)
        a = self.mean_coefficient(column)
        denoised = prior(x / a, self.sigma(column).flatten())
        return (a * denoised - x) / self.std(column).square()

    def reverse_drift(self, prior: Denoiser, x: Tensor, t: Time) -> Tensor:
        """−½ β x − g² ∇ log p_t of the reverse SDE, which runs from `t_max` down with g(t) dw."""
        return self._against(prior, x, t, 1.0)

    def ode_drift(self, prior: Denoiser, x: Tensor, t: Time) -> Tensor:
        """−½ β x − ½ g² ∇ log p_t: the ODE whose solutions have the marginals of the SDE."""
        return self._against(prior, x, t, 0.5)

    def _against(self, prior: Denoiser, x: Tensor, t: Time, share: float) -> Tensor:
        g = self.diffusion(time_column(t, x))
        return self.drift(x, t) - share * g.square() * self.score(prior, x, t)


def time_column(t: Time, x: Tensor) -> Tensor:
    """t as a tensor that broadcasts against x, [1, 1, …] or [B, 1, …], of x's device and type."""
    if not isinstance(t, Tensor):
        return torch.full((1,) * x.ndim, t, dtype=x.dtype, device=x.device)
    return t.to(device=x.device, dtype=x.dtype).reshape(-1, *(1,) * (x.ndim - 1))


def normal_log_prob(x: Tensor, std: float, mean: float | Tensor = 0.0) -> Tensor:
    """Log-density of N(mean, std² I) in nats, x [B, *shape] to [B]."""
    flat = (x - mean).flatten(1) / std
    each = 0.5 * math.log(2 * math.pi) + math.log(std)
    return -0.5 * flat.square().sum(1) - flat.shape[1] * each
