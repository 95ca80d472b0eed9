"""Iterative latent variable refinement: ILVR."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from operators import Downsample, LinearOperator, Resize, ShapeError, Space
from restore.methods.base import (
    TASKS,
    Method,
    StepCallback,
    check_start,
    check_unit,
    ddim,
    descend,
    start_from,
)
from restore.methods.predictor_corrector import Consistency
from restore.methods.replacement import replacement
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem

Phi = Literal["projection", "resize"]


@dataclass(frozen=True)
class ILVR(Method):
    """Ancestral sampling whose low frequencies (or measured part) are those of a reference.

    With φ_N the bicubic shrink by N and enlargement again, r a reference picture and x' an
    ancestral step to σ' < σ,

        x ← x' + φ_N (r + σ'z - x')            phi "resize", the paper's
        x ← x' + V 1[s > 0] (ȳ + σ'z̄ - Vᴴx')   phi "projection": A†A takes the place of φ_N

    A†A is a projector, so that with "projection" and no noise the result fits y exactly; φ_N is
    none. Aware of the noise, "projection" has the rule of ScoreSDE for it. The last `stop` steps
    are not conditioned; with 0 all are, the last at level 0 (of a noisy y what is clearer than x̂).

    "resize" does not look at y, only at the reference: a picture that shares the low frequencies
    of a guide, whatever the problem (a mask of zeros measures nothing).

    Attributes:
        steps: evaluations of the denoiser. The paper has 1000.
        phi: "projection" or "resize".
        factor: N ≥ 1 of "resize": the smaller, the more of the reference is kept.
        stop: last steps without conditioning, at least 0.
        guide: the reference r of "resize", [B or 1, *domain.shape]; by default `start`.
        noise_aware: whether σ_y counts in "projection"; None where there is any.
        rcond: singular values below rcond · max(s) are taken as 0 in "projection".
        grid: levels of the noise (`prior.schedule`).
        sigma_max: first level, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape]. With `sigma_max` it takes the place of
            the centre of the data, from which the run starts.

    Raises:
        ValueError: if a hyperparameter is out of its range, "resize" has no reference, or
            "projection" has a guide.

    Source: Choi, Kim, Jeong, Gwon, Yoon, ICCV 2021, algorithm 1.
    """

    steps: int = 100
    phi: Phi = "projection"
    factor: float = 4.0
    stop: int = 0
    guide: Tensor | None = field(default=None, repr=False, compare=False)
    noise_aware: bool | None = None
    rcond: float = 1e-3
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "ilvr"
    title: ClassVar[str] = "Iterative latent variable refinement"
    reference: ClassVar[str] = "Choi, Kim, Jeong, Gwon, Yoon, ICCV 2021"
    needs: ClassVar[tuple[str, ...]] = ("adjoint",)
    tasks: ClassVar[tuple[str, ...]] = (*TASKS, "sample")

    def __post_init__(self) -> None:
        check_unit(self, "rcond")
        if self.phi not in get_args(Phi):
            raise ValueError(f"phi is {self.phi!r}; it is one of {', '.join(get_args(Phi))}")
        if not 1 <= self.factor < float("inf"):
            raise ValueError(f"factor is {self.factor}; it must be at least 1")
        if self.stop < 0:
            raise ValueError(f"stop is {self.stop}; it must be at least 0")
        if self.phi == "resize" and self.guide is None and self.start is None:
            raise ValueError("phi is 'resize', which needs a guide (or a start) as its reference")
        if self.phi == "projection" and self.guide is not None:
            raise ValueError("a guide is for phi 'resize'; 'projection' keeps the measurement")
        if self.phi == "projection" or self.guide is not None:
            check_start(self.start, self.sigma_max)

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
            problem: any operator.
            prior: the denoiser.
            noise: called for the start, each step and each conditioning, and with noise in y for
                the last.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
            ShapeError: if the guide has another shape than the pictures.
            ValueError: if the grid does not fit the prior.
        """
        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        start = prior.centre if self.start is None or self.sigma_max is None else self.start
        x, _ = start_from(problem, start, sigmas[0], noise)
        condition = self._condition(problem, noise)
        conditioned = set(sigmas[: max(0, len(sigmas) - self.stop)])

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            x = ddim(x, x_hat, sigma, lower, 1.0, noise)
            return condition(x, lower, sigma, (lower / sigma) ** 2) if lower in conditioned else x

        if self.phi == "projection" and self.stop < len(sigmas) - 1:
            x = condition(x, sigmas[0], sigmas[0], 0.0)
        return descend(prior, x, sigmas, step, on_step)

    def _condition(self, problem: Problem, noise: Noise) -> Consistency:
        reference = self.start if self.guide is None else self.guide
        if self.phi == "projection" or reference is None:
            return replacement(
                problem, noise, noise_aware=self.noise_aware, strength=1.0, rcond=self.rcond
            )
        space = problem.operator.domain
        if reference.shape not in ((problem.batch, *space.shape), (1, *space.shape)):
            raise ShapeError(
                f"guide is {list(reference.shape)}; the pictures are "
                f"{[problem.batch, *space.shape]}"
            )
        low_pass = low_pass_filter(space, self.factor, problem.y.device)
        picture = reference.to(dtype=space.dtype)

        def condition(x: Tensor, sigma: float, before: float, kept: float) -> Tensor:  # noqa: ARG001
            missing = picture - x
            if sigma > 0:
                missing = missing.add_(noise(x), alpha=sigma)
            return x + low_pass(missing)

        return condition


def low_pass_filter(space: Space, factor: float, device: torch.device) -> LinearOperator:
    """Return φ_N: the antialiased bicubic shrink of a picture by N, and its enlargement again."""
    down = Downsample(space.shape, factor, dtype=space.dtype, device=device)
    rows, columns = space.shape[-2:]
    up = Resize(down.codomain.shape, (rows, columns), dtype=space.dtype, device=device)
    return up @ down
