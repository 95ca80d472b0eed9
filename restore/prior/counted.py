"""A denoiser that counts its evaluations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

from restore.prior.denoiser import Denoiser, Wrapped

_REPEATED = ContextVar("repeated", default=False)


@contextmanager
def repeated() -> Iterator[None]:
    """Evaluations in it repeat earlier ones, to save the memory of their graph: none counts."""
    token = _REPEATED.set(True)
    try:
        yield
    finally:
        _REPEATED.reset(token)


class Counted(Wrapped):
    """A denoiser with the number of its evaluations, one for each picture of a batch.

    Attributes:
        calls: evaluations so far.

    Args:
        prior: the denoiser.
    """

    def __init__(self, prior: Denoiser) -> None:
        super().__init__(prior)
        self.calls = 0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, C, H, W]."""
        if not _REPEATED.get():
            self.calls += x.shape[0]
        return self._prior(x, sigma)
