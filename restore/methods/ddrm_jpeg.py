"""DDRM for measurements that were rounded: DDRM-JPEG."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback, check_unit, descend, start_from
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import linear_beta_levels, native
from restore.problem import Problem
from restore.quantised import as_quantised


@dataclass(frozen=True)
class DDRMJpeg(Method):
    """DDRM's noiseless step with an encoder that rounds in the place of the operator.

    With H = round ∘ A, the decoder H† and x̂ = D(x, σ), a step σ → σ' is

        x_c = x̂ - H† H x̂ + H† y
        x' = η_b x_c + (1 - η_b) x̂ + σ' (η z + (1 - η)(x - x̂)/σ)

    from the decoded measurement with noise of the first level on it. Where H H† is the identity,
    x_c lies in the intervals, but not their blend with x̂.

    Attributes:
        steps: evaluations of the denoiser.
        eta: η in [0, 1], the part of the noise that is fresh.
        eta_b: η_b in [0, 1], the pull to the measurement.
        timesteps: the run starts at so many of the 1000 timesteps of the DDPM schedule: 300 with
            20 steps is σ = 0.575.
        start: an estimate of x, [B or 1, *domain.shape]; H† y without it.

    Raises:
        ValueError: if a hyperparameter is out of its range.

    Source: Kawar, Song, Ermon, Elad, "JPEG artifact correction using denoising diffusion
    restoration models", 2022, equation 9 and the authors' code.
    """

    steps: int = 20
    eta: float = 1.0
    eta_b: float = 0.4
    timesteps: int = 300
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "ddrm-jpeg"
    title: ClassVar[str] = "DDRM for JPEG"
    reference: ClassVar[str] = "Kawar, Song, Ermon, Elad, 2022"
    needs: ClassVar[tuple[str, ...]] = ("intervals",)
    tasks: ClassVar[tuple[str, ...]] = ("dejpeg",)

    def __post_init__(self) -> None:
        check_unit(self, "eta", "eta_b")
        if not 1 <= self.steps <= self.timesteps <= 1000:
            raise ValueError(
                f"steps is {self.steps} and timesteps {self.timesteps}; expected "
                "1 <= steps <= timesteps <= 1000"
            )

    def within(self, evaluations: int) -> Self:
        """Return the method with at most so many steps, and no more than it has timesteps."""
        return super().within(min(evaluations, self.timesteps))

    @torch.no_grad()
    def __call__(
        self,
        problem: Problem,
        prior: Denoiser,
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Return one sample for each measurement, [B, *domain.shape].

        Args:
            problem: quantised.
            prior: the denoiser.
            noise: called once for the start and once a step.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            TypeError: if the problem is not quantised.
            ValueError: if the prior does not know a level.
        """
        rounded = as_quantised(problem)
        sigmas = native(linear_beta_levels()[: self.timesteps], self.steps)
        # A prior of this very schedule may compute its levels in another order.
        if not (sigmas[0] <= prior.sigma_max and prior.sigma_min <= sigmas[-2] * (1 + 1e-6)):
            raise ValueError(
                f"the levels go from {sigmas[0]:g} to {sigmas[-2]:g}; the prior knows "
                f"{prior.sigma_min:g} to {prior.sigma_max:g}"
            )
        start = rounded.decode(rounded.y) if self.start is None else self.start
        eta, eta_b = self.eta, self.eta_b

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            # H x̂ - y is a whole number of steps: both have the same shift.
            wrong = (rounded.operator(x_hat) - rounded.y).round()
            pulled = x_hat - eta_b * rounded.decode(wrong)
            pulled = pulled + (1 - eta) * lower / sigma * (x - x_hat)
            return pulled.add_(noise(x_hat), alpha=eta * lower)

        x, _ = start_from(problem, start, sigmas[0], noise)
        return descend(prior, x, sigmas, step, on_step)
