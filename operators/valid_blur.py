"""A blur that is measured only where its kernel fits into the picture, by FFT."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.convolution import fast_length
from operators.space import COMPLEX_TYPES, Space
from operators.svd import per_image
from operators.valid_border import Border


class ValidConvolution(LinearOperator):
    """Any kernel where it fits into the picture, `[C, H, W]` to `[C, H − kh + 1, W − kw + 1]`.

    Matrix-free, by FFT on a torus of which the picture is the corner; it has no fast SVD.

    Attributes:
        torus: Rows and columns of the torus.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        kernel: Tensor,
        dtype: torch.dtype,
        device: str | torch.device,
    ) -> None:
        channels, *sides = shape
        taps = kernel.shape
        output = (channels, sides[0] - taps[0] + 1, sides[1] - taps[1] + 1)
        super().__init__(Space(shape, dtype), Space(output, dtype))
        self.torus = (fast_length(sides[0]), fast_length(sides[1]))
        # On the torus K x begins with the border, where it is not measured.
        above, before = (length - side for length, side in zip(self.torus, sides, strict=True))
        self._border = (above + taps[0] - 1, before + taps[1] - 1)
        placed = torch.zeros(self.torus, dtype=torch.float64, device="cpu")
        rows = (above + torch.arange(taps[0], device="cpu")) % self.torus[0]
        columns = (before + torch.arange(taps[1], device="cpu")) % self.torus[1]
        placed[rows[:, None], columns] = kernel.cpu().double()
        complex_type = COMPLEX_TYPES[self.domain.real_dtype]
        self._kernel = torch.fft.rfft2(placed).to(device=device, dtype=complex_type)

    def _apply(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(x, s=self.torus) * self._kernel
        blurred: Tensor = torch.fft.irfft2(spectrum, s=self.torus)
        height, width = self.codomain.shape[1:]
        above, before = self._border
        return blurred.narrow(-2, above, height).narrow(-1, before, width)

    def _adjoint(self, y: Tensor) -> Tensor:
        x: Tensor = torch.fft.irfft2(self._measured(y) * self._kernel.conj(), s=self.torus)
        height, width = self.domain.shape[1:]
        return x.narrow(-2, 0, height).narrow(-1, 0, width)

    def _measured(self, y: Tensor) -> Tensor:
        """The half spectrum of Mᴴy."""
        above, before = self._border
        spectrum: Tensor = torch.fft.rfft2(torch.nn.functional.pad(y, (before, 0, above, 0)))
        return spectrum

    def norm(self) -> Tensor:
        """Return max |k̂|, which is above ‖A‖ by the border's share."""
        largest: Tensor = self._kernel.abs().amax()
        return largest.reshape((1,) * self.domain.ndim)

    def solve_normal(
        self,
        b: Tensor,
        rho: float | Tensor,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Tensor:
        """Return (AᴴA + ρI)⁻¹ b of a real b, for ρ > 0, by `solve_filtered`."""
        damping = per_image(rho, self.domain.ndim)
        return self.solve_filtered(b, damping, tolerance=tolerance, max_iterations=max_iterations)

    def solve_filtered(
        self,
        b: Tensor,
        damping: float | Tensor,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
        watched: bool | None = None,
    ) -> Tensor:
        """Return x of least xᴴAᴴAx + zᴴDz − 2 bᴴx, z being x continued to the torus.

        For D = ρI the continuation is 0, so that x is (AᴴA + ρI)⁻¹ b.

        Args:
            b: `[*batch, C, H, W]`.
            damping: d of D = F⁻¹dF, a number or of a shape that broadcasts to
                `[*batch, 1, N, M//2 + 1]`, where (N, M) is `torus`.
            tolerance: As in `solve_normal`, for the preconditioned residual.
            max_iterations: As in `solve_normal`.
            watched: As in `conjugate_gradient`.

        Raises:
            ConvergenceError: Where it is watched, if conjugate gradients miss the tolerance.
        """

        def spectrum(channel: Tensor) -> Tensor:
            out: Tensor = torch.fft.rfft2(channel, s=self.torus)
            return out

        return self._solved(spectrum, b, damping, tolerance, max_iterations, watched)

    def damped_pinv(
        self,
        y: Tensor,
        rho: float | Tensor,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Tensor:
        """Return (AᴴA + ρI)⁻¹Aᴴ y, as `solve_normal` of Aᴴy with half of the transforms."""

        def spectrum(channel: Tensor) -> Tensor:
            return self._measured(channel).mul_(self._kernel.conj())

        damping = per_image(rho, self.domain.ndim)
        return self._solved(spectrum, y, damping, tolerance, max_iterations)

    def _solved(
        self,
        spectrum: Callable[[Tensor], Tensor],
        arrays: Tensor,
        damping: float | Tensor,
        tolerance: float | None,
        max_iterations: int | None,
        watched: bool | None = None,
    ) -> Tensor:
        """(AᴴA + D)⁻¹ b, image by image, from what b's spectra are made of."""
        batch, kernel = arrays.shape[:-3], self._kernel
        if arrays.numel() == 0:
            return arrays.new_zeros(*batch, *self.domain.shape)
        filters = torch.as_tensor(damping, dtype=arrays.dtype, device=arrays.device)
        filters = filters.expand(*batch, 1, *kernel.shape).reshape(-1, *kernel.shape)
        images = arrays.reshape(-1, *arrays.shape[-3:])
        solved = [
            Border(kernel, one, self.torus, self._border).solve(
                [spectrum(channel) for channel in image.unbind(0)],
                name=f"solve_normal of {self.name}",
                tolerance=tolerance,
                max_iterations=max_iterations,
                watched=watched,
            )
            for image, one in zip(images.unbind(0), filters.unbind(0), strict=True)
        ]
        height, width = self.domain.shape[1:]
        whole = solved[0].unsqueeze(0) if len(solved) == 1 else torch.stack(solved)
        x = whole.narrow(-2, 0, height).narrow(-1, 0, width)
        return x.reshape(*batch, *self.domain.shape)
