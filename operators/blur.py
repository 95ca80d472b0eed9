"""Blur: convolution with a kernel, by the fastest way that the kernel and the border allow."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators.base import LinearOperator, Memo
from operators.convolution import (
    CircularConvolution,
    CosineConvolution,
    PaddedConvolution,
)
from operators.line_convolution import LineConvolution
from operators.separable import Separable
from operators.space import Space, picture_shape, shape_text
from operators.svd import INSTEAD, NoFastSVD, ThinSVD
from operators.valid_blur import ValidConvolution

BORDERS = ("reflect", "replicate", "zero", "circular", "valid")


class Blur(LinearOperator):
    """y = k * x for each channel, equal to `scipy.ndimage.convolve`.

    | kernel | border | application | SVD |
    |---|---|---|---|
    | any | circular | real FFT | Fourier (Hartley) basis |
    | symmetric on each axis | reflect | DCT | DCT basis |
    | separable | reflect, replicate, zero, valid | a matrix per axis | Kronecker |
    | any other | reflect, replicate, zero | FFT of the continued picture | none |
    | any other | valid | FFT | none |

    Args:
        shape: `(C, H, W)`.
        kernel: `[kh, kw]`, or one line `[k]` for the separable kernel line·lineᵀ. It is used as it
            is (the helpers `gaussian_kernel` … sum to 1). The centre is at size//2.
        border: How the picture goes on outside: "reflect" (half-sample, d c b a | a b c d:
            SciPy's reflect, NumPy's symmetric), "replicate" (SciPy's nearest), "zero",
            "circular" (wrap), or "valid": y has only the pixels that need no border,
            `[C, H − kh + 1, W − kw + 1]`.
        dtype: Number type of x and y.
        device: Device of the operator's arrays.

    Raises:
        ShapeError: If the shape is not `[channels, height, width]`.
        ValueError: If the border is unknown, the kernel is no finite real matrix, or it is larger
            than the picture with the border "valid".
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        kernel: Tensor,
        border: str = "reflect",
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        picture = picture_shape("Blur", shape)
        kernel = torch.as_tensor(kernel, device="cpu")
        if border not in BORDERS:
            raise ValueError(f"Blur: the border is one of {', '.join(BORDERS)}, not {border!r}")
        if kernel.ndim == 1:
            kernel = torch.outer(kernel, kernel)
        if kernel.ndim != 2 or kernel.is_complex() or not kernel.numel():
            raise ValueError(
                f"Blur: the kernel is {shape_text(kernel.shape)}; it must be a real matrix"
            )
        # What separable and symmetric mean to rounding of the numbers that were given.
        tolerance = 1e-12 if kernel.dtype == torch.float64 else 1e-6
        kernel = kernel.detach().to(torch.float64, copy=True)
        if not bool(kernel.isfinite().all()):
            raise ValueError("Blur: the kernel has values that are not finite")
        if border == "valid" and (kernel.shape[0] > picture[1] or kernel.shape[1] > picture[2]):
            raise ValueError(
                f"Blur: the kernel is {shape_text(kernel.shape)}, larger than the picture "
                f"{shape_text(picture[1:])}, so no pixel is valid"
            )
        self.border = border
        self._tolerance = tolerance
        # An array of NumPy stays in double precision on the CPU when the operator moves.
        self._kernel = kernel.numpy()
        lines = _separated(kernel, tolerance)
        engine: LinearOperator
        if border == "circular":
            engine = CircularConvolution(picture, kernel, dtype, device)
        elif border == "reflect" and _symmetric(kernel, tolerance):
            engine = CosineConvolution(picture, kernel, dtype, device)
        elif lines is not None:
            engine = LineConvolution(picture, *lines, border, dtype, device)
        elif border == "valid":
            engine = ValidConvolution(picture, kernel, dtype, device)
        else:
            engine = PaddedConvolution(picture, kernel, border, dtype, device)
        super().__init__(Space(shape, dtype), engine.codomain)
        self._engine = engine

    @property
    def kernel(self) -> Tensor:
        """The kernel, `[kh, kw]` in float64 on the CPU."""
        return torch.from_numpy(self._kernel).clone()

    def _apply(self, x: Tensor) -> Tensor:
        return self._engine._apply(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._engine._adjoint(y)

    def _normal(self, x: Tensor) -> Tensor:
        return self._engine._normal(x)

    def solve_normal(
        self,
        b: Tensor,
        rho: float | Tensor,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Tensor:
        """Return (AᴴA + ρI)⁻¹ b by the SVD, by FFT, or by conjugate gradients."""
        self._check(b, self.domain, "right-hand side", self._domain_text())
        positive = isinstance(rho, Tensor) or rho > 0
        by_fft = isinstance(self._engine, ValidConvolution) and positive and not b.is_complex()
        solve = self._engine.solve_normal if by_fft else super().solve_normal
        return solve(b, rho, tolerance=tolerance, max_iterations=max_iterations)

    def norm(self) -> Tensor:
        """Return ‖A‖ as the way of convolving knows it best."""
        engine = self._engine
        return engine.norm() if isinstance(engine, ValidConvolution) else super().norm()

    @property
    def has_svd(self) -> bool:
        """Whether there is a fast SVD; it is not computed for the answer."""
        return not isinstance(self._engine, (PaddedConvolution, ValidConvolution))

    @property
    def valid(self) -> ValidConvolution | None:
        """The same operator by FFT, which solves with any filter; None for other borders."""
        if self.border != "valid":
            return None
        if isinstance(self._engine, ValidConvolution):
            return self._engine
        return self._once("_valid", self._by_fft)

    def _by_fft(self) -> ValidConvolution:
        shape = picture_shape("Blur", self.domain.shape)
        return ValidConvolution(shape, self.kernel, self.domain.dtype, self.device)

    def _as_separable(self) -> Separable | None:
        lines = _separated(self.kernel, self._tolerance)
        if lines is None:
            return None
        shape = picture_shape("Blur", self.domain.shape)
        return LineConvolution(shape, *lines, self.border, self.domain.dtype, self.device)

    def _with_channels(self, channels: int) -> LinearOperator | None:
        return self._rebuilt((channels, *self.domain.shape[1:]), self.domain.dtype, self.device)

    def _rebuilt(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: str | torch.device
    ) -> Blur:
        return Blur(shape, self.kernel, self.border, dtype=dtype, device=device)

    def _mapped(
        self, fn: Callable[[Tensor], Tensor], dtype: torch.dtype | None, memo: Memo
    ) -> Blur:
        if dtype in (None, self.domain.dtype):
            return super()._mapped(fn, dtype, memo)
        # From the kernel again, since the tables of the other precision are rounded to it.
        assert dtype is not None
        return self._rebuilt(self.domain.shape, dtype, "cpu")._mapped(fn, None, memo)

    def _factorise(self) -> ThinSVD:
        if not self.has_svd:
            raise NoFastSVD(
                f"Blur: no fast SVD for this kernel with the border {self.border!r}. There is one "
                'with the border "circular", for separable kernels, and for symmetric kernels with '
                f'the border "reflect". {INSTEAD}'
            )
        return self._engine.svd()


def _separated(kernel: Tensor, tolerance: float) -> tuple[Tensor, Tensor] | None:
    """Return column and row of a kernel of rank one, else None."""
    u, s, vh = torch.linalg.svd(kernel, full_matrices=False)
    if len(s) > 1 and float(s[1]) > tolerance * float(s[0]):
        return None
    root = s[0].sqrt()
    column, row = root * u[:, 0], root * vh[0]
    if column.shape == row.shape:
        # Equal lines give one matrix for both axes.
        same = column if torch.dot(column, row) > 0 else -column
        row = same if torch.allclose(same, row, rtol=0, atol=1e-15) else row
    return column, row


def _symmetric(kernel: Tensor, tolerance: float) -> bool:
    if kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0:
        return False
    largest = float(kernel.abs().max())
    return all(
        float((kernel - kernel.flip(axis)).abs().max()) <= tolerance * largest for axis in (0, 1)
    )
