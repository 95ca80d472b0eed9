"""Sliced score matching: the divergence of implicit score matching along random directions."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.training.objectives.implicit import Score


def sliced_loss(
    score: Score, x: Tensor, directions: Tensor, *, reduce_variance: bool = True
) -> Tensor:
    """½‖s(x)‖² + vᵀ∇s(x)v of each picture, [B]; or ½(vᵀs(x))² for the first term.

    For directions with E[v vᵀ] = I either is an unbiased estimate of `implicit_loss` with one
    backward pass, whatever the number of pixels (Song et al., UAI 2019, eqs. 7 and 8).

    Args:
        score: s, of a network that learns; each row of its value depends on that row of x alone.
        x: samples of p, [B, …].
        directions: v, as x: standard normal, or ±1.
        reduce_variance: take the norm of the score exactly.
    """
    x = x.detach().requires_grad_()
    value = score(x)
    along = (value * directions).flatten(1).sum(1)
    (gradient,) = torch.autograd.grad(along.sum(), x, create_graph=True)
    curvature = (gradient * directions).flatten(1).sum(1)
    norm = value.flatten(1).square().sum(1) if reduce_variance else along.square()
    return 0.5 * norm + curvature
