"""Denoising diffusion restoration models: DDRM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback, check_start, check_unit, descend
from restore.methods.spectral import Chain, Spectrum
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem


@dataclass(frozen=True)
class DDRM(Method):
    """A diffusion sampler that treats each singular direction of the operator by its own rule.

    With A = U S Vᴴ, x̄ = Vᴴx, ȳ = S⁺Uᴴy, q = √(1 - η²) and x̂ = D(x, σ), a step σ → σ' < σ is

        s = 0:             x' = x̂ + qσ' (x - x̂)/σ + ησ' z
        0 < s < σ_y/σ':    x̄' = x̂ + qσ' (Uᴴy - s x̂)/σ_y + ησ' z
        s ≥ σ_y/σ':        x̄' = (1 - η_b) x̂ + η_b ȳ + √(σ'² - η_b²σ_y²/s²) z

    from N(ȳ, σ₁² - σ_y²/s²) where sσ₁ > σ_y and N(c, σ₁²) elsewhere, c being the centre of the
    data. Given x₀, every x' is N(x₀, σ'²I). The last step is x̂ with x̄ ~ N(ȳ, σ_y²/s²), whatever
    η_b, where y is clearer than its level (`Spectrum.clearer`): without noise A x = y.

    It is not a posterior sampler, not even with many steps: its spread is usually too narrow where
    the measurement is noisy, and more steps can make its mean worse.

    Attributes:
        steps: evaluations of the denoiser.
        eta: η in [0, 1], the part of the noise that is fresh where the measurement is not used or
            is noisier than x; 0 is deterministic there.
        eta_b: η_b in [0, 1], the pull to the measurement where it is cleaner than x.
        rcond: singular values below rcond · max(s) are taken as 0.
        grid: levels of the noise, "native", "karras" or "geometric" (`prior.schedule`).
        sigma_max: first level σ₁, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], that takes the place of the centre c: the
            run then starts at `sigma_max`, from where it corrects the estimate
            (Chung et al., CVPR 2022). The closer the estimate, the smaller the level.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Kawar, Elad, Ermon, Song, NeurIPS 2022, equations 7 and 8.
    """

    steps: int = 20
    eta: float = 0.85
    eta_b: float = 1.0
    rcond: float = 1e-6
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "ddrm"
    title: ClassVar[str] = "Denoising diffusion restoration models"
    reference: ClassVar[str] = "Kawar, Elad, Ermon, Song, NeurIPS 2022"
    needs: ClassVar[tuple[str, ...]] = ("svd",)

    def __post_init__(self) -> None:
        check_unit(self, "eta", "eta_b", "rcond")
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
            problem: its operator has an SVD.
            prior: the denoiser.
            noise: called once for the start and once a step; without noise in y not for the last.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            NoFastSVD: if the operator has no SVD.
            ValueError: if the grid does not fit the prior.
        """
        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        start = prior.centre if self.start is None else self.start
        chain = Steps(self, Spectrum(problem, self.rcond), noise)
        return descend(prior, chain.begin(start, sigmas[0]), sigmas, chain.step, on_step)


class Steps(Chain):
    """The steps of a run; DDNM has them too."""

    def __init__(self, method: DDRM, spectrum: Spectrum, noise: Noise) -> None:
        super().__init__(spectrum, noise)
        self.eta, self.eta_b = method.eta, method.eta_b

    def step(self, x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
        """Take x from σ to σ' = lower."""
        at = self.spectrum
        if lower == 0:
            return x_hat + at.correction(x_hat, sigma, self.noise)
        kept, fresh = (1 - self.eta**2) ** 0.5 * lower, self.eta * lower
        clean = at.cleaner(lower)
        noisier = at.s * (kept / at.noise_std if at.noise_std > 0 else 0.0)
        share = torch.where(clean, self.eta_b, torch.where(at.measured, noisier, kept / sigma))
        deviation = torch.where(clean, at.deviation(lower, self.eta_b), fresh)

        def rule(x_hat_bar: Tensor, z_bar: Tensor) -> Tensor:
            # By products: on the CPU a choice that cannot be foreseen takes three times as long.
            target = torch.addcmul(self.x_bar, at.y_bar - self.x_bar, at.measured)
            return torch.addcmul(x_hat_bar, share, target - x_hat_bar).addcmul_(deviation, z_bar)

        return self.moved(x, x_hat, kept / sigma, fresh, rule)
