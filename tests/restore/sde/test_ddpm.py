"""DDPM is the VP SDE in steps."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from sde_problems import mixture

from restore.sde import DDPM, VP, CosineVP


@pytest.mark.parametrize("sde", [VP(), CosineVP()], ids=lambda sde: type(sde).__name__)
def test_marginals_are_those_of_the_sde(sde):
    steps = 50
    ddpm = DDPM.of(sde, steps)
    for i in (1, 20, steps):
        t = torch.tensor(sde.t_max * i / steps, dtype=torch.float64)
        assert ddpm.kept(i) == pytest.approx(float(sde.mean_coefficient(t)) ** 2, rel=1e-9)
        assert ddpm.sigma(i) == pytest.approx(float(sde.sigma(t)), rel=1e-9)


def test_forward_steps_have_the_marginal():
    """ᾱ of the composition, by the variance of independent unit draws."""
    ddpm = DDPM.of(VP(), 30)
    x = torch.zeros(31, 1, dtype=torch.float64)
    x[0] = 1.0
    unit = torch.eye(31, dtype=torch.float64)[:, :, None]
    for i in range(1, 31):
        x = ddpm.forward(x, i, unit[i])
    assert float(x[0]) ** 2 == pytest.approx(ddpm.kept(30))
    assert float(x[1:].square().sum()) == pytest.approx(1 - ddpm.kept(30))


def test_ancestral_and_reverse_diffusion_agree_to_first_order():
    """Halving β quarters their difference, and halves what either does in a step."""
    prior = mixture()
    x, z = torch.randn(2, 4, *prior.shape, dtype=torch.float64)
    apart, moved = [], []
    for steps in (1000, 2000, 4000):
        ddpm = DDPM.of(VP(), steps)
        i = steps // 2
        ancestral, reverse = (
            step(prior, x, i, z * 0) for step in (ddpm.ancestral, ddpm.reverse_diffusion)
        )
        apart.append(float((ancestral - reverse).norm()))
        moved.append(float((ancestral - x).norm()))
        with_noise = ddpm.ancestral(prior, x, i, z) - ddpm.reverse_diffusion(prior, x, i, z)
        assert float(with_noise.norm()) == pytest.approx(apart[-1])
    for coarse, fine in pairwise(apart):
        assert 3.9 < coarse / fine < 4.1
    for coarse, fine in pairwise(moved):
        assert 1.95 < coarse / fine < 2.05
