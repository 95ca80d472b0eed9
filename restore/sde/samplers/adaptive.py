"""The probability-flow ODE with steps that a tolerance chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from restore.methods.base import StepCallback
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.sde.flow import Solver, transport
from restore.sde.samplers.base import Sampler


@dataclass(frozen=True)
class AdaptiveODE(Sampler):
    """`transport` from the prior's largest level to its smallest, then x̂.

    The tolerance says how many evaluations there are.

    Attributes:
        rtol: relative error of a step.
        atol: absolute error of a step, in the units of x.
        solver: a method of torchdiffeq.

    Raises:
        ValueError: when it runs, if the solver is unknown or a tolerance is not above 0.
    """

    rtol: float = 1e-4
    atol: float = 1e-4
    solver: Solver = "dopri5"

    name: ClassVar[str] = "ode"
    title: ClassVar[str] = "Probability-flow ODE with adaptive steps (Dormand–Prince)"
    reference: ClassVar[str] = "Song et al., ICLR 2021; Chen et al., NeurIPS 2018 (torchdiffeq)"
    random: ClassVar[bool] = False
    order: ClassVar[int] = 0

    def sigmas(self, prior: Denoiser) -> list[float]:
        """The first level, the last, and 0."""
        return [prior.sigma_max, prior.sigma_min, 0.0]

    def descend(
        self,
        prior: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        *,
        noise: Noise,  # noqa: ARG002
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Take x from the first level to the last above 0, then x̂."""
        moved = transport(
            prior, x, sigmas[0], sigmas[-2],
            rtol=self.rtol, atol=self.atol, solver=self.solver, on_step=on_step,
        )  # fmt: skip
        x_hat = prior(moved.x, sigmas[-2])
        if on_step is not None:
            on_step(moved.evaluations + 1, moved.evaluations + 1, x_hat)
        return x_hat
