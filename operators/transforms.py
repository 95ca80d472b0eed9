"""Fast real orthogonal transforms: Hartley, cosine, Walsh-Hadamard.

All are orthonormal, built from real FFTs or small matrices, and keep no tables. They slice with
`narrow`, since indexing with brackets fails on the pretended device of `FakeTensorMode`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.space import Space

_RADIX = 64


def half_to_hartley(spectrum: Tensor, width: int) -> Tensor:
    """Return the Hartley coefficients Re F − Im F on the whole plane from the half of a real FFT.

    Args:
        spectrum: Half spectrum `[..., H, W//2 + 1]` of a real picture.
        width: W.
    """
    near = spectrum.real - spectrum.imag
    # F(-k) is the conjugate of F(k): the missing columns are Re F + Im F, mirrored.
    mirrored = (spectrum.real + spectrum.imag).narrow(-1, 1, width - width // 2 - 1)
    mirrored = mirrored.flip(-2, -1).roll(1, -2)
    return torch.cat([near, mirrored], -1)


def hartley_to_half(coefficients: Tensor) -> Tensor:
    """Return the half spectrum `[..., H, W//2 + 1]` of a picture from its Hartley coefficients."""
    half = coefficients.shape[-1] // 2 + 1
    mirrored = coefficients.flip(-2, -1).roll((1, 1), (-2, -1)).narrow(-1, 0, half)
    near = coefficients.narrow(-1, 0, half)
    return torch.complex((near + mirrored) / 2, (mirrored - near) / 2)


def hartley(x: Tensor) -> Tensor:
    """Return the orthonormal two-dimensional Hartley transform, which is its own inverse."""
    return half_to_hartley(torch.fft.rfft2(x, norm="ortho"), x.shape[-1])


def _twiddle(n: int, x: Tensor, scale: float) -> Tensor:
    """Return scale·e^{iπk/2n} for k = 0 … n//2, with the scale 1 for k = 0."""
    k = torch.arange(n // 2 + 1, device=x.device, dtype=x.dtype)
    size = torch.where(k > 0, torch.full_like(k, scale), torch.ones_like(k))
    return torch.polar(size, k * (math.pi / (2 * n)))


def dct(x: Tensor) -> Tensor:
    """Return the orthonormal DCT-II along the last axis.

    With F the real FFT of x₀ x₂ x₄ … x₅ x₃ x₁ and Z = e^{-iπk/2n} F, up to the scale of
    orthonormality: X[k] = Re Z[k], X[n − k] = −Im Z[k].

    Source: Makhoul, "A fast cosine transform in one and two dimensions", 1980.
    """
    n = x.shape[-1]
    pairs = torch.nn.functional.pad(x, (0, n % 2))
    pairs = pairs.reshape(*x.shape[:-1], -1, 2)
    even, odd = pairs.select(-1, 0), pairs.select(-1, 1).narrow(-1, 0, n // 2)
    z = torch.fft.rfft(torch.cat([even, odd.flip(-1)], -1), norm="ortho")
    z = z * _twiddle(n, x, math.sqrt(2)).conj()
    return torch.cat([z.real, -z.imag.narrow(-1, 1, n - n // 2 - 1).flip(-1)], -1)


def idct(c: Tensor) -> Tensor:
    """Return the inverse (and transpose) of `dct`, the orthonormal DCT-III along the last axis."""
    n = c.shape[-1]
    mirrored = torch.nn.functional.pad(c.narrow(-1, n - n // 2, n // 2).flip(-1), (1, 0))
    z = torch.complex(c.narrow(-1, 0, n // 2 + 1), -mirrored)
    order: Tensor = torch.fft.irfft(z * _twiddle(n, c, math.sqrt(0.5)), n, norm="ortho")
    even, odd = torch.split(order, [n - n // 2, n // 2], -1)
    odd = torch.nn.functional.pad(odd, (n % 2, 0)).flip(-1)
    return torch.stack([even, odd], -1).flatten(-2).narrow(-1, 0, n)


def walsh_hadamard(x: Tensor) -> Tensor:
    """Return the orthonormal Walsh-Hadamard transform along the last axis, in natural order.

    Its own inverse. The length is a power of two; the passes use radix 64, so that each is a
    matrix product.
    """
    shape, n = x.shape, x.shape[-1]
    stride = 1
    while stride < n:
        radix = min(_RADIX, n // stride)
        matrix = _sylvester(radix, x)
        x = x.reshape(-1, radix) @ matrix if stride == 1 else matrix @ x.reshape(-1, radix, stride)
        stride *= radix
    return x.reshape(shape)


def _sylvester(order: int, like: Tensor) -> Tensor:
    matrix = torch.full((1, 1), 1 / math.sqrt(order), device=like.device, dtype=like.dtype)
    while matrix.shape[0] < order:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)], 0)
    return matrix


class _Orthogonal(LinearOperator):
    """An orthogonal transform of the height and width, from coefficients to a picture."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        super().__init__(Space(shape, dtype), Space(shape, dtype))

    @property
    def _isometry(self) -> float | None:
        return 1.0

    @property
    def _coisometry(self) -> float | None:
        return 1.0


class HartleySynthesis(_Orthogonal):
    """Hartley coefficients to a picture, by real FFTs."""

    def _apply(self, x: Tensor) -> Tensor:
        picture: Tensor = torch.fft.irfft2(hartley_to_half(x), s=x.shape[-2:], norm="ortho")
        return picture

    def _adjoint(self, y: Tensor) -> Tensor:
        return hartley(y)


class CosineSynthesis(_Orthogonal):
    """DCT-II coefficients to a picture."""

    def _apply(self, x: Tensor) -> Tensor:
        return idct(idct(x).mT).mT

    def _adjoint(self, y: Tensor) -> Tensor:
        return dct(dct(y).mT).mT


class PhaseSynthesis(_Orthogonal):
    """Hartley coefficients to a picture, with the phase of each frequency turned on the way."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, phase: Tensor) -> None:
        super().__init__(shape, dtype)
        self._phase = phase

    def _apply(self, x: Tensor) -> Tensor:
        picture: Tensor = torch.fft.irfft2(
            self._phase * hartley_to_half(x), s=x.shape[-2:], norm="ortho"
        )
        return picture

    def _adjoint(self, y: Tensor) -> Tensor:
        spectrum = self._phase.conj() * torch.fft.rfft2(y, norm="ortho")
        return half_to_hartley(spectrum, y.shape[-1])


class SignedCosineSynthesis(CosineSynthesis):
    """DCT-II coefficients to a picture, with the sign of each changed on the way."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, sign: Tensor) -> None:
        super().__init__(shape, dtype)
        self._sign = sign

    def _apply(self, x: Tensor) -> Tensor:
        return super()._apply(self._sign * x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return super()._adjoint(y) * self._sign
