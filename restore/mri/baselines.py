"""Reconstructions without a learned prior."""

from __future__ import annotations

import torch
from torch import Tensor

from operators import LinearOperator

# Of the largest coefficient of the zero-filled image.
WAVELET_WEIGHT = 0.004
TV_RATIO = 10.0
_LEVELS = 4
# Daubechies' orthonormal wavelet with two vanishing moments: (1 ± √3, 3 ± √3) / (4 √2).
_LOW = (0.48296291314453416, 0.8365163037378079, 0.2241438680420134, -0.1294095225512604)


def zero_filled(A: LinearOperator, y: Tensor, density: Tensor | None = None) -> Tensor:
    """Return Aᴴ y, with the weights of a trajectory's density where there are any."""
    return A.adjoint(y if density is None else density * y)


def cg_sense(A: LinearOperator, y: Tensor, noise_std: float, iterations: int = 30) -> Tensor:
    """Return the least-squares image by so many conjugate gradient steps.

    The steps regularise; a shift of (σ_y)², that of an image of standard deviation 1, keeps what
    nothing was measured of at 0.

    Source: Pruessmann et al., "Advances in sensitivity encoding with arbitrary k-space
    trajectories", 2001.
    """
    shift = noise_std**2
    x = torch.zeros_like(A.adjoint(y))
    r = A.adjoint(y)
    p, square = r, _squared(r)
    for _ in range(iterations):
        Ap = A.normal(p) + shift * p
        step = square / _squared_product(p, Ap).clamp_min(1e-30)
        x, r = x + step * p, r - step * Ap
        new = _squared(r)
        p, square = r + new / square.clamp_min(1e-30) * p, new
    return x


def l1_wavelet(
    A: LinearOperator, y: Tensor, weight: float = WAVELET_WEIGHT, iterations: int = 100
) -> Tensor:
    """Return argmin ½‖A x − y‖² + λ‖W x‖₁ by FISTA, W shifted at random in each step.

    Args:
        A: The operator.
        y: Measurements, [B, *A.codomain.shape].
        weight: λ relative to the largest |Aᴴ y|.
        iterations: Steps.

    Source: Lustig, Donoho, Pauly, "Sparse MRI", 2007; Beck, Teboulle, "A fast iterative
    shrinkage-thresholding algorithm", 2009.
    """
    back = A.adjoint(y)
    threshold = weight * back.abs().amax(A.domain.axes, keepdim=True)
    step = 1 / A.power_norm().square().clamp_min(1e-12)
    shifts = torch.Generator().manual_seed(0)
    x, z, t = back, back, 1.0
    for _ in range(iterations):
        gradient = A.normal(z) - back
        rolled = torch.randint(0, 2**_LEVELS, (2,), generator=shifts).tolist()
        new = shrunk_wavelets(z - step * gradient, step * threshold, (rolled[0], rolled[1]))
        following = (1 + (1 + 4 * t * t) ** 0.5) / 2
        z, x, t = new + (t - 1) / following * (new - x), new, following
    return x


def total_variation(A: LinearOperator, y: Tensor, weight: float, iterations: int = 150) -> Tensor:
    """Return argmin ½‖A x − y‖² + λ Σ|∇x| by the primal-dual method.

    The data term is dualised too, so that a step needs one A and one Aᴴ.

    Args:
        A: The operator.
        y: Measurements, [B, *A.codomain.shape], of images of about 1.
        weight: λ.
        iterations: Steps.

    Source: Chambolle, Pock, "A first-order primal-dual algorithm for convex problems with
    applications to imaging", 2011.
    """
    x = A.adjoint(y)
    size = (A.power_norm().square() + 8).sqrt()
    # Images move by so much more than the dual variables, which are as small as λ.
    tau, sigma = 0.99 * TV_RATIO / size, 0.99 / TV_RATIO / size
    ahead = x
    p, q = torch.zeros_like(_gradient(x)), torch.zeros_like(y)
    of_y = sigma.reshape(*sigma.shape[: sigma.ndim - A.domain.ndim], *(1,) * A.codomain.ndim)
    for _ in range(iterations):
        p = p + sigma.unsqueeze(0) * _gradient(ahead)
        p = p / (p.abs().square().sum(0, keepdim=True).sqrt() / weight).clamp_min(1)
        q = (q + of_y * (A(ahead) - y)) / (1 + of_y)
        new = x - tau * (A.adjoint(q) - _divergence(p))
        x, ahead = new, 2 * new - x
    return x


