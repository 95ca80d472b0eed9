"""Fast real orthogonal transforms: Hartley, cosine, Walsh-Hadamard.

All are orthonormal, built from real FFTs or small matrices (the cosine transform on the CPU is
SciPy's), and keep tables of single lines at most. They slice with `narrow`, since indexing with
brackets fails on the pretended device of `FakeTensorMode`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.linear_function import transformed
from operators.space import COMPLEX_TYPES, Space

_RADIX = 16


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


def walsh_hadamard(x: Tensor) -> Tensor:
    """Return the orthonormal Walsh-Hadamard transform along the last axis, in natural order.

    Its own inverse. The length is a power of two; the passes use radix 16, so that each is a
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

    _isometry = _coisometry = 1.0

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        super().__init__(Space(shape, dtype), Space(shape, dtype))


class HartleySynthesis(_Orthogonal):
    """Hartley coefficients to a picture, by real FFTs."""

    def _apply(self, x: Tensor) -> Tensor:
        picture: Tensor = torch.fft.irfft2(hartley_to_half(x), s=x.shape[-2:], norm="ortho")
        return picture

    def _adjoint(self, y: Tensor) -> Tensor:
        return hartley(y)


class CosineSynthesis(_Orthogonal):
    """DCT-II coefficients to a picture: by SciPy on the CPU, elsewhere by one FFT of the plane.

    SciPy takes half of the time. For the FFT let F be that of the picture with the lines of both
    axes in the order 0 2 4 … 5 3 1, and w_n[k] = e^{-iπk/2n}. Up to the scales of orthonormality,

        Z[p, q] = w_W[q] (w_H[p] F[p, q] + w_H*[p] F[H - p, q])
        X[p, q] = Re Z[p, q],   X[p, W - q] = -Im Z[p, q]

    and back F[p, q] = w_H*[p] (Z[p, q] - i Z[H - p, q]) / w_W[q]; F[H, q] and Z[H, q] count as 0.

    Source: Makhoul, "A fast cosine transform in one and two dimensions", 1980.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: str | torch.device
    ) -> None:
        super().__init__(shape, dtype)
        height, width = shape[-2:]
        self._orders = tuple(_evens_first(side).to(device) for side in (height, width))
        self._places = tuple(order.argsort() for order in self._orders)
        self._mirror = (-torch.arange(height, device=device)) % height
        down, right = _phases(height, 0.5).unsqueeze(-1), _phases(width, 2.0)
        mirrored = down.conj() * (torch.arange(height, device="cpu") > 0).unsqueeze(-1)
        complex_type = COMPLEX_TYPES[self.domain.real_dtype]
        self._down, self._mirrored, self._right = (
            phases.to(device, complex_type)
            for phases in (down, mirrored, right.narrow(0, 0, width // 2 + 1))
        )

    def _apply(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            return transformed(x, self, adjoint=False)
        half = self._right.shape[0]
        upper = x.narrow(-1, x.shape[-1] - half + 1, half - 1).flip(-1)
        z = torch.complex(x.narrow(-1, 0, half), -torch.nn.functional.pad(upper, (1, 0)))
        z = z.mul_(self._right.reciprocal())
        spectrum = z * self._down.conj()
        spectrum.addcmul_(-1j * self._mirrored, z.index_select(-2, self._mirror))
        picture: Tensor = torch.fft.irfft2(spectrum, s=x.shape[-2:], norm="ortho")
        return _reordered(picture, self._places)

    def transform(self, values: Tensor, *, adjoint: bool) -> Tensor:
        """Pictures `[..., H, W]` of coefficients on the CPU, or the adjoint."""
        from scipy.fft import dctn, idctn

        array = values.detach().resolve_neg().numpy()
        kwargs = {"axes": (-2, -1), "norm": "ortho", "workers": torch.get_num_threads()}
        return torch.from_numpy((dctn if adjoint else idctn)(array, **kwargs))

    def _adjoint(self, y: Tensor) -> Tensor:
        if y.device.type == "cpu":
            return transformed(y, self, adjoint=True)
        half = self._right.shape[0]
        spectrum = torch.fft.rfft2(_reordered(y, self._orders), norm="ortho")
        z = spectrum * self._down
        z.addcmul_(self._mirrored, spectrum.index_select(-2, self._mirror)).mul_(self._right)
        rest = y.shape[-1] - half
        return torch.cat([z.real, -z.imag.narrow(-1, 1, rest).flip(-1)], -1)


def _evens_first(n: int) -> Tensor:
    """Return 0 2 4 … 5 3 1 below n."""
    line = torch.arange(n, device="cpu")
    return torch.cat([line[::2], line[1::2].flip(0)])


def _phases(n: int, square: float) -> Tensor:
    """Return √square·e^{-iπk/2n} for k = 0 … n - 1, with the size 1 for k = 0; in double."""
    k = torch.arange(n, dtype=torch.float64, device="cpu")
    return torch.polar(square ** (k.clamp(max=1) / 2), k * (-math.pi / (2 * n)))


def _reordered(x: Tensor, orders: tuple[Tensor, ...]) -> Tensor:
    """Return x with its rows and columns in these orders."""
    rows, columns = orders
    # On the CPU `index_select` along the last axis takes three times as long.
    return x.index_select(-2, rows).gather(-1, columns.expand(x.shape))


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
        super().__init__(shape, dtype, sign.device)
        self._sign = sign

    def _apply(self, x: Tensor) -> Tensor:
        return super()._apply(self._sign * x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return super()._adjoint(y) * self._sign
