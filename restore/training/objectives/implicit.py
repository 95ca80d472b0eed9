"""Implicit score matching: the score learned from noisy pictures alone, through its divergence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]


def implicit_loss(score: Score, x: Tensor) -> Tensor:
    """½‖s(x)‖² + tr ∇s(x) of each picture, [B], with the exact trace.

    Its mean is that of ½‖s − ∇log p‖² but for a constant, by integration by parts (Hyvärinen, JMLR
    2005, theorem 1): of the density only samples are needed. The trace takes one backward pass for
    each pixel, so this is for small pictures.

    Args:
        score: s, of a network that learns; each row of its value depends on that row of x alone.
        x: samples of p, [B, …].
    """
    x = x.detach().requires_grad_()
    value = score(x).flatten(1)
    trace = value.new_zeros(len(x))
    for pixel in range(value.shape[1]):
        (row,) = torch.autograd.grad(value[:, pixel].sum(), x, create_graph=True)
        trace = trace + row.flatten(1)[:, pixel]
    return 0.5 * value.square().sum(1) + trace
