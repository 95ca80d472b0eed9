"""azula 0.11 (https://github.com/probabilists/azula) as methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import azula.denoise
import azula.guidance
import azula.linalg.covariance
import azula.noise
import azula.sample
import torch
from torch import Tensor

from benchmarks.peers import Peer
from restore.methods import StepCallback
from restore.prior.denoiser import Denoiser
from restore.problem import Problem


class _Denoiser(azula.denoise.Denoiser):
    """Our denoiser as theirs, on the variance-exploding schedule; on flat pictures if asked for."""

    def __init__(
        self,
        prior: Denoiser,
        on_step: StepCallback | None,
        steps: int,
        flat: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.prior, self.on_step, self.steps, self.flat = prior, on_step, steps, flat
        self.schedule = azula.noise.VESchedule(prior.sigma_min, prior.sigma_max)
        self.done = 0

    def forward(self, x_t: Tensor, t: Tensor, **_: object) -> azula.denoise.DiracPosterior:
        sigma = self.schedule.sigma(t).to(x_t)
        x_hat = self.prior(x_t.unflatten(-1, self.flat) if self.flat else x_t, sigma)
        self.done += 1
        if self.on_step is not None:
            self.on_step(self.done, self.steps, x_hat.detach())
        return azula.denoise.DiracPosterior(mean=x_hat.flatten(1) if self.flat else x_hat)


@dataclass(frozen=True)
class _Peer(Peer):
    reference: ClassVar[str] = "azula 0.11.1"
    needs: ClassVar[tuple[str, ...]] = ("adjoint", "gradient")


def _begin(problem: Problem, prior: Denoiser) -> Tensor:
    shape = (problem.batch, *problem.operator.domain.shape)
    return prior.centre + prior.sigma_max * torch.randn(shape, device=problem.y.device)


@dataclass(frozen=True)
class DPS(_Peer):
    """Its DPS."""

    steps: int = 1000
    zeta: float = 0.3

    name: ClassVar[str] = "azula:dps"
    title: ClassVar[str] = "DPS of azula"
    alone: ClassVar[bool] = True

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        denoiser = _Denoiser(prior, on_step, self.steps)
        sampler = azula.guidance.DPSSampler(
            denoiser, problem.y, problem.operator, self.zeta, steps=self.steps, silent=True
        )
        result: Tensor = sampler(_begin(problem, prior))
        return result


@dataclass(frozen=True)
class PGDM(_Peer):
    """Its ΠGDM, which takes the measurement as exact."""

    eta: float = 1.0

    name: ClassVar[str] = "azula:pgdm"
    title: ClassVar[str] = "ΠGDM of azula"

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        sampler = azula.guidance.PGDMSampler(
            _Denoiser(prior, on_step, self.steps),
            problem.y,
            problem.operator,
            lambda y: problem.operator.pinv(y, 1e-3),
            steps=self.steps,
            eta=self.eta,
            silent=True,
        )
        result: Tensor = sampler(_begin(problem, prior))
        return result


@dataclass(frozen=True)
class MMPS(_Peer):
    """Moment matching (Rozet et al., NeurIPS 2024): products with the covariance of x₀."""

    iterations: int = 5

    name: ClassVar[str] = "azula:mmps"
    title: ClassVar[str] = "MMPS of azula"
    noiseless: ClassVar[bool] = False

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        shape = problem.operator.domain.shape
        variance = torch.tensor(problem.noise_std**2, device=problem.y.device)
        guided = azula.guidance.MMPSDenoiser(
            _Denoiser(prior, on_step, self.steps, flat=shape),
            problem.y.flatten(1),
            lambda x: problem.operator(x.unflatten(-1, shape)).flatten(1),
            azula.linalg.covariance.IsotropicCovariance(variance),
            iterations=self.iterations,
        )
        sampler = azula.sample.DDPMSampler(guided, steps=self.steps, silent=True)
        result: Tensor = sampler(_begin(problem, prior).flatten(1))
        return result.unflatten(-1, shape)
