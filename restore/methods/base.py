"""What a method is, and what the methods share."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.problem import Problem

StepCallback = Callable[[int, int, Tensor], None]
"""on_step(step, total, x_hat): after evaluation `step` = 1 … total of the denoiser. An exception
raised in it ends the run and reaches the caller: that is how a run is cancelled."""


class Method(Protocol):
    """A frozen dataclass of hyperparameters that samples, or estimates, x from a problem.

    Attributes:
        name: name on the command line.
        title: full name.
        reference: the paper.
        needs: what it asks of the operator and the prior: "svd", "adjoint", "gradient".
        noise: whether it takes noise_std > 0.
        tasks: verbs of the command line that it serves.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    noise: ClassVar[bool]
    tasks: ClassVar[tuple[str, ...]]

    def __call__(
        self,
        problem: Problem,
        prior: Denoiser,
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Return one picture for each measurement, [B, *problem.operator.domain.shape]."""
        ...


def denoise(prior: Denoiser, x: Tensor, sigma: float) -> Tensor:
    """Return D(x, σ); a real prior denoises the real and the imaginary part of complex pictures."""
    if not x.is_complex():
        return prior(x, sigma)
    real, imaginary = prior(torch.cat([x.real, x.imag]), sigma).chunk(2)
    return torch.complex(real, imaginary)
