"""What a method is, and what the methods share."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from operators import ShapeError, Space
from restore.noise import Noise
from restore.prior.denoiser import Denoiser, fitting
from restore.problem import Problem

StepCallback = Callable[[int, int, Tensor], None]
"""on_step(step, total, x_hat): after evaluation `step` = 1 … total of the denoiser, or iteration of
what takes long before or without one. An exception raised in it ends the run and reaches the
caller: that is how a run is cancelled."""

Step = Callable[[Tensor, Tensor, float, float], Tensor]
"""step(x, x_hat, sigma, lower): x at the level `lower`, from x at `sigma` and x̂ = D(x, sigma)."""

TASKS = ("inpaint", "super-resolve", "denoise", "colorize", "deblur", "mri", "ct")


class Method(ABC):
    """A frozen dataclass of hyperparameters that samples, or estimates, x from a problem.

    Attributes:
        name: name on the command line.
        title: full name.
        reference: the paper.
        needs: what it asks of the operator, the prior and the problem: "svd", "adjoint",
            "gradient", "intervals" (a `QuantisedProblem`).
        noise: whether it takes noise_std > 0.
        noiseless: whether it takes noise_std = 0.
        models_noise: whether noise_std enters its steps where it takes one.
        samples: whether it draws samples; otherwise it gives one estimate.
        varies: whether such estimates differ from seed to seed.
        tasks: verbs of the command line that it serves.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    noise: ClassVar[bool] = True
    noiseless: ClassVar[bool] = True
    models_noise: ClassVar[bool] = True
    samples: ClassVar[bool] = True
    varies: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = TASKS

    @abstractmethod
    def __call__(
        self,
        problem: Problem,
        prior: Denoiser,
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Return one picture for each measurement, [B, *problem.operator.domain.shape]."""

    def within(self, evaluations: int) -> Self:
        """Return the method with at most so many evaluations of the denoiser for a picture.

        A method of one's own without a field `steps` has the number that it has.

        Raises:
            ValueError: if it is not defined with so few.
        """
        if evaluations < 1:
            raise ValueError(f"{self.name} needs 1 evaluation or more, not {evaluations}")
        if "steps" not in fields_of(self):
            return self
        changed: Any = dataclasses.replace(self, steps=evaluations)  # type: ignore[type-var]
        return changed  # type: ignore[no-any-return]


def fields_of(method: Method | type[Method]) -> dict[str, dataclasses.Field[Any]]:
    """The hyperparameters of a method, which is a dataclass as every method is, by name."""
    return {field.name: field for field in dataclasses.fields(method)}  # type: ignore[arg-type]


def part_of_steps(on_step: StepCallback, number: int, parts: int) -> StepCallback:
    """on_step for the run of one of several parts, counting from 1 to the total of all."""

    def counted(step: int, total: int, x_hat: Tensor) -> None:
        on_step(number * total + step, parts * total, x_hat)

    return counted


def denoise(prior: Denoiser, x: Tensor, sigma: float) -> Tensor:
    """Return D(x, σ); a real prior denoises the real and the imaginary part of complex pictures.

    Raises:
        ValueError: if what the prior returns is not of its input's shape and number type.
    """
    if not x.is_complex():
        return fitting(prior(x, sigma), x)
    parts = torch.cat([x.real, x.imag])
    real, imaginary = fitting(prior(parts, sigma), parts).chunk(2)
    return torch.complex(real, imaginary)


def uniform(space: Space, value: float) -> float | complex:
    """Return the number that is `value` in every part of a pixel: complex ones have two."""
    return complex(value, value) if space.dtype.is_complex else value


def start_from(
    problem: Problem, start: Tensor | float, sigma: float, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Return start + σ z and z, both [B, *domain.shape].

    Args:
        problem: says the shape, the number type and the device.
        start: an estimate [B or 1, *domain.shape], or one value for all pixels.
        sigma: level of the noise.
        noise: called once.

    Raises:
        ShapeError: if start has another shape.
        ValueError: if it has another number type.
    """
    space = problem.operator.domain
    shape = (problem.batch, *space.shape)
    if isinstance(start, Tensor) and start.shape not in (shape, (1, *space.shape)):
        raise ShapeError(f"start is {list(start.shape)}; the pictures are {list(shape)}")
    if isinstance(start, Tensor) and start.dtype != space.dtype:
        raise ValueError(f"start is {start.dtype}; the pictures are {space.dtype}")
    z = noise(torch.empty(shape, dtype=space.dtype, device=problem.y.device))
    return (start if isinstance(start, Tensor) else uniform(space, start)) + sigma * z, z


def descend(
    prior: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    step: Step,
    on_step: StepCallback | None = None,
) -> Tensor:
    """Take x down the levels of the noise, one evaluation of the denoiser at each.

    Args:
        prior: the denoiser D.
        x: the state at sigmas[0], [B, *shape].
        sigmas: falling levels that end at 0 (`prior.schedule`).
        step: what a method does between two levels.
        on_step: called with (step, total, x̂) after each evaluation.

    Returns:
        The state at level 0.
    """
    for number, (sigma, lower) in enumerate(pairwise(sigmas), 1):
        x_hat = denoise(prior, x, sigma)
        if on_step is not None:
            on_step(number, len(sigmas) - 1, x_hat)
        x = step(x, x_hat, sigma, lower)
    return x


def ddim(x: Tensor, x_hat: Tensor, sigma: float, lower: float, eta: float, noise: Noise) -> Tensor:
    """Return x' = x̂ + √(σ'² - u²) (x - x̂)/σ + u z at σ' = lower, u = ησ'√(1 - σ'²/σ²).

    Args:
        x: the state at σ.
        x_hat: x̂, the estimate of the clean picture to which it is drawn.
        sigma: σ.
        lower: σ' < σ.
        eta: 0 is deterministic, 1 ancestral sampling.
        noise: called once unless u is 0.

    Source: Song, Meng, Ermon, ICLR 2021, equation 12, in the coordinates x = x₀ + σ n.
    """
    fresh = eta * lower * (1 - (lower / sigma) ** 2) ** 0.5
    x_next = torch.lerp(x_hat, x, (lower**2 - fresh**2) ** 0.5 / sigma)
    return x_next.add_(noise(x_hat), alpha=fresh) if fresh > 0 else x_next


def check_unit(owner: object, *names: str) -> None:
    """Refuse hyperparameters that are not within 0 and 1.

    Raises:
        ValueError: naming the first one.
    """
    for name in names:
        value = getattr(owner, name)
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; it must be within 0 and 1")


def check_positive(owner: object, *names: str) -> None:
    """Refuse hyperparameters that are not above 0 and finite.

    Raises:
        ValueError: naming the first one.
    """
    for name in names:
        value = getattr(owner, name)
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}; it must be above 0, and finite")


def check_start(start: Tensor | None, sigma_max: float | None) -> None:
    """Refuse an estimate to start from without the level of the noise that is put on it.

    Raises:
        ValueError: likewise.
    """
    if start is not None and sigma_max is None:
        raise ValueError("start needs sigma_max, the level of the noise that is put on it")
