"""The ways of convolving a picture with a kernel; `Blur` chooses among them.

Everywhere y[i] = Σ_j k[j] x[i + c − j] with c = size//2 on each axis, and x continued past its
border; this is `scipy.ndimage.convolve`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.space import COMPLEX_TYPES, Space
from operators.svd import ThinSVD
from operators.transforms import (
    CosineSynthesis,
    HartleySynthesis,
    PhaseSynthesis,
    SignedCosineSynthesis,
    half_to_hartley,
)


def border_index(position: Tensor, size: int, border: str) -> Tensor:
    """Return the pixel that stands at each position of the continued line, −1 for a zero.

    Args:
        position: Integer positions, also outside 0 … size − 1 by any distance.
        size: Number of pixels of the line.
        border: "reflect" (half-sample, d c b a | a b c d), "replicate", "zero" or "circular".
    """
    if border == "reflect":
        folded = position % (2 * size)
        return torch.where(folded < size, folded, 2 * size - 1 - folded)
    if border == "replicate":
        return position.clamp(0, size - 1)
    if border == "circular":
        return position % size
    return torch.where((position >= 0) & (position < size), position, -1)


def extension(size: int, first: int, count: int, border: str) -> Tensor:
    """Return the float64 matrix `[count, size]` that continues a line from position `first` on."""
    index = border_index(torch.arange(first, first + count, device="cpu"), size, border)
    return (index[:, None] == torch.arange(size, device="cpu")).double()


class CircularConvolution(LinearOperator):
    """Any kernel with circular border, diagonal in the real Fourier (Hartley) basis.

    With k̂ = |k̂|e^{iφ}: s = |k̂|, V the Hartley basis, U the same with its phases turned by φ.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        kernel: Tensor,
        dtype: torch.dtype,
        device: str | torch.device,
    ) -> None:
        super().__init__(Space(shape, dtype), Space(shape, dtype))
        _, height, width = shape
        wrapped = torch.zeros(height, width, dtype=torch.float64, device="cpu")
        rows = (torch.arange(kernel.shape[0], device="cpu") - kernel.shape[0] // 2) % height
        columns = (torch.arange(kernel.shape[1], device="cpu") - kernel.shape[1] // 2) % width
        index = (rows[:, None] * width + columns).flatten()
        wrapped.view(-1).index_add_(0, index, kernel.cpu().double().flatten())
        spectrum = torch.fft.rfft2(wrapped)
        self._spectrum = spectrum.to(
            device=device,
            dtype=COMPLEX_TYPES[self.domain.real_dtype],
        )

    def _filter(self, spectrum: Tensor, x: Tensor) -> Tensor:
        out: Tensor = torch.fft.irfft2(spectrum * torch.fft.rfft2(x), s=x.shape[-2:])
        return out

    def _apply(self, x: Tensor) -> Tensor:
        return self._filter(self._spectrum, x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._filter(self._spectrum.conj(), y)

    def _normal(self, x: Tensor) -> Tensor:
        return self._filter(self._spectrum.abs().square(), x)

    def _factorise(self) -> ThinSVD:
        shape, dtype = self.domain.shape, self.domain.dtype
        size = self._spectrum.abs()
        phase = torch.where(size > 0, self._spectrum / torch.where(size > 0, size, 1), 1)
        values = half_to_hartley(torch.complex(size, torch.zeros_like(size)), shape[-1])
        right = HartleySynthesis(shape, dtype)
        return ThinSVD(PhaseSynthesis(shape, dtype, phase), values.expand(shape), right)


class CosineConvolution(LinearOperator):
    """A kernel symmetric on each axis with reflecting border, diagonal in the DCT-II basis.

    The eigenvalues are λ[p, q] = Σ_{a,b} k[a, b] cos(πpa/H) cos(πqb/W), with a, b counted from
    the centre; s = |λ|.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        kernel: Tensor,
        dtype: torch.dtype,
        device: str | torch.device,
    ) -> None:
        super().__init__(Space(shape, dtype), Space(shape, dtype))

        def cosines(size: int, taps: int) -> Tensor:
            offset = torch.arange(taps, dtype=torch.float64, device="cpu") - taps // 2
            frequency = torch.arange(size, dtype=torch.float64, device="cpu")[:, None]
            return torch.cos(torch.pi / size * frequency * offset)

        values = (
            cosines(shape[1], kernel.shape[0])
            @ kernel.cpu().double()
            @ cosines(shape[2], kernel.shape[1]).T
        )
        self._eigenvalues = values.to(device=device, dtype=self.domain.real_dtype)
        self._basis = CosineSynthesis(shape, dtype, device)

    def _apply(self, x: Tensor) -> Tensor:
        return self._basis._apply(self._eigenvalues * self._basis._adjoint(x))

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._apply(y)

    def _normal(self, x: Tensor) -> Tensor:
        return self._basis._apply(self._eigenvalues.square() * self._basis._adjoint(x))

    def _factorise(self) -> ThinSVD:
        shape, dtype = self.domain.shape, self.domain.dtype
        values = self._eigenvalues
        left = SignedCosineSynthesis(shape, dtype, torch.where(values < 0, -1.0, 1.0).to(values))
        return ThinSVD(left, values.abs().expand(shape), self._basis)


def fast_length(size: int) -> int:
    """Return the smallest length ≥ size > 0 without prime factors above 7, fast for the FFT."""
    while True:
        rest = size
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1


class PaddedConvolution(LinearOperator):
    """Any kernel with any border: continue the picture, convolve by FFT, keep what was there.

    Matrix-free; it has no fast SVD.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        kernel: Tensor,
        border: str,
        dtype: torch.dtype,
        device: str | torch.device,
    ) -> None:
        super().__init__(Space(shape, dtype), Space(shape, dtype))
        sides, taps = shape[1:], kernel.shape
        real = self.domain.real_dtype
        borders: list[Tensor] = []
        for side, count in zip(sides, taps, strict=True):
            after = count // 2
            before = count - 1 - after
            borders += [
                extension(side, -before, before, border).to(device=device, dtype=real),
                extension(side, side, after, border).to(device=device, dtype=real),
            ]
        self._borders = tuple(borders)
        self._taps = tuple(taps)
        complex_type = COMPLEX_TYPES[real]
        self._length = tuple(
            fast_length(size + count - 1) for size, count in zip(sides, taps, strict=True)
        )
        spectrum = torch.fft.rfft2(kernel.cpu().double(), s=self._length)
        self._spectrum = spectrum.to(device=device, dtype=complex_type)

    def _apply(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self._borders
        x = torch.cat([x @ left.mT, x, x @ right.mT], -1)
        x = torch.cat([top @ x, x, bottom @ x], -2)
        spectrum = self._spectrum * torch.fft.rfft2(x, s=self._length)
        full: Tensor = torch.fft.irfft2(spectrum, s=self._length)
        (rows, columns), (height, width) = self._taps, self.codomain.shape[1:]
        return full.narrow(-2, rows - 1, height).narrow(-1, columns - 1, width)

    def _adjoint(self, y: Tensor) -> Tensor:
        top, bottom, left, right = self._borders
        (rows, columns), (height, width) = self._taps, self.domain.shape[1:]
        y = torch.nn.functional.pad(y, (columns - 1, 0, rows - 1, 0))
        spectrum = self._spectrum.conj() * torch.fft.rfft2(y, s=self._length)
        full: Tensor = torch.fft.irfft2(spectrum, s=self._length)
        before, after = left.shape[0], right.shape[0]
        rest = full.shape[-1] - before - width - after
        first, middle, last, _ = torch.split(full, [before, width, after, rest], -1)
        full = middle + first @ left + last @ right
        before, after = top.shape[0], bottom.shape[0]
        rest = full.shape[-2] - before - height - after
        first, middle, last, _ = torch.split(full, [before, height, after, rest], -2)
        return middle + top.mT @ first + bottom.mT @ last
