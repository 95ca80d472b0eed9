"""The unknown border of a blur that is measured only where its kernel fits into the picture.

A is a periodic convolution K of a torus and a mask M that keeps the pixels of y: A = M K. If K x
were known in the border between the pixels of y too, x would be the periodic solution. So the
unknowns of (AᴴA + D) x = b are those values w = R K x alone, R being the restriction to the border,
and they solve

    (I − R G Rᵀ) w = R K P b,   P = (KᴴK + D)⁻¹,   G = K P Kᴴ,   x = P (b + Kᴴ Rᵀ w).

Conjugate gradients for w keep nothing of the picture's size, and are preconditioned by the exact
inverses of the two strips that the border consists of: along each of them the system is a
convolution, and so a small matrix for each frequency. G is a convolution whose kernel falls off, so
that in a large picture it is applied to each strip with its surroundings alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators.cg import conjugate_gradient, default_tolerance
from operators.convolution import fast_length
from operators.space import COMPLEX_TYPES, widest

_Filter = Callable[[Tensor], Tensor]
# Width of a strip beyond which its matrices cost more than they save.
_WIDEST = 64
# Relative residual that the border is solved to at least. A tolerance of the whole, of which the
# border is a small share, would leave it unsolved: 8 dB of a picture of 128 pixels were lost.
_LOOSEST = 3e-2
# What may be cut off the kernel of G, as a share of that tolerance: the sum of absolute values.
_TAIL = 0.3


class Border:
    """The system of the border of one kernel and one D.

    Args:
        kernel: k̂, the half spectrum `[N, M//2 + 1]` of the kernel, shifted so that the border is
            the first rows and the first columns of K x.
        damping: d ≥ 0 of D = F⁻¹dF, real, of the same shape.
        size: `(N, M)` of the torus.
        border: Rows and columns of the border.
    """

    def __init__(
        self, kernel: Tensor, damping: Tensor, size: tuple[int, int], border: tuple[int, int]
    ) -> None:
        self._kernel, self._size, self._border = kernel, size, border
        gain = torch.view_as_real(kernel).square().sum(-1)
        self._inverse = (gain + damping).reciprocal_()
        self._gain = gain.mul_(self._inverse)

    def solve(
        self,
        spectra: list[Tensor],
        *,
        name: str,
        tolerance: float | None,
        max_iterations: int | None,
        watched: bool | None,
    ) -> Tensor:
        """Return (AᴴA + D)⁻¹ b on the torus, `[C, N, M]`.

        Args:
            spectra: The half spectrum of each channel of b; they are overwritten.
            name: What is solved, for the error.
            tolerance: Of ‖L⁻¹(b − (AᴴA + D) x)‖/‖L⁻¹b‖ with LLᴴ = KᴴK + D, where it is watched.
            max_iterations: As in `conjugate_gradient`.
            watched: As in `conjugate_gradient`.

        Raises:
            ConvergenceError: Where it is watched, if conjugate gradients miss the tolerance.
        """
        # In place from here on: each array is as large as a channel of the picture.
        right = torch.stack([self._strips(s * self._kernel, self._inverse) for s in spectra])
        if tolerance is None:
            tolerance = default_tolerance(right.dtype)
        if watched is None:
            watched = right.device.type == "cpu"
        if watched:
            # What is asked of the whole, in terms of the border's share of it.
            whole = sum(float(self._energy(s).detach()) for s in spectra)
            share = float(right.detach().square().sum())
            tolerance = min(_LOOSEST, tolerance * (whole / share) ** 0.5) if share > 0 else _LOOSEST

        kernel = torch.fft.irfft2(self._gain, s=self._size)
        near = self._near(kernel, _TAIL * tolerance)

        def apply(w: Tensor) -> Tensor:
            if near is not None:
                return w - self._of_strips(w, *near)
            image = (self._strips(self._spectrum(one), self._gain) for one in w.unbind(0))
            return w - torch.stack(tuple(image))

        w = conjugate_gradient(
            apply,
            right,
            (-2, -1),
            name=name,
            tolerance=tolerance,
            max_iterations=max_iterations,
            precondition=self._precondition(kernel),
            watched=watched,
        )
        conjugate, solved = self._kernel.conj(), []
        for spectrum, one in zip(spectra, w.unbind(0), strict=True):
            spectrum += self._spectrum(one).mul_(conjugate)
            torch.view_as_real(spectrum).mul_(self._inverse.unsqueeze(-1))
            solved.append(torch.fft.irfft2(spectrum, s=self._size))
        return torch.stack(solved)

    def _energy(self, spectrum: Tensor) -> Tensor:
        """‖L⁻¹b‖² of the half spectrum of b."""
        columns = torch.view_as_real(spectrum).square().sum(-1).mul_(self._inverse).sum(-2)
        # A column of the half spectrum stands for two, but for the first and the middle one.
        single = torch.arange(len(columns), device=columns.device) * 2 % self._size[1] == 0
        return torch.where(single, columns, 2 * columns).sum() / (self._size[0] * self._size[1])

    def _strips(self, spectrum: Tensor, weight: Tensor) -> Tensor:
        """The border of F⁻¹ weight·spectrum as a line; the spectrum is overwritten."""
        torch.view_as_real(spectrum).mul_(weight.unsqueeze(-1))
        return self._line(torch.fft.irfft2(spectrum, s=self._size))

    def _spectrum(self, line: Tensor) -> Tensor:
        """The half spectrum of a border, 0 elsewhere."""
        rows, columns = self._two(line)
        below = torch.nn.functional.pad(columns, (0, self._size[1] - self._border[1]))
        spectrum: Tensor = torch.fft.rfft2(torch.cat([rows, below], -2))
        return spectrum

    def _line(self, picture: Tensor) -> Tensor:
        """The border of a picture: its first rows, then what is left of its first columns."""
        above, before = self._border
        below = picture.narrow(0, above, self._size[0] - above)
        rows, columns = picture.narrow(0, 0, above), below.narrow(1, 0, before)
        return torch.cat([rows.flatten(), columns.flatten()])

    def _two(self, line: Tensor) -> tuple[Tensor, Tensor]:
        """The rows `[..., a, M]` and the columns `[..., N − a, b]` of borders."""
        above, before = self._border
        size = (above * self._size[1], (self._size[0] - above) * before)
        rows, columns = torch.split(line, list(size), -1)
        batch = line.shape[:-1]
        return (
            rows.reshape(*batch, above, self._size[1]),
            columns.reshape(*batch, self._size[0] - above, before),
        )

    def _near(self, kernel: Tensor, tail: float) -> tuple[_Filter, _Filter] | None:
        """G for the rows and for the columns of the border with what they reach.

        Each is a torus of fewer rows, or columns. None where they would save nothing, and on an
        accelerator, which is not waited for.
        """
        if kernel.device.type != "cpu" or 0 in self._border:
            return None
        # What is but rounding reaches nowhere.
        rounding = torch.finfo(kernel.dtype).eps * float(kernel.abs().max())
        size = torch.nn.functional.hardshrink(kernel, rounding).abs_()
        high, wide = (
            min(length, fast_length(width + 2 * max(width, _reach(size.sum(other), tail))))
            for length, width, other in zip(self._size, self._border, (1, 0), strict=True)
        )
        if 2 * (high * self._size[1] + self._size[0] * wide) >= self._size[0] * self._size[1]:
            return None
        return _filter(_shortened(kernel, high, 0)), _filter(_shortened(kernel, wide, 1))

    def _of_strips(self, line: Tensor, of_rows: _Filter, of_columns: _Filter) -> Tensor:
        """R G Rᵀ of borders `[C, n]` by the two of `_near`."""
        above, before = self._border
        rows, columns = self._two(line)
        rows = of_rows(rows)
        columns = of_columns(torch.nn.functional.pad(columns, (0, 0, above, 0)))
        below = _lengthened(rows, self._size[0], above, -2)
        beside = _lengthened(columns, self._size[1], before, -1)
        rows = rows.narrow(-2, 0, above) + beside.narrow(-2, 0, above)
        columns = (columns.narrow(-1, 0, before) + below.narrow(-1, 0, before)).narrow(
            -2, above, self._size[0] - above
        )
        return torch.cat([rows.flatten(-2), columns.flatten(-2)], -1)

    def _precondition(self, kernel: Tensor) -> _Filter | None:
        """The inverses of the two strips of the border, each by itself."""
        above, before = self._border
        if max(above, before) > _WIDEST:
            return None
        if above:
            of_rows = _inverses(torch.fft.rfft(kernel.narrow(0, 0, above), dim=1).mT)
        if before:
            of_columns = _inverses(torch.fft.rfft(kernel.narrow(1, 0, before), dim=0))

        def precondition(w: Tensor) -> Tensor:
            rows, columns = self._two(w)
            if above:
                rows = _along(of_rows, rows.mT).mT
            if before:
                columns = torch.nn.functional.pad(columns, (0, 0, above, 0))
                columns = _along(of_columns, columns).narrow(-2, above, self._size[0] - above)
            return torch.cat([rows.flatten(-2), columns.flatten(-2)], -1)

        return precondition


def _reach(lags: Tensor, tail: float) -> int:
    """Return the largest lag of a circular line that counts: those beyond sum up to `tail`."""
    most = len(lags) // 2
    both = lags.narrow(0, 1, most) + lags.flip(0).narrow(0, 0, most)
    return most - int((both.flip(0).cumsum(0) <= tail).sum())


def _shortened(kernel: Tensor, length: int, dim: int) -> Tensor:
    """Return a circular kernel with the lags alone that a shorter torus has."""
    after, size = length // 2 + 1, kernel.shape[dim]
    before = length - after
    first, last = kernel.narrow(dim, 0, after), kernel.narrow(dim, size - before, before)
    return torch.cat([first, last], dim)


def _lengthened(picture: Tensor, length: int, border: int, dim: int) -> Tensor:
    """Return a short torus around a border in its place on a longer one, 0 elsewhere."""
    size = picture.shape[dim]
    after = border + (size - border + 1) // 2
    first, last = torch.split(picture, [after, size - after], dim)
    shape = list(picture.shape)
    shape[dim] = length - size
    return torch.cat([first, picture.new_zeros(shape), last], dim)


def _filter(kernel: Tensor) -> _Filter:
    """Return the convolution of pictures, 0 after their end, on the torus of a symmetric kernel."""
    size = kernel.shape
    # Real, that is, symmetric: of an even number of lags one has no opposite.
    transfer = torch.fft.rfft2(kernel).real

    def convolve(picture: Tensor) -> Tensor:
        out: Tensor = torch.fft.irfft2(torch.fft.rfft2(picture, s=size) * transfer, s=size)
        return out

    return convolve


def _inverses(lags: Tensor) -> Tensor:
    """Return the inverse of I minus each Hermitian Toeplitz matrix, `[frequencies, n, n]`.

    Args:
        lags: The first column of each, `[frequencies, n]`.
    """
    count = lags.shape[-1]
    place = torch.arange(count, device=lags.device)
    lag = place.unsqueeze(-1) - place
    # As nearly singular as D is small, hence in double precision.
    wide = lags.to(COMPLEX_TYPES[widest(lags.device)])
    matrices = wide.index_select(-1, lag.abs().flatten()).reshape(-1, count, count)
    matrices = torch.where(lag < 0, matrices.conj(), matrices)
    eye = torch.eye(count, dtype=wide.dtype, device=lags.device)
    inverse: Tensor = torch.linalg.inv(eye - matrices)
    return inverse.to(lags.dtype)


def _along(matrices: Tensor, strips: Tensor) -> Tensor:
    """Multiply each frequency along a strip `[C, length, n]` by its matrix."""
    spectrum = torch.fft.rfft(strips, dim=-2).movedim(-3, -1)
    out: Tensor = torch.fft.irfft((matrices @ spectrum).movedim(-1, -3), n=strips.shape[-2], dim=-2)
    return out
