"""The shared noise prediction as a denoiser of `restore`, for the agreement tests."""

from __future__ import annotations

from collections.abc import Callable

from ddrm_cases import epsilon
from torch import Tensor

from restore.prior.denoiser import Denoiser
from restore.prior.schedule import linear_beta_levels, native


class Network(Denoiser):
    """D(x, σ) of pictures in [0, 1]; it keeps the states that it is given."""

    sigma_min, sigma_max = 0.005, 80.0

    def __init__(self, predict: Callable[[Tensor, Tensor], Tensor] = epsilon) -> None:
        self.predict = predict
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.seen.append(x.detach())
        x, sigma = 2 * x - 1, 2 * sigma
        x_hat = x - sigma * self.predict(x / (1 + sigma**2) ** 0.5, 1 / (1 + sigma**2))
        return (x_hat + 1) / 2

    def native_sigmas(self, steps: int) -> list[float]:
        return native(linear_beta_levels(), steps)
