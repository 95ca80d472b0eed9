"""Products with the Jacobian of a denoiser, for the methods that differentiate the prior."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from restore.prior.counted import repeated
from restore.prior.denoiser import Wrapped, fitting

# Pixels (without channels) whose graph is kept: four, or thirty-two, pictures of 256x256. For the
# bundled model that is 0.14 GB a picture.
_CPU_PIXELS = 2**18
_ACCELERATOR_PIXELS = 2**21


class Differentiable(Wrapped):
    """D(x, σ) with the product (∂x̂/∂x)ᴴ v at its last call.

    The graph is kept from a call to the next. A batch too large for that (many particles) is cut
    into pieces that are evaluated a second time by `vjp`, one after the other, which changes no
    number and does not count (`repeated`). Only this call runs with gradients enabled; parameters
    are not differentiated.

    Complex pictures reach it as real and imaginary part, one batch after the other
    (`restore.methods.base.denoise`); `vjp` takes and returns them as complex again.

    Args:
        prior: a denoiser of differentiable operations.
    """

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, C, H, W] at one level σ.

        Raises:
            ValueError: if the prior cannot be differentiated, or returns what does not fit x.
        """
        pixels = _CPU_PIXELS if x.device.type == "cpu" else _ACCELERATOR_PIXELS
        rows = max(1, pixels // (x.shape[-2] * x.shape[-1]))
        with torch.inference_mode(False), torch.enable_grad():
            self._x = x.detach().clone().requires_grad_()
            if x.shape[0] <= rows:
                self._x_hat = fitting(self._prior(self._x, sigma), self._x)
            else:
                self._x_hat = torch.cat(
                    [
                        checkpoint(
                            self._prior,
                            piece,
                            sigma,
                            use_reentrant=False,
                            preserve_rng_state=False,
                            context_fn=lambda: (nullcontext(), repeated()),
                        )
                        for piece in torch.split(self._x, rows)
                    ]
                )
        if not self._x_hat.requires_grad:
            raise ValueError("the prior has no gradient; this method needs one to differentiate")
        return self._x_hat.detach()

    def vjp(self, v: Tensor) -> Tensor:
        """Return (∂x̂/∂x)ᴴ v, of v's shape; once for each call of the denoiser."""
        parts = torch.cat([v.real, v.imag]) if v.is_complex() else v
        (pulled,) = torch.autograd.grad(self._x_hat, self._x, parts)
        return torch.complex(*pulled.chunk(2)) if v.is_complex() else pulled
