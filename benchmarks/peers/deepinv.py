"""deepinv 0.5 (https://github.com/deepinv/deepinv) as methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import deepinv as dinv
import torch
from torch import Tensor

from benchmarks.peers import Peer
from restore.methods import StepCallback
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import karras
from restore.problem import Problem


class _Denoiser(torch.nn.Module):
    def __init__(self, prior: Denoiser, on_step: StepCallback | None, steps: int) -> None:
        super().__init__()
        self.prior, self.on_step, self.steps = prior, on_step, steps
        self.done = 0

    def forward(self, x: Tensor, sigma: Any, *_: Any, **__: Any) -> Tensor:
        level = sigma.flatten() if isinstance(sigma, Tensor) else float(sigma)
        if isinstance(level, Tensor) and level.numel() not in (1, len(x)):
            level = level[:1]
        x_hat = self.prior(x.to(torch.float32), level)
        self.done += 1
        if self.on_step is not None:
            self.on_step(self.done, self.steps, x_hat)
        return x_hat.to(x.dtype)


class _Physics(dinv.physics.LinearPhysics):
    """Our operator as theirs."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(noise_model=dinv.physics.GaussianNoise(problem.noise_std))
        self._operator = problem.operator

    def A(self, x: Tensor, **_: Any) -> Tensor:
        return self._operator(x.to(torch.float32)).to(x.dtype)

    def A_adjoint(self, y: Tensor, **_: Any) -> Tensor:
        return self._operator.adjoint(y.to(torch.float32)).to(y.dtype)


class _Decomposed(dinv.physics.DecomposablePhysics):
    """Our operator with its SVD as theirs; only where V is a basis of the whole picture space."""

    def __init__(self, problem: Problem) -> None:
        svd = problem.operator.svd()
        if svd.right.domain.numel != problem.operator.domain.numel:
            raise ValueError("deepinv's DDRM needs singular vectors for the null space too")
        super().__init__(
            U=svd.u,
            U_adjoint=svd.ut,
            V=svd.v,
            V_adjoint=svd.vt,
            mask=svd.singular_values[None] if svd.singular_values.ndim == 3 else 1.0,
            noise_model=dinv.physics.GaussianNoise(problem.noise_std),
        )


@dataclass(frozen=True)
class _Peer(Peer):
    reference: ClassVar[str] = "deepinv 0.5.0"
    needs: ClassVar[tuple[str, ...]] = ("adjoint",)


@dataclass(frozen=True)
class DDRM(_Peer):
    """Its DDRM, on the levels of our Karras grid."""

    steps: int = 20
    eta: float = 0.85
    eta_b: float = 1.0

    name: ClassVar[str] = "deepinv:ddrm"
    title: ClassVar[str] = "DDRM of deepinv"
    needs: ClassVar[tuple[str, ...]] = ("svd",)

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        sigmas = karras(self.steps, prior.sigma_min, prior.sigma_max)[:-1]
        denoiser = _Denoiser(prior, on_step, self.steps)
        method = dinv.sampling.DDRM(denoiser, sigmas=sigmas, eta=self.eta, etab=self.eta_b)
        result: Tensor = method(problem.y, _Decomposed(problem))
        return result


@dataclass(frozen=True)
class DiffPIR(_Peer):
    """Its DiffPIR, which runs its own DDPM schedule."""

    zeta: float = 0.3
    weight: float = 7.0

    name: ClassVar[str] = "deepinv:diffpir"
    title: ClassVar[str] = "DiffPIR of deepinv"

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        method = dinv.sampling.DiffPIR(
            model=_Denoiser(prior, on_step, self.steps),
            data_fidelity=dinv.optim.data_fidelity.L2(),
            # Its σ is at least 0.001 as the authors'.
            sigma=max(problem.noise_std, 1e-3),
            max_iter=self.steps,
            zeta=self.zeta,
            lambda_=self.weight,
            device=str(problem.y.device),
        )
        result: Tensor = method(problem.y, _Physics(problem))
        return result


@dataclass(frozen=True)
class DPS(_Peer):
    """Its DPS on the variance-preserving SDE."""

    steps: int = 1000
    weight: float = 0.3

    name: ClassVar[str] = "deepinv:dps"
    title: ClassVar[str] = "DPS of deepinv"
    needs: ClassVar[tuple[str, ...]] = ("adjoint", "gradient")

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        method = dinv.sampling.DPS(
            _Denoiser(prior, on_step, self.steps),
            num_steps=self.steps + 1,
            weight=self.weight,
            device=problem.y.device,
        )
        shape = (problem.batch, *problem.operator.domain.shape)
        result: Tensor = method(problem.y.double(), _Physics(problem), x_init=shape)
        return result.to(problem.y.dtype)
