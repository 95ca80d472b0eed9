import pytest
import torch
from scipy.stats import chi2

from operators import Downsample, Identity, Mask
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


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_the_bound_has_the_variances_of_noise_and_rounding(factor):
    """4800 values: the residual is within 5 % of its level, 5 standard errors."""
    x = torch.full((1, *SHAPE), 0.5)
    sigma, rounding = 0.02, 0.05
    level = (sigma**2 + rounding**2) ** 0.5
    problem = Problem(Identity(SHAPE), x + factor * level * noise(1), sigma)
    certificate = certify(problem, x, rounding)
    assert certificate.bound == pytest.approx(level * (chi2.ppf(0.999, 4800) / 4800) ** 0.5)
    assert certificate.residual == pytest.approx(factor * level, rel=0.05)
    assert certificate.consistent is (factor == 1.0)


@pytest.mark.parametrize(("factor", "consistent"), [(1.04, True), (1.15, False)])
def test_a_level_that_is_measured_may_be_wrong(factor, consistent):
    """4800 values: the residual is within 3 % of its level, 3 standard errors."""
    x = torch.full((1, *SHAPE), 0.5)
    problem = Problem(Identity(SHAPE), x + factor * 0.1 * noise(1), 0.1)
    certificate = certify(problem, x, 0.0, noise_error=0.05)
    assert certificate.bound == pytest.approx(0.105 * (chi2.ppf(0.999, 4800) / 4800) ** 0.5)
    assert certificate.consistent is consistent
    assert not certify(problem, x, 0.0).consistent


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_what_was_not_measured_does_not_dilute(dtype):
    keep = torch.rand(40, 40, generator=torch.Generator().manual_seed(0)) < 0.25
    operator = Mask(keep, SHAPE, dtype=dtype)
    x = torch.zeros(1, *SHAPE, dtype=dtype)
    drawn = operator(torch.randn(x.shape, dtype=dtype, generator=torch.Generator().manual_seed(2)))
    drawn /= drawn[..., keep].abs().square().mean().sqrt()
    components = 2**0.5 if dtype.is_complex else 1.0  # the noise level is of each
    for level, consistent in ((0.1, True), (0.12, False)):
        problem = Problem(operator, level * components * drawn, 0.1)
        certificate = certify(problem, x, 0.0)
        assert certificate.residual == pytest.approx(level, rel=1e-4)
        assert certificate.consistent is consistent


def test_black_where_it_was_measured_counts():
    """Half of y is 0 and met: the residual is of all of it."""
    x = torch.zeros(1, *SHAPE)
    y = x.clone()
    y[..., :20] = 0.1
    assert certify(Problem(Identity(SHAPE), y, 0.1), x, 0.0).residual == pytest.approx(0.1 / 2**0.5)


@pytest.mark.parametrize("own", [False, True])
def test_images_are_certified_one_by_one(monkeypatch, own):
    """An operator that all of them have is probed once."""
    keep = torch.rand(3, 1, 40, 40, generator=torch.Generator().manual_seed(0)) < 0.5
    operator = Mask(keep if own else keep[0], SHAPE)
    x = torch.cat([noise(seed) for seed in range(3)])
    problem = Problem(operator, operator(x + 0.1 * noise(3)), 0.1)
    alone = [certify(problem.take(one), x[one], 0.0) for one in torch.arange(3).split(1)]
    shapes, plain = [], Mask._apply

    def watched(self, x):
        shapes.append(x.shape)
        return plain(self, x)

    monkeypatch.setattr(Mask, "_apply", watched)
    together = certify(problem, x, 0.0)
    assert set(shapes) == {(1, *SHAPE)}
    assert len(shapes) == (6 if own else 4)
    assert together.residual_max == max(one.residual_max for one in alone)
    weights = keep.sum((1, 2, 3)) if own else torch.ones(3)
    squares = torch.tensor([one.residual**2 for one in alone])
    mean = float((weights * squares).sum() / weights.sum())
    assert together.residual == pytest.approx(mean**0.5, rel=1e-6)


@pytest.mark.parametrize("noise_std", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_where_nothing_was_measured_all_is_consistent(dtype, noise_std):
    operator = Mask(torch.zeros(40, 40), SHAPE, dtype=dtype)
    x = torch.zeros(1, *SHAPE, dtype=dtype)
    certificate = certify(Problem(operator, x, noise_std), x, 0.0)
    assert (certificate.residual, certificate.residual_max) == (0.0, 0.0)
    assert certificate.consistent


def test_a_wrong_adjoint_is_found():
    class Wrong(Identity):
        def _adjoint(self, y):
            return 2 * y

    with pytest.raises(AssertionError):
        certify(Problem(Wrong(SHAPE), torch.zeros(1, *SHAPE), 0.1), torch.zeros(1, *SHAPE), 0.0)
