"""Non-Cartesian MRI: k-space along any trajectory, by finufft (cufinufft on CUDA)."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.convolution import fast_length
from operators.fourier import complex_space
from operators.linear_function import transformed
from operators.space import ShapeError, Space, double_home, shape_text

# What the type of the numbers can hold.
_ACCURACY = {torch.complex64: 1e-6, torch.complex128: 1e-13}
_DENSITY_ITERATIONS = 20


class NonCartesianMRI(LinearOperator):
    """y_cj = (HW)^-½ Σ_n S_cn x_n exp(−2πi k_j·n): samples of k-space at any places.

    n counts from the middle of the image, (H // 2, W // 2). There is no fast SVD. AᴴA is a
    convolution of every coil image, by FFT, which takes the same time for any number of samples.

    Args:
        trajectory: k, `[samples, 2]` in cycles per pixel, (along rows' index, along columns'
            index), each within ±0.5.
        shape: Shape of x without batch, `(1, H, W)`.
        coil_maps: Sensitivities `[coils, H, W]`, or for each image of a batch `[B, coils, H, W]`;
            None for one coil that sees all alike.
        dtype: `complex64` or `complex128`.
        device: Device of trajectory and maps.

    y is `[*batch, coils, samples]`.

    Raises:
        ImportError: On use, without the package finufft (cufinufft on CUDA).
        ShapeError: If trajectory, shape and maps do not fit.
        ValueError: If the trajectory leaves ±0.5.
        TypeError: If the type is real.

    Source: Barnett, Magland, af Klinteberg, "A parallel nonuniform fast Fourier transform library
    based on an exponential of semicircle kernel", 2019; for AᴴA Fessler, Lee, Olafsson, Shi, Noll,
    "Toeplitz-based iterative image reconstruction for MRI with correction for magnetic field
    inhomogeneity", 2005.
    """

    _real_matrix: ClassVar[bool] = False

    def __init__(
        self,
        trajectory: Tensor,
        shape: tuple[int, ...],
        coil_maps: Tensor | None = None,
        *,
        dtype: torch.dtype = torch.complex64,
        device: str | torch.device = "cpu",
    ) -> None:
        space = complex_space("NonCartesianMRI", shape, dtype)
        places = torch.as_tensor(trajectory)
        if places.ndim != 2 or places.shape[1] != 2 or len(space.shape) != 3 or space.shape[0] != 1:
            raise ShapeError(
                f"NonCartesianMRI: the trajectory is {shape_text(places.shape)}, the shape {space};"
                " they must be [samples, 2] and [1, H, W]"
            )
        if not bool((places.abs() <= 0.5).all()):
            raise ValueError("NonCartesianMRI: the trajectory is in cycles per pixel, within ±0.5")
        ones = torch.ones(1, *space.shape[1:], device="cpu")
        maps = ones if coil_maps is None else torch.as_tensor(coil_maps)
        if maps.ndim not in (3, 4) or maps.shape[-2:] != space.shape[1:]:
            size = f"{space.shape[1]}, {space.shape[2]}"
            raise ShapeError(
                f"NonCartesianMRI: the coil maps are {shape_text(maps.shape)}; "
                f"they must be [coils, {size}] or [B, coils, {size}]"
            )
        super().__init__(space, Space((maps.shape[-3], places.shape[0]), dtype))
        self._trajectory = places.to(device=device, dtype=space.real_dtype, copy=True)
        self._maps = maps.to(device=device, dtype=dtype, copy=True)
        self._plans = Plans()

    @property
    def trajectory(self) -> Tensor:
        """The places of the samples `[samples, 2]`, in cycles per pixel."""
        return self._trajectory

    @property
    def coil_maps(self) -> Tensor:
        """The sensitivities `[*batch, coils, H, W]`."""
        return self._maps

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """() unless every image has maps of its own."""
        return self._maps.shape[:-3]

    def _take(self, index: Tensor) -> LinearOperator:
        new = object.__new__(NonCartesianMRI)
        new.__dict__.update(self.__dict__, _maps=self._maps.index_select(0, index))
        return new

    def _apply(self, x: Tensor) -> Tensor:
        images = (self._maps * x).flatten(0, -3)
        samples = transformed(images, self, adjoint=False)
        return samples.reshape(*x.shape[:-3], *self.codomain.shape)

    def _adjoint(self, y: Tensor) -> Tensor:
        images = transformed(y.flatten(0, -2), self, adjoint=True)
        images = images.reshape(*y.shape[:-2], *self._maps.shape[-3:])
        return (self._maps.conj() * images).sum(-3, keepdim=True)

    def _normal(self, x: Tensor) -> Tensor:
        height, width = self.domain.shape[1:]
        spectrum = self._plans.spectrum(self._trajectory, x.dtype, (height, width))
        rows, columns = spectrum.shape
        out = torch.zeros_like(x)
        # Coil by coil: all at once would be four times their images.
        for coil in self._maps.unsqueeze(-3).unbind(-4):
            around = torch.fft.fft(torch.fft.fft(coil * x, columns), rows, dim=-2)
            seen = torch.fft.ifft(spectrum * around, dim=-2).narrow(-2, 0, height)
            out = out + coil.conj() * torch.fft.ifft(seen).narrow(-1, 0, width)
        return out

    def transform(self, values: Tensor, *, adjoint: bool) -> Tensor:
        """The scaled transform of images `[N, H, W]`, or its adjoint on samples `[N, samples]`."""
        height, width = self.domain.shape[1:]
        out = self._plans.run(self._trajectory, values, (height, width), adjoint=adjoint)
        scaled: Tensor = out / (height * width) ** 0.5
        return scaled


class Plans:
    """finufft's plans of one trajectory, made at first use; a pickle leaves them behind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Any, Any] = {}

    def __reduce__(self) -> tuple[type[Plans], tuple[()]]:
        return Plans, ()

    def spectrum(self, trajectory: Tensor, dtype: torch.dtype, size: tuple[int, int]) -> Tensor:
        """The eigenvalues of AᴴA of one coil on a torus of at least twice the size.

        Its kernel is (HW)⁻¹ Σ_j exp(2πi k_j·n), for the differences n of two pixels.
        """
        with self._lock, torch.inference_mode(False):
            key = (trajectory.device, dtype)
            if key not in self._kept:
                self._kept[key] = _spectrum(trajectory, size, dtype.to_real())
            spectrum: Tensor = self._kept[key]
            return spectrum

    def run(
        self, trajectory: Tensor, values: Tensor, size: tuple[int, int], *, adjoint: bool
    ) -> Tensor:
        """Σ exp(∓2πi k·n) over pixels [N, H, W], or over samples [N, M], image by image."""
        # A plan has work space of its own, so that two threads must not run it at once.
        with self._lock:
            key = (trajectory.device, values.dtype, adjoint)
            if key not in self._kept:
                self._kept[key] = _plan(trajectory, values.dtype, size, adjoint=adjoint)
            plan = self._kept[key]
            if values.device.type == "cuda":
                return torch.stack([plan.execute(value.contiguous()) for value in values])
            arrays = values.detach().cpu().resolve_conj().resolve_neg().contiguous().numpy()
            results = np.stack([plan.execute(array) for array in arrays])
            return torch.from_numpy(results).to(values.device)


def _plan(trajectory: Tensor, dtype: torch.dtype, size: tuple[int, int], *, adjoint: bool) -> Any:
    angle = (2 * torch.pi * trajectory).contiguous()
    rows, columns = angle.select(1, 0).contiguous(), angle.select(1, 1).contiguous()
    name = "complex64" if dtype == torch.complex64 else "complex128"
    kind, sign = (1, 1) if adjoint else (2, -1)
    if trajectory.device.type == "cuda":
        import cufinufft

        plan = cufinufft.Plan(kind, size, eps=_ACCURACY[dtype], isign=sign, dtype=name)
        plan.setpts(rows, columns)
        return plan
    import finufft

    # One thread: with several, the order of the sums, and so the last bit, is left to chance.
    plan = finufft.Plan(kind, size, eps=_ACCURACY[dtype], isign=sign, dtype=name, nthreads=1)
    plan.setpts(*(part.detach().cpu().numpy() for part in (rows, columns)))
    return plan


def _spectrum(trajectory: Tensor, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """What `Plans.spectrum` keeps, computed in double precision."""
    twice = (2 * size[0], 2 * size[1])
    places = trajectory.to(double_home(trajectory.device)).double()
    ones = torch.ones(1, len(places), dtype=torch.complex128, device=places.device)
    kernel = Plans().run(places, ones, twice, adjoint=True)[0] / (size[0] * size[1])
    torus = ones.new_zeros([fast_length(side) for side in twice])
    torus[: twice[0], : twice[1]] = kernel
    # Of differences -H ≤ n < H. Only -H, which no two pixels have, adds an imaginary part.
    spectrum: Tensor = torch.fft.fft2(torus.roll((-size[0], -size[1]), (0, 1))).real
    return spectrum.to(dtype).to(trajectory.device)


def density_compensation(trajectory: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return weights w `[samples]` with which Aᴴ(w·y) is an image without blur.

    w ← w / (G w), twenty times, where G_ij = sinc²(H Δk₁) sinc²(W Δk₂) says how much of sample j
    sample i sees: the transform of a triangle over twice the field of view, so it is never
    negative; scaled so that Aᴴ diag(w) A keeps the size of a smooth image.

    Args:
        trajectory: `[samples, 2]` in cycles per pixel.
        shape: Of the image, `(1, H, W)`.

    Source: Pipe, Menon, "Sampling density compensation in MRI: rationale and an iterative
    numerical solution", 1999.
    """
    height, width = shape[-2:]
    device = trajectory.device
    A = NonCartesianMRI(trajectory, (1, 2 * height, 2 * width), device=device)
    triangle = _triangle(2 * height, device)[:, None] * _triangle(2 * width, device)
    weights = torch.ones(1, trajectory.shape[0], dtype=torch.complex64, device=device)
    for _ in range(_DENSITY_ITERATIONS):
        weights = weights / A(triangle * A.adjoint(weights)).abs().clamp_min(1e-12)
    density: Tensor = weights[0].abs()
    # A smooth image is to keep its size.
    smooth = (_triangle(height, device)[:, None] * _triangle(width, device)).square()
    image = smooth[None].to(torch.complex64)
    seen = NonCartesianMRI(trajectory, shape, device=device)(image)
    return density * (image.abs().square().sum() / (density * seen.abs().square()).sum())


def _triangle(side: int, device: torch.device) -> Tensor:
    return 1 - (2 * torch.arange(side, device=device) / side - 1).abs()
