"""Annealed Langevin dynamics for measurements that were rounded: SNIPS with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback, check_positive, descend, start_from
from restore.methods.halved_noise import halves
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import check_first, geometric, last_level
from restore.problem import Problem
from restore.quantised import QuantisedProblem, as_quantised


@dataclass(frozen=True)
class IntervalSNIPS(Method):
    """Langevin steps towards p(x + σn | A x in its intervals) at falling levels σ.

    With x̂ = D(x, σ), and errors of x̂ that are independent with standard deviation r per pixel,

        r² = 1/(σ⁻² + σ_d⁻²),   c_i = E[a | |a - y_i| ≤ ½],  a ~ N((A x̂)_i, r² ‖A_i‖²)
        t = x̂ - A†(A x̂ - c)
        x' = t + k (x - t) + b z + a z'

    where z is the last step's noise, z' a fresh one, k = exp(-c) ≤ σ'/σ with the length of a step
    c = Θ ln(σ₁/σ_L)/L, at most 1, and b and a are those of `halves`, as in `SNIPS`. Of a Gaussian
    prior N(m, σ_d²) and orthogonal rows t is the mean of p(x₀ | x, y), so that (t - x)/σ² is the
    score: the samples tend to the posterior, whose coefficients are normal and cut at the ends of
    their intervals. The result is t of the last level with every coefficient in its interval.

    Where DDRM-JPEG puts a coefficient that the denoiser leaves in its interval halfway back to the
    middle of it, and draws all noise anew, this leaves as much open as the file does.

    Attributes:
        steps: L, the number of levels, one evaluation of the denoiser each.
        theta: Θ, how much of the noise is renewed while σ falls by a factor of e.
        data_std: σ_d, the standard deviation of a pixel as the step takes it.
        sigma_max: first level σ₁, of the noise that is put on the start.
        sigma_min: last level σ_L; the prior's where that is larger.
        start: an estimate of x, [B or 1, *domain.shape]; H† y without it.

    Raises:
        ValueError: if a hyperparameter is out of its range.

    Source: ours; SNIPS (Kawar, Vaksman, Elad, NeurIPS 2021), and the mean of a normal variable in
    an interval (Johnson, Kotz, Balakrishnan, "Continuous univariate distributions" 1, 1994, 13.10).
    """

    steps: int = 40
    theta: float = 9.1
    data_std: float = 0.25
    sigma_max: float = 0.3
    sigma_min: float = 0.01
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "snips-interval"
    title: ClassVar[str] = "SNIPS with intervals"
    reference: ClassVar[str] = "this project, after Kawar, Vaksman, Elad, NeurIPS 2021"
    needs: ClassVar[tuple[str, ...]] = ("intervals",)
    tasks: ClassVar[tuple[str, ...]] = ("dejpeg",)

    def __post_init__(self) -> None:
        check_positive(self, "theta", "data_std")
        geometric(self.steps, self.sigma_min, self.sigma_max)

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
            problem: quantised, with an operator that knows the norms of its rows.
            prior: the denoiser.
            noise: called once for the start and once a step but the last.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            TypeError: if the problem is not quantised.
            ValueError: if sigma_max is above the prior's largest level.
        """
        check_first(prior, self.sigma_max)
        rounded = as_quantised(problem)
        start = rounded.decode(rounded.y) if self.start is None else self.start
        x, _ = start_from(problem, start, self.sigma_max, noise)
        least = last_level(prior, self.sigma_min, self.sigma_max)
        sigmas = geometric(self.steps, least, self.sigma_max)
        length = min(self.theta * math.log(self.sigma_max / least) / self.steps, 1.0)
        steps = _Steps(rounded, noise, length, self.data_std)
        return descend(prior, x, sigmas, steps.step, on_step)


class _Steps:
    """The Langevin steps of a run."""

    def __init__(
        self, problem: QuantisedProblem, noise: Noise, length: float, data_std: float
    ) -> None:
        self.problem, self.noise, self.length, self.data_std = problem, noise, length, data_std
        # The last step's z, and its Cov(x - t, z).
        self.last: tuple[Tensor, Tensor] | None = None

    def step(self, x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
        """A step from σ to lower, or the end where lower is 0."""
        t = self.problem.expected(x_hat, (sigma**-2 + self.data_std**-2) ** -0.5)
        if lower == 0:
            return self.problem.settled(t)
        kept = min(math.exp(-self.length), lower / sigma)
        before, after = x.new_full((), sigma**2), x.new_full((), lower**2)
        moved, z = torch.lerp(t, x, kept), self.noise(x)
        if self.last is None:
            fresh = (after - kept**2 * before).clamp_min(0).sqrt()
        else:
            drawn, covariance = self.last
            again, fresh = halves(kept, before, after, covariance)
            moved.addcmul_(again, drawn)
        self.last = z, fresh
        return moved.addcmul_(fresh, z)
