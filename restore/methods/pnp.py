"""Annealed plug-and-play restoration: denoise and replace, without randomness."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback
from restore.methods.ddrm import DDRM
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid
from restore.problem import Problem


@dataclass(frozen=True)
class PlugAndPlay(Method):
    """Denoise at falling levels and put the measurement back each time; one picture, no samples.

    A step σ → σ' takes x̂ = D(x, σ) and sets Vᴴx' = S⁺Uᴴy where sσ' ≥ σ_y (for the last step with
    σ_y = 0: wherever s > 0), leaving the rest: a direction that was measured with more noise than
    the level that is left is the denoiser's. It is DDRM with η = η_b = 1 with every draw at its
    mean.

    Attributes:
        steps: evaluations of the denoiser.
        sigma_max: first level; it says how much of the start may change.
        rcond: singular values below rcond · max(s) are taken as 0.
        grid: levels of the noise, "karras" or "geometric" (a first level of its own makes "native"
            into "karras").
        start: an estimate of x, [B or 1, *domain.shape], without which unmeasured directions start
            at the centre of the data.

    Raises:
        ValueError: if a hyperparameter is out of its range.

    Source: Venkatakrishnan, Bouman, Wohlberg, GlobalSIP 2013 (a denoiser as prior); with annealed
    levels and a projection, as Kadkhodaie and Simoncelli, NeurIPS 2021, without its noise.
    """

    steps: int = 20
    sigma_max: float = 0.2
    rcond: float = 1e-6
    grid: Grid = "karras"
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "pnp"
    title: ClassVar[str] = "Annealed plug-and-play (denoise and replace)"
    reference: ClassVar[str] = "Venkatakrishnan, Bouman, Wohlberg, GlobalSIP 2013"
    needs: ClassVar[tuple[str, ...]] = ("svd",)
    samples: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._mean_path()

    def _mean_path(self) -> DDRM:
        return DDRM(self.steps, 1.0, 1.0, self.rcond, self.grid, self.sigma_max, self.start)

    def __call__(
        self,
        problem: Problem,
        prior: Denoiser,
        *,
        noise: Noise,  # noqa: ARG002
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Return one estimate for each measurement, [B, *domain.shape]; noise is not used.

        Raises:
            NoFastSVD: if the operator has no SVD.
            ValueError: if the grid does not fit the prior.
        """
        return self._mean_path()(problem, prior, noise=torch.zeros_like, on_step=on_step)