def shrunk_wavelets(x: Tensor, threshold: Tensor, shift: tuple[int, int] = (0, 0)) -> Tensor:
    """Soft-threshold the wavelet coefficients of images [..., H, W]; the coarsest stay."""
    height, width = x.shape[-2:]
    multiple = 2**_LEVELS
    rows, columns = -height % multiple, -width % multiple
    padded = torch.nn.functional.pad(x, (0, columns, 0, rows)).roll(shift, (-2, -1))
    details = []
    for _ in range(_LEVELS):
        padded, detail = _analysed(padded)
        details.append([_soft(part, threshold) for part in detail])
    for detail in reversed(details):
        padded = _synthesised(padded, detail)
    unrolled = padded.roll((-shift[0], -shift[1]), (-2, -1))
    return unrolled[..., :height, :width]


def _soft(c: Tensor, threshold: Tensor) -> Tensor:
    size = c.abs()
    return c * ((size - threshold).clamp_min(0) / size.clamp_min(1e-30))


def _filters() -> tuple[tuple[float, ...], tuple[float, ...]]:
    high = tuple((-1) ** i * tap for i, tap in enumerate(reversed(_LOW)))
    return _LOW, high


def _split(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Low and high half band along an axis of even length, periodic."""
    halves = []
    for taps in _filters():
        whole = torch.zeros_like(x)
        for i, tap in enumerate(taps):
            whole = whole + tap * x.roll(-i, axis)
        last = whole.movedim(axis, -1)
        pairs = last.reshape(*last.shape[:-1], -1, 2)
        halves.append(pairs[..., 0].movedim(-1, axis))
    return halves[0], halves[1]


def _merged(low: Tensor, high: Tensor, axis: int) -> Tensor:
    """The adjoint of `_split`, which is its inverse."""
    total = torch.zeros(())
    for half, taps in zip((low, high), _filters(), strict=True):
        last = half.movedim(axis, -1)
        spread = torch.stack([last, torch.zeros_like(last)], -1).flatten(-2).movedim(-1, axis)
        for i, tap in enumerate(taps):
            total = total + tap * spread.roll(i, axis)
    return total


def _analysed(x: Tensor) -> tuple[Tensor, list[Tensor]]:
    low, high = _split(x, -2)
    smooth, across = _split(low, -1)
    down, both = _split(high, -1)
    return smooth, [across, down, both]


def _synthesised(smooth: Tensor, detail: list[Tensor]) -> Tensor:
    across, down, both = detail
    return _merged(_merged(smooth, across, -1), _merged(down, both, -1), -2)


def _gradient(x: Tensor) -> Tensor:
    """Forward differences [2, ..., H, W], 0 at the far border."""
    zero = torch.zeros_like(x)
    down, across = zero.clone(), zero.clone()
    down[..., :-1, :] = x.diff(dim=-2)
    across[..., :, :-1] = x.diff(dim=-1)
    return torch.stack([down, across])


def _divergence(p: Tensor) -> Tensor:
    """The negative adjoint of `_gradient`."""
    down, across = p[0].clone(), p[1].clone()
    down[..., -1, :], across[..., :, -1] = 0, 0
    out = down + across
    out[..., 1:, :] -= down[..., :-1, :]
    out[..., :, 1:] -= across[..., :, :-1]
    return out


def _squared(x: Tensor) -> Tensor:
    square: Tensor = x.abs().square().sum((-3, -2, -1), keepdim=True)
    return square


def _squared_product(x: Tensor, y: Tensor) -> Tensor:
    product: Tensor = (x.conj() * y).real.sum((-3, -2, -1), keepdim=True)
    return product
