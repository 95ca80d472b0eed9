"""The denoiser contract: D(x, σ) = E[x₀ | x₀ + σ n = x], the one thing a method asks of a prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor


class Denoiser(ABC):
    """A score prior in the variance-exploding coordinates x = x₀ + σ n, pictures in [0, 1].

    The denoiser owns its schedule, its channels and its data range: whatever range or noise
    parameterisation a network was trained with is converted once, in its adapter.

    Attributes:
        channels: number of channels it serves; None where any number does.
        sigma_min: smallest noise level it knows, in the units of x.
        sigma_max: largest noise level it knows, in the units of x.
        centre: mean of the data, in the units of x; where a sampler starts in directions that
            were not measured.
    """

    channels: int | None = None
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    centre: float = 0.5

    @abstractmethod
    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """Posterior mean of the clean picture.

        Args:
            x: noisy pictures [B, C, H, W].
            sigma: standard deviation of the noise in the units of x: a number, a scalar tensor,
                or one value a picture [B].

        Returns:
            E[x₀ | x], of x's shape, device and dtype.
        """

    def native_sigmas(self, steps: int) -> list[float] | None:  # noqa: ARG002
        """Noise levels of the network's own timesteps, decreasing to 0; None where it has none."""
        return None


class Wrapped(Denoiser):
    """A denoiser around another one, with its channels, levels and centre.

    Args:
        prior: the inner denoiser.
    """

    def __init__(self, prior: Denoiser) -> None:
        self._prior = prior
        self.channels, self.centre = prior.channels, prior.centre
        self.sigma_min, self.sigma_max = prior.sigma_min, prior.sigma_max

    def native_sigmas(self, steps: int) -> list[float] | None:
        """Those of the inner denoiser."""
        return self._prior.native_sigmas(steps)


class FunctionDenoiser(Denoiser):
    """A function D(x, σ) as a denoiser of any number of channels.

    Args:
        function: from noisy pictures [B, C, H, W] and σ to E[x₀ | x] of the same shape.
    """

    def __init__(self, function: Callable[[Tensor, float | Tensor], Tensor]) -> None:
        self._function = function

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """The function's value.

        Raises:
            ValueError: if it is no tensor of x's shape and number type.
        """
        return fitting(self._function(x, sigma), x)


def fitting(x_hat: Tensor, x: Tensor) -> Tensor:
    """x̂ of a denoiser that may be the user's own, as it came.

    Raises:
        ValueError: if it is no tensor of x's shape and number type.
    """
    if not isinstance(x_hat, Tensor):
        raise ValueError(
            f"denoiser: its output is of type {type(x_hat).__name__}; expected a tensor "
            f"{list(x.shape)}, as x"
        )
    if x_hat.shape != x.shape:
        raise ValueError(
            f"denoiser: its output is {list(x_hat.shape)}; expected {list(x.shape)}, as x"
        )
    if x_hat.dtype != x.dtype:
        raise ValueError(f"denoiser: its output is {x_hat.dtype}; expected {x.dtype}, as x")
    return x_hat


def sigma_column(sigma: float | Tensor, x: Tensor) -> Tensor:
    """σ as a tensor that broadcasts against x: [1, 1, …] or [B, 1, …], on x's device and dtype.

    Raises:
        ValueError: if σ is neither a scalar nor one value a picture.
    """
    # A Python number becomes a filled tensor: `as_tensor` would copy it from the host.
    if not isinstance(sigma, Tensor):
        return torch.full((1,) * x.ndim, sigma, dtype=x.dtype, device=x.device)
    if sigma.ndim > 1 or (sigma.ndim == 1 and sigma.shape[0] not in (1, x.shape[0])):
        raise ValueError(
            f"Denoiser: sigma is {list(sigma.shape)}; expected a scalar or [{x.shape[0]}]"
        )
    return sigma.to(device=x.device, dtype=x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
