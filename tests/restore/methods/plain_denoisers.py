"""Denoisers whose samplers' laws are known, shared by the tests of the methods."""

from __future__ import annotations

from torch import Tensor

from restore.prior.denoiser import Denoiser


class Oracle(Denoiser):
    """Knows the pictures; keeps the states that it is shown."""

    sigma_min, sigma_max = 0.01, 50.0

    def __init__(self, pictures: Tensor) -> None:
        self.pictures = pictures
        self.seen: list[tuple[Tensor, float]] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.seen.append((x, float(sigma)))
        return self.pictures


class Half(Denoiser):
    """A denoiser of one operation, for what does not depend on the prior."""

    sigma_min, sigma_max = 0.01, 50.0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return 0.25 + x / 2
