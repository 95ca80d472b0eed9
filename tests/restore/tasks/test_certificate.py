import pytest
import torch

from operators import Downsample, Identity
from restore.problem import Problem
from restore.tasks.certificate import certify

SHAPE = (3, 40, 40)


def noise(seed: int) -> torch.Tensor:
    return torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(seed))


def test_noise_of_the_stated_level_is_consistent():
    """Twenty measurements, each refused by chance once in a thousand: false alarm 2 %."""
    x = torch.full((1, *SHAPE), 0.5)
    for seed in range(20):
        problem = Problem(Identity(SHAPE), x + 0.1 * noise(seed), 0.1)
        assert certify(problem, x, 0.0).consistent


@pytest.mark.parametrize(("factor", "consistent"), [(0.5, True), (1.1, False), (2**0.5, False)])
def test_the_test_is_one_sided(factor, consistent):
    x = torch.full((1, *SHAPE), 0.5)
    problem = Problem(Identity(SHAPE), x + factor * 0.1 * noise(0), 0.1)
    certificate = certify(problem, x, 0.0)
    assert certificate.consistent is consistent
    assert certificate.residual == pytest.approx(factor * 0.1, rel=0.03)


def test_without_noise_the_largest_residual_counts():
    operator = Downsample(SHAPE, 4)
    x = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0))
    y = operator(x)
    assert certify(Problem(operator, y), x, 0.0).consistent
    y[0, 0, 0, 0] += 0.002
    refused = certify(Problem(operator, y), x, 0.0)
    assert not refused.consistent
    assert refused.residual_max == pytest.approx(0.002, rel=0.01)


def test_the_rounding_of_the_output_is_noise():
    x = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0))
    rounded = (x * 255).round() / 255
    problem = Problem(Identity(SHAPE), x, 1e-6)
    assert not certify(problem, rounded, 0.0).consistent
    assert certify(problem, rounded, 1 / (255 * 12**0.5)).consistent


def test_a_wrong_adjoint_is_found():
    class Wrong(Identity):
        def _adjoint(self, y):
            return 2 * y

    with pytest.raises(AssertionError):
        certify(Problem(Wrong(SHAPE), torch.zeros(1, *SHAPE), 0.1), torch.zeros(1, *SHAPE), 0.0)
