"""A small score network of vectors, trained in seconds: for the theory, its tests and figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

EMBEDDING = 16


class VectorNetwork(nn.Module):
    """F(x, ln σ / 4) of vectors [B, size]: residual layers that are shifted and scaled by σ.

    Args:
        size: length of a vector.
        width: of the layers.
        depth: number of residual layers.
        seed: of the initial weights.
    """

    frequencies: Tensor

    def __init__(self, size: int, width: int = 64, depth: int = 2, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Linear(size, width)
            self.time = nn.Sequential(nn.Linear(EMBEDDING, width), nn.SiLU())
            self.film = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))
            self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
            self.last = nn.Linear(width, size)
        nn.init.zeros_(self.last.weight)
        self.register_buffer("frequencies", torch.linspace(0.5, 4.0, EMBEDDING // 2))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """F, of x's shape."""
        phase = time[:, None] * self.frequencies
        level = self.time(torch.cat([phase.sin(), phase.cos()], dim=1))
        hidden = self.first(x)
        for film, inner in zip(self.film, self.inner, strict=True):
            scale, shift = film(level).chunk(2, dim=1)
            hidden = hidden + inner(nn.functional.silu(hidden * (1 + scale) + shift))
        output: Tensor = self.last(nn.functional.silu(hidden))
        return output


def fit(
    network: nn.Module,
    loss: Callable[[], Tensor],
    steps: int,
    rate: float = 3e-3,
    on_step: Callable[[int, Any], None] | None = None,
) -> None:
    """Minimise the mean of a loss in place: Adam, with a rate that falls as a cosine to 0.

    Args:
        network: whose parameters are changed.
        loss: a fresh stochastic estimate of the objective, [B].
        steps: number of updates.
        rate: learning rate at the start.
        on_step: called with the number of updates done and the mean loss, a tensor.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, betas=(0.9, 0.99), fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        value = loss().mean()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if on_step is not None:
            on_step(step + 1, value.detach())
