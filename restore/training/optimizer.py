"""Muon for the convolutions, AdamW for everything else.

Muon replaces the momentum of a weight matrix by the nearest semi-orthogonal matrix, found by five
Newton–Schulz iterations (Jordan et al., "Muon: An optimizer for hidden layers in neural networks",
2024); the scale 0.2 √max(rows, columns) gives its updates the size of AdamW's (Liu et al., "Muon
is Scalable for LLM Training", 2025).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised. Kernels of a convolution are taken as [out, in·h·w] matrices."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update; gradients must be there, and a closure is not supported."""
        if closure is not None:
            raise TypeError("Muon: a closure is not supported")
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                nesterov = torch.lerp(weight.grad, state["momentum"], group["momentum"])
                update = orthogonalised(nesterov.flatten(1))
                scale = 0.2 * max(update.shape) ** 0.5
                weight.sub_(update.view(weight.shape), alpha=group["lr"] * scale)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Approximately U Vᵀ of the thin SVD of `matrix` [rows, columns].

    A step x ← (a + b G + c G²) x with G = x xᵀ multiplies x by a polynomial of G, so all five are
    done on G alone and multiplied into x once: about half of the arithmetic for wide matrices. In
    half precision rounding would make G indefinite, and the iteration diverge.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (torch.linalg.matrix_norm(wide) + 1e-7)
    gram = x @ x.T
    eye = torch.eye(gram.shape[0], dtype=gram.dtype, device=gram.device)
    step = total = torch.addmm(a * eye + b * gram, gram, gram, alpha=c)
    for _ in range(4):
        gram = step @ gram @ step
        step = torch.addmm(a * eye + b * gram, gram, gram, alpha=c)
        total = step @ total
    result: Tensor = total @ x
    return result if wide is matrix else result.T


def optimizers(
    network: nn.Module, muon_rate: float, adam_rate: float
) -> list[torch.optim.Optimizer]:
    """Muon for the inner convolutions; AdamW for the first and last, the norms and the linears."""
    named = dict(network.named_parameters())
    inner = [p for n, p in named.items() if p.ndim == 4 and not n.startswith(("stem", "head"))]
    chosen = {id(p) for p in inner}
    rest = [p for p in named.values() if id(p) not in chosen]
    return [
        Muon(inner, lr=muon_rate),
        torch.optim.AdamW(rest, lr=adam_rate, betas=(0.9, 0.99), weight_decay=0.0),
    ]
