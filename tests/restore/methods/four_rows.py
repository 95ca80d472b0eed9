"""A Gaussian prior behind an operator of four singular values, whose samplers' laws are known."""

from __future__ import annotations

import torch
from torch import Tensor

import operators
from restore.prior.gaussian_mixture import GaussianMixture

SHAPE = (1, 4, 4)
TAU, NOISE = 0.3, 0.1
CHAINS = 4000
SINGULAR = torch.tensor([1.0, 0.6, 0.2, 0.0])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rows() -> operators.LinearOperator:
    """Singular values 1, 0.6, 0.2 and 0 of the rows."""
    return operators.Separable(SHAPE, torch.diag(SINGULAR), torch.eye(4))


def slow() -> operators.LinearOperator:
    """The same, as a sum, without its SVD."""
    return 0.5 * rows() + 0.5 * rows()


PRIOR = GaussianMixture([1.0], 0.5 + 0.1 * normal(1, *SHAPE), TAU, sigma_max=10.0)
Y = rows()(0.5 + TAU * normal(1, *SHAPE, seed=1))
