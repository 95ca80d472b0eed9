from typing import NamedTuple

import numpy as np
import pytest
import torch


class Quadrature(NamedTuple):
    """Clean pictures and noise whose weighted sum is the expectation over two Gaussians."""

    clean: torch.Tensor
    noise: torch.Tensor
    weight: torch.Tensor

    def mean(self, values):
        return (self.weight * values).sum()


@pytest.fixture
def quadrature():
    """Expectations over x₀ ~ N(0, std²I) and n ~ N(0, I), exact for polynomials of degree 15."""

    def make(size, std):
        node, weight = np.polynomial.hermite_e.hermegauss(8)
        axes = torch.cartesian_prod(*[torch.tensor(node)] * (2 * size))
        weights = torch.cartesian_prod(*[torch.tensor(weight / weight.sum())] * (2 * size))
        return Quadrature(std * axes[:, :size], axes[:, size:], weights.prod(1))

    return make
