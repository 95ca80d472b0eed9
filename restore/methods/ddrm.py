"""Denoising diffusion restoration models: DDRM."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from operators import ShapeError, ThinSVD
from restore.methods.base import StepCallback, denoise
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem


@dataclass(frozen=True)
class DDRM:
    """A diffusion sampler that treats each singular direction of the operator by its own rule.

    With A = U S Vᴴ, x̄ = Vᴴx, ȳ = S⁺Uᴴy, q = √(1 - η²) and x̂ = D(x, σ), a step σ → σ' < σ is

        s = 0:             x' = x̂ + qσ' (x - x̂)/σ + ησ' z
        0 < s < σ_y/σ':    x̄' = x̂ + qσ' (Uᴴy - s x̂)/σ_y + ησ' z
        s ≥ σ_y/σ':        x̄' = (1 - η_b) x̂ + η_b ȳ + √(σ'² - η_b²σ_y²/s²) z

    from N(ȳ, σ₁² - σ_y²/s²) where sσ₁ > σ_y and N(c, σ₁²) elsewhere, c being the centre of the
    data. Given x₀, every x' is N(x₀, σ'²I). With σ_y = 0 the last step takes ȳ whatever η_b, so
    that A x = y.

    It is not a posterior sampler, not even with many steps: its spread is usually too narrow where
    the measurement is noisy, and more steps can make its mean worse.

    Attributes:
        steps: evaluations of the denoiser (a native grid may have a few more).
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
    noise: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = (
        "inpaint",
        "super-resolve",
        "denoise",
        "colorize",
        "deblur",
    )

    def __post_init__(self) -> None:
        for name in ("eta", "eta_b", "rcond"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}; it must be within 0 and 1")
        if self.start is not None and self.sigma_max is None:
            raise ValueError("start needs sigma_max, the level of the noise that is put on it")

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
            noise: called once for the start and once a step.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            NoFastSVD: if the operator has no SVD.
            ValueError: if the grid does not fit the prior.
        """
        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        chain = _Chain(problem, self, prior.centre, sigmas[0], noise)
        for step, (sigma, lower) in enumerate(pairwise(sigmas), 1):
            x_hat = denoise(prior, chain.x, sigma)
            if on_step is not None:
                on_step(step, len(sigmas) - 1, x_hat)
            chain.step(x_hat, sigma, lower)
        return chain.x


class _Chain:
    """The state x with its spectral part Vᴴx, and what is computed once: the SVD and Uᴴy."""

    def __init__(
        self, problem: Problem, method: DDRM, centre: float, sigma: float, noise: Noise
    ) -> None:
        self.noise = noise
        self.noise_std = problem.noise_std
        self.eta, self.eta_b = method.eta, method.eta_b
        self.svd: ThinSVD = problem.operator.svd().truncated(method.rcond)
        self.s = self.svd.singular_values
        self.measured = (self.s > 0).to(self.s)
        self.uty = self.svd.ut(problem.y)
        inverse_s = self.svd.inverse_values()
        self.y_bar = inverse_s * self.uty
        self.y_std = inverse_s * self.noise_std
        self._begin(problem, centre if method.start is None else method.start, sigma)

    def _begin(self, problem: Problem, centre: Tensor | float, sigma: float) -> None:
        space, y = problem.operator.domain, problem.y
        shape = (problem.batch, *space.shape)
        if isinstance(centre, Tensor) and centre.shape not in (shape, (1, *space.shape)):
            raise ShapeError(f"DDRM: start is {list(centre.shape)}; the pictures are {list(shape)}")
        z = self.noise(torch.empty(shape, dtype=space.dtype, device=y.device))
        x = centre + sigma * z
        known = torch.addcmul(self.y_bar, self._std(sigma, 1.0), self.svd.vt(z))
        where = (self.s * sigma > self.noise_std).to(self.s)
        # A copy, since Vᴴx is x itself for V = I.
        self._replace(x, self.svd.vt(x).clone(), known, where)

    def step(self, x_hat: Tensor, sigma: float, lower: float) -> None:
        """Take x from σ to σ' = lower."""
        eta, eta_b, noise_std = self.eta, self.eta_b, self.noise_std
        kept, fresh = (1 - eta**2) ** 0.5 * lower, eta * lower
        if noise_std == 0 and lower == 0:
            eta_b = 1.0
        z = self.noise(x_hat)
        x_hat_bar, z_bar = self.svd.vt(x_hat), self.svd.vt(z)

        # lerp(a, b, t) is a + t(b - a). Memory is written in place: fresh pages cost most here.
        x = torch.lerp(x_hat, self.x, kept / sigma).add_(z, alpha=fresh)
        x_bar = torch.lerp(x_hat_bar, self.x_bar, kept / sigma).add_(z_bar, alpha=fresh)
        known = torch.lerp(x_hat_bar, self.y_bar, eta_b).addcmul_(self._std(lower, eta_b), z_bar)
        if noise_std > 0:
            noisier = torch.addcmul(self.uty, self.s, x_hat_bar, value=-1).mul_(kept / noise_std)
            noisier.add_(x_hat_bar).add_(z_bar, alpha=fresh)
            known = torch.where(self.s * lower >= noise_std, known, noisier)
        self._replace(x, x_bar, known, self.measured)

    def _std(self, sigma: float, eta_b: float) -> Tensor:
        """√(σ² - η_b²σ_y²/s²), 0 where rounding or a noisier measurement makes it negative."""
        if self.noise_std == 0:
            return self.s.new_full((), sigma)
        return (self.y_std * eta_b).square_().neg_().add_(sigma**2).clamp_min_(0).sqrt_()

    def _replace(self, x: Tensor, x_bar: Tensor, known: Tensor, where: Tensor) -> None:
        """Give x, whose spectral part is x_bar, the part `known` where that is 1, in place."""
        change = known.sub_(x_bar).mul_(where)
        self.x = x.add_(self.svd.v(change))
        self.x_bar = x_bar.add_(change)
