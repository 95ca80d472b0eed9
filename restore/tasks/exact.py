"""Methods against the exact posterior of a mixture prior: what `restore compare --exact` prints.

The pictures are small (8×8) with correlated pixels, so that everything is a closed form. Where the
operator leaves something unmeasured, the components of the prior differ there alone: no measurement
tells them apart, and a sampler has to find all of them in the right shares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from scipy.linalg import helmert
from torch import Tensor

import operators
from operators import LinearOperator
from restore.methods.base import Method
from restore.noise import Noise, seeded_generator
from restore.prior.counted import Counted
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture, dense
from restore.problem import Problem

NOISES = (0.0, 0.05, 0.2)
GREY, COLOUR = (1, 8, 8), (3, 8, 8)
# Pixels have this standard deviation and an exponential correlation of this length; colours 0.8.
PIXEL_STD, LENGTH, COLOUR_CORRELATION = 0.2, 2.0, 0.8
# Root mean square of a component's offset from the mean picture.
OFFSET = 0.15
# The same of the part of it that is measured, for the prior whose components y tells apart in part.
TOLD = 0.04
WEIGHTS = {"gaussian": (1.0,), "three": (0.5, 0.3, 0.2), "far": (0.6, 0.4), "told": (0.6, 0.4)}
PRIORS = tuple(WEIGHTS)
PROJECTIONS = 64
# A direction with less spread than this has none to compare.
NO_SPREAD = 1e-4


def _half() -> Tensor:
    return torch.rand(8, 8, generator=seeded_generator(0)) > 0.5


OPERATORS: dict[str, Callable[[], LinearOperator]] = {
    "mask": lambda: operators.Mask(_half(), GREY),
    "downsample": lambda: operators.Downsample(GREY, 2, kernel="box"),
    "blur": lambda: operators.Blur(GREY, torch.ones(3) / 3, "zero"),
    "hadamard": lambda: operators.Hadamard(GREY, 0.5),
    "colorize": lambda: operators.Colorize(COLOUR),
    # Without a fast SVD.
    "masked-blur": lambda: (
        operators.Mask(_half(), GREY) @ operators.Blur(GREY, torch.ones(3) / 3, "zero")
    ),
}
OPERATOR_TEXT = {
    "mask": "half of the pixels",
    "downsample": "2×2 block average",
    "blur": "3×3 box blur, zero border",
    "hadamard": "half of the Walsh–Hadamard coefficients",
    "colorize": "colour to grey",
    "masked-blur": "half of the pixels of the 3×3 box blur (no fast SVD)",
}


@dataclass(frozen=True)
class ExactRow:
    """What a method's samples are worth; None where there is nothing to measure.

    Attributes:
        method: name.
        operator: name, one of `OPERATORS`.
        noise_std: σ_y.
        steps: evaluations of the denoiser for a sample.
        mean_error: root-mean-square error of the samples' mean, over the prior's standard
            deviation; its mean over the measurements.
        mean_error_se: standard error of that over the measurements.
        std_ratio_observed: geometric mean of the samples' standard deviation over the exact one,
            in the directions that the operator measures (those that it leaves spread in).
        std_ratio_null: the same in the directions that it does not measure.
        sliced_w2: Wasserstein-2 distance to as many exact samples over 64 random directions, over
            the prior's standard deviation.
        weight: share of the samples in the first component.
        exact_weight: the same of the posterior.
        weight_error: absolute difference of the two, its mean over the measurements.
        residual: root mean square of A x - y over what is measured, over σ_y where that is not 0.
        samples: number of samples, over all measurements.
    """

    method: str
    operator: str
    noise_std: float
    steps: int
    mean_error: float
    mean_error_se: float
    std_ratio_observed: float | None
    std_ratio_null: float | None
    sliced_w2: float
    weight: float
    exact_weight: float
    weight_error: float
    residual: float
    samples: int

    def as_dict(self) -> dict[str, Any]:
        """As the command line prints it."""
        return asdict(self)


class ExactProblem:
    """Measurements of known pictures with their exact posteriors.

    Args:
        operator: name, one of `OPERATORS`.
        noise_std: σ_y.
        prior: "gaussian" (one component), "three", "far" (two components 0.6 and 0.4), or "told"
            (the same two, which y tells apart in part).
        measurements: number of pictures that are drawn from the prior and measured.

    Raises:
        ValueError: if a name is unknown.
    """

    def __init__(self, operator: str, noise_std: float, prior: str, measurements: int = 6) -> None:
        if operator not in OPERATORS:
            raise ValueError(f"operator {operator!r}: expected one of {', '.join(OPERATORS)}")
        if prior not in WEIGHTS:
            raise ValueError(f"prior {prior!r}: expected one of {', '.join(PRIORS)}")
        self.name = operator
        self.operator = OPERATORS[operator]()
        u, s, vh = torch.linalg.svd(dense(self.operator))
        self._rank = rank = int((s > 1e-6 * s.max()).sum())
        self._observed, self._null = vh[:rank].T.float(), vh[rank:].T.float()
        self.prior = self._mixture(WEIGHTS[prior], TOLD if prior == "told" else 0.0)
        self._prior_std = float(self.prior.std.square().mean().sqrt())
        clean = self.operator(self.prior.sample(measurements, seeded_generator(5)))
        # A mask measures nothing where it is 0: there is no noise either.
        noise = torch.randn(clean.shape, generator=seeded_generator(6)).flatten(1)
        seen = u[:, :rank].float()
        self.y = clean + noise_std * (noise @ seen @ seen.T).reshape(clean.shape)
        self.noise_std = noise_std
        self.posteriors = [self.prior.posterior(self._problem(one[None])) for one in self.y]

    def _problem(self, y: Tensor) -> Problem:
        return Problem(self.operator, y, self.noise_std)

    def repeated(self, samples: int) -> Problem:
        """The problem with every measurement repeated, the repetitions one after the other."""
        return self._problem(self.y.repeat_interleave(samples, 0))

    def exact(self, samples: int) -> ExactRow:
        """The scores of exact samples: the floor that their number allows."""
        draws = [
            posterior.sample(samples, seeded_generator(100 + i))
            for i, posterior in enumerate(self.posteriors)
        ]
        return self.score("exact", torch.cat(draws), 0)

    def run(
        self,
        method: Method,
        samples: int,
        *,
        seed: int = 0,
        prior: Denoiser | None = None,
        noise: Noise | None = None,
    ) -> ExactRow:
        """Sample each measurement and score the samples.

        Args:
            method: what samples.
            samples: for each measurement.
            seed: of the noise.
            prior: another denoiser than the right one.
            noise: other noise than standard normal.

        Raises:
            ValueError: if the method gives another number of samples, or of another shape.
        """
        counted = Counted(prior or self.prior)
        problem = self.repeated(samples)
        x = method(problem, counted, noise=noise or normal_noise(seed))
        expected = (problem.batch, *self.operator.domain.shape)
        if tuple(x.shape) != expected:
            raise ValueError(f"the samples are {list(x.shape)}; expected {list(expected)}")
        return self.score(method.name, x, round(counted.calls / len(x)))

    def score(self, method: str, x: Tensor, steps: int) -> ExactRow:
        """Score samples [measurements · N, *shape] in the order of `repeated`."""
        each = x.chunk(len(self.posteriors))
        errors, observed, null, distance, weight = zip(
            *map(self._scores, each, self.posteriors), strict=True
        )
        exact_weight = [float(one.weights[0]) for one in self.posteriors]
        missing = self.operator(x) - self.repeated(len(each[0])).y
        residual = (missing.square().sum() / (len(x) * self._rank)).sqrt()
        return ExactRow(
            method=method,
            operator=self.name,
            noise_std=self.noise_std,
            steps=steps,
            mean_error=_mean(errors),
            mean_error_se=float(torch.tensor(errors).std()) / math.sqrt(len(errors))
            if len(errors) > 1
            else math.nan,
            std_ratio_observed=_geometric_mean(observed),
            std_ratio_null=_geometric_mean(null),
            sliced_w2=_mean(distance),
            weight=_mean(weight),
            exact_weight=_mean(exact_weight),
            weight_error=_mean(abs(a - b) for a, b in zip(weight, exact_weight, strict=True)),
            residual=float(residual) / (self.noise_std or 1.0),
            samples=len(x),
        )

    def _scores(
        self, x: Tensor, exact: GaussianMixture
    ) -> tuple[float, float | None, float | None, float, float]:
        flat = x.flatten(1)
        covariance = exact.covariance
        other = exact.sample(len(x), seeded_generator(3)).flatten(1)

        def ratio(basis: Tensor) -> float | None:
            true = (basis * (covariance @ basis)).sum(0).clamp_min(0).sqrt()
            kept = true > NO_SPREAD
            if not bool(kept.any()) or len(flat) < 2:
                return None
            spread = (flat @ basis).std(0)[kept].clamp_min(1e-12)
            return float((spread / true[kept]).log().mean().exp())

        axes = torch.randn(flat.shape[1], PROJECTIONS, generator=seeded_generator(4))
        axes = axes / axes.norm(dim=0)
        apart = (flat @ axes).sort(0).values - (other @ axes).sort(0).values
        return (
            float((flat.mean(0) - exact.mean.flatten()).square().mean().sqrt()) / self._prior_std,
            ratio(self._observed),
            ratio(self._null),
            float(apart.square().mean().sqrt()) / self._prior_std,
            float(exact.responsibilities(x)[:, 0].mean()),
        )

    def _mixture(self, weights: tuple[float, ...], told: float) -> GaussianMixture:
        """Correlated pixels; components whose means differ along null directions, and by `told`."""
        shape = self.operator.domain.shape
        grid = torch.meshgrid(*2 * [torch.arange(8.0)], indexing="ij")
        rows, columns = (axis.flatten() for axis in grid)
        distance = torch.hypot(rows[:, None] - rows, columns[:, None] - columns)
        colours = (1 - COLOUR_CORRELATION) * torch.eye(shape[0]) + COLOUR_CORRELATION
        covariance = PIXEL_STD**2 * torch.kron(colours, torch.exp(-distance / LENGTH))
        # Where every direction is measured the measurement does tell the components apart.
        complete = not self._null.shape[1]
        seen, unseen = (told or OFFSET, 0.0) if complete else (told, OFFSET)
        means = torch.full((len(weights), *shape), 0.5)
        for basis, size in ((self._observed, seen), (self._null, unseen)):
            if len(weights) > 1 and size > 0:
                offsets = size * self._offsets(basis, len(weights))
                means = means + offsets.reshape(len(weights), *shape)
        return GaussianMixture(weights, means, covariances=covariance.expand(len(weights), -1, -1))

    @staticmethod
    def _offsets(basis: Tensor, count: int) -> Tensor:
        """Offsets [count, n] of root mean square 1 at equal angles to each other in the basis."""
        size = basis.shape[0]
        random = torch.randn(size, count - 1, generator=seeded_generator(1))
        # A projector, since the basis itself may turn from one library to another.
        q, r = torch.linalg.qr(basis @ (basis.T @ random))
        directions = q * r.diagonal().sign()
        # The corners of a simplex: for two components the two ends of a line.
        corners = torch.as_tensor(helmert(count), dtype=torch.float32).T
        corners = corners / corners.norm(dim=1, keepdim=True)
        offsets: Tensor = math.sqrt(size) * corners @ directions.T
        return offsets


def normal_noise(seed: int, scale: float = 1.0) -> Noise:
    """Noise of one generator for the whole batch: quicker than a stream for each chain."""
    generator = seeded_generator(7 + 1000 * seed)
    return lambda like: scale * torch.randn(like.shape, generator=generator, dtype=like.dtype)


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def _geometric_mean(values: Iterable[float | None]) -> float | None:
    known = [math.log(value) for value in values if value is not None]
    return math.exp(_mean(known)) if known else None
