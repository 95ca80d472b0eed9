"""Intervals: what lies inside, what is beyond, and the way back."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import truncnorm

from operators import Identity, Jpeg, Mask, Resize, ShapeError
from restore.quantised import HALF, QuantisedProblem, interval_mean


def problem(*shape: int) -> QuantisedProblem:
    generator = torch.Generator().manual_seed(0)
    operator = Jpeg(shape, "4:2:0", torch.full((3, 8, 8), 20.0))
    x = torch.rand(2, *shape, generator=generator)
    return QuantisedProblem(operator, operator(x).round(), decoder=operator.decoder)


def test_inside_and_excess():
    y = torch.zeros(1, 1, 1, 4)
    identity = QuantisedProblem(Identity((1, 1, 4)), y)
    x = torch.tensor([0.5, -0.5, 0.7, -1.2]).reshape(1, 1, 1, 4)
    assert identity.inside(x).flatten().tolist() == [True, True, False, False]
    assert torch.allclose(identity.excess(x).flatten(), torch.tensor([0, 0, 0.2, -0.7]))
    half = torch.tensor([0.1, 0.5, 1.0, 1.0]).reshape(1, 1, 4)
    assert torch.allclose(identity.excess(x, half).flatten(), torch.tensor([0.4, 0, 0, -0.2]))
    assert identity.noise_std == pytest.approx(12**-0.5)
    assert torch.equal(identity.decode(y), y)


def test_a_projection_puts_every_coefficient_inside_and_moves_no_other():
    one = problem(3, 32, 48)
    x = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    before, after = one.operator(x) - one.y, one.operator(one.projected(x, 0.4)) - one.y
    assert after.abs().max() < 0.4001
    free = before.abs() < 0.4
    assert 0.05 < free.float().mean() < 0.95
    assert torch.allclose(after[free], before[free], atol=1e-3)


def test_steps_after_the_first_projection_are_longer(monkeypatch):
    """By 1.7, where the components depend on each other and one projection does not do."""
    monkeypatch.setattr("restore.quantised._MOST", 1)
    generator = torch.Generator().manual_seed(0)
    operator = 20 * Resize((1, 1, 3), (1, 8), dtype=torch.float64)
    truth, x = torch.rand(2, 1, 1, 1, 3, generator=generator, dtype=torch.float64)
    one = QuantisedProblem(operator, operator(truth).round())
    first = one.projected(x)
    assert not one.inside(first).all()
    expected = first - 1.7 * operator.pinv(one.excess(first, HALF))
    torch.testing.assert_close(one.settled(x), expected)


def test_pictures_are_taken_with_their_measurement_and_decoder():
    one = problem(3, 16, 16)
    index = torch.tensor([1, 1, 0])
    taken = one.take(index)
    assert isinstance(taken, QuantisedProblem)
    assert torch.equal(taken.y, one.y[index])
    assert torch.equal(taken.decode(taken.y)[0], one.decode(one.y)[1])


def test_a_decoder_of_another_shape_is_refused():
    operator = Mask(torch.ones(4, 4, dtype=torch.bool), (1, 4, 4))
    with pytest.raises(ShapeError, match=r"the decoder goes from \[1, 3, 3\]"):
        QuantisedProblem(operator, torch.zeros(1, 1, 4, 4), decoder=Identity((1, 3, 3)))


def test_pictures_are_clipped_and_settled_by_turns():
    """As projecting and clipping every picture, although those that clipping left are skipped."""
    one = problem(3, 32, 48)
    bright = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(2)) * 1.2 - 0.1
    x = torch.stack([bright[0], one.decode(one.y)[1].clamp(0.2, 0.8)])
    expected = one.settled(x, 0.4).clamp(0, 1)
    for _ in range(3):
        expected = one.projected(expected, 0.4).clamp(0, 1)
    assert torch.allclose(one.settled_within(x, 0.4, clippings=3), expected, atol=1e-5)
    once = one.settled(x, 0.4).clamp(0, 1)
    assert torch.equal(one.settled_within(x, 0.4), once)
    assert not torch.allclose(once, expected, atol=1e-3)


@pytest.mark.parametrize("std", [0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 100.0])
def test_means_of_normal_variables_within_an_interval(std):
    """As scipy's, to 2e-3 of a step, however far away and however wide."""
    away = torch.linspace(-40, 40, 801)
    found = interval_mean(away, torch.full_like(away, std), HALF).double()
    ends = [((end - away.double()) / std).numpy() for end in (-HALF, HALF)]
    expected = away.double() + std * torch.from_numpy(truncnorm._munp(1, *ends))
    assert torch.allclose(found, expected, atol=2e-3, rtol=0)
    exact = interval_mean(away.double(), torch.full_like(away, std).double(), HALF)
    assert exact.dtype == torch.float64
    assert torch.allclose(exact, -interval_mean(-away.double(), torch.tensor(std).double(), HALF))


def test_what_is_certain_is_projected_and_what_is_not_goes_to_the_middle():
    one = problem(3, 32, 48)
    x = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(one.expected(x, 1e-6), one.projected(x), atol=1e-4)
    middle = one.operator(one.expected(x, 1e3)) - one.y
    assert middle.abs().max() < 0.02
    inside = one.operator(one.expected(x, 0.1)) - one.y
    assert 0.1 < inside.abs().mean() < 0.3
    assert inside.abs().max() < 0.5
