"""DDRM by conjugate gradients: the same by CG as by the SVD, and better with more steps."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

import operators
from restore.methods.ddrm import DDRM
from restore.methods.ddrm_cg import DDRMCG
from restore.noise import NoiseSource
from restore.prior.denoiser import Denoiser, FunctionDenoiser, sigma_column
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import solve
from restore.tasks.exact import ExactProblem

SHAPE = (1, 8, 8)


class Hidden(operators.LinearOperator):
    """An operator without its SVD, but of the same ‖A‖ (30 power iterations come close only)."""

    def __init__(self, operator: operators.LinearOperator) -> None:
        super().__init__(operator.domain, operator.codomain)
        self.operator = operator

    def _apply(self, x: Tensor) -> Tensor:
        return self.operator(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.operator.adjoint(y)

    def norm(self) -> Tensor:
        return self.operator.norm()


OPERATORS = {
    "blur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.0)),
    "resize": lambda: operators.Downsample(SHAPE, size=(5, 6), kernel="lanczos"),
    "mask": lambda: operators.Mask(torch.arange(64).reshape(8, 8) % 3 > 0, SHAPE),
}


@pytest.mark.parametrize("noise_std", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("name", OPERATORS)
def test_by_cg_it_equals_itself_by_svd(name, noise_std):
    """In double: a sample between the two components magnifies what rounding leaves of a solve."""
    operator = OPERATORS[name]().to(dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    means = 0.5 + 0.2 * torch.randn(2, *SHAPE, generator=generator, dtype=torch.float64)
    prior = GaussianMixture([0.6, 0.4], means, [0.2, 0.1])
    y = operator(prior.sample(4, generator))
    y = y + noise_std * torch.randn(y.shape, generator=generator, dtype=torch.float64)

    def run(of: operators.LinearOperator) -> Tensor:
        noise = NoiseSource(0, [(i, 0) for i in range(4)])
        return DDRMCG(steps=20)(Problem(of, y, noise_std), prior, noise=noise)

    hidden = Hidden(operator)
    with pytest.raises(operators.NoFastSVD):
        hidden.svd()
    assert (run(hidden) - run(operator)).abs().max() <= 1e-3


def test_it_improves_with_steps_where_ddrm_does_not():
    """Error of the mean on a blur with noise 0.05 at 20, 100, 500 steps, in prior deviations.

    4 measurements, 100 samples each. DDRM's grows, about 0.16, 0.33, 0.6 (METHODS); this one's
    falls, 0.16, 0.07, 0.04, of which the samples' number leaves about 0.04. The factors asked for
    are several standard errors (about 0.01 each) from these.
    """
    problem = ExactProblem("blur", 0.05, "gaussian", 4)

    def errors(method: DDRM | DDRMCG) -> list[float]:
        return [
            problem.run(dataclasses.replace(method, steps=steps), 100).mean_error
            for steps in (20, 100, 500)
        ]

    few, some, many = errors(DDRMCG())
    assert few > 1.5 * some > 1.5 * many
    few, some, many = errors(DDRM())
    assert few < some / 1.3 < many / 1.3**2


def test_a_measurement_of_each_picture_has_its_own_norm():
    """‖A‖ is 1 for one picture and 0 for the other: no measurement, hence the prior alone."""
    masks = torch.stack([torch.ones(1, 8, 8), torch.zeros(1, 8, 8)])
    operator = operators.Mask(masks, SHAPE)
    pictures = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(2))

    class Half(Denoiser):
        sigma_min, sigma_max = 0.01, 50.0

        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return 0.25 + x / 2

    noise = NoiseSource(0, [(0, 0), (0, 1)])
    x = DDRMCG(steps=5)(Problem(operator, operator(pictures)), Half(), noise=noise)
    assert (x[0] - pictures[0]).abs().max() <= 1e-3
    assert torch.isfinite(x).all()


def test_a_scan_by_conjugate_gradients_is_the_scan_by_its_svd() -> None:
    angles = torch.arange(16).double() * (torch.pi / 16)
    A = operators.ParallelBeamCT((1, 24, 24), angles, 35, 1 / 24, 1 / 24, dtype=torch.float64)
    solved = A.with_svd(operators.ray_factors(A).svd(A))
    x = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prior = FunctionDenoiser(lambda x, sigma: 0.5 + (x - 0.5) / (1 + sigma_column(sigma, x) ** 2))
    solutions = [
        solve(Problem(operator, A(x), 0.01), prior, "ddrm-cg", seed=0, steps=10)
        for operator in (Hidden(solved), solved)
    ]
    assert (solutions[0] - solutions[1]).norm() < 1e-3 * solutions[1].norm()
