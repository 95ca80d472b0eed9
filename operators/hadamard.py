"""Compressed sensing with a Walsh-Hadamard matrix."""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.identity import Identity
from operators.space import Space, picture_shape, shape_text
from operators.svd import ThinSVD
from operators.transforms import walsh_hadamard


class Hadamard(LinearOperator):
    """y = S W x: some of the Walsh-Hadamard coefficients of each channel, `[C, H, W]` to `[C, m]`.

    W is the orthonormal Hadamard matrix in natural order over the pixels taken row by row
    (`scipy.linalg.hadamard(n)/√n`). Where n = H·W is not a power of two, the pixels are cut into
    runs whose lengths are the powers of two that add up to n, longest first, and each run has its
    own Hadamard matrix; W stays orthogonal, so the SVD is exact for every size: s = 1, V = WᵀSᵀ.
    (Padding n to a power of two would lose that.)

    Args:
        shape: `(C, H, W)`.
        ratio: Part of the coefficients that is measured, in (0, 1]; they are drawn at random by
            `seed`, after the sum of each run.
        seed: Seed of the draw.
        keep: The coefficients to measure, different integers in 0 … n − 1, instead of a ratio.
        dtype: Number type of x and y.
        device: Device of the index.

    Raises:
        ShapeError: If the shape is not `[channels, height, width]`.
        ValueError: If not exactly one of ratio and keep is given, the ratio is not in (0, 1], or
            keep has values out of range or twice.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        ratio: float | None = None,
        seed: int = 0,
        *,
        keep: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        channels, height, width = picture_shape("Hadamard", shape)
        pixels = height * width
        self._runs = tuple(
            1 << bit for bit in reversed(range(pixels.bit_length())) if pixels >> bit & 1
        )
        if (ratio is None) == (keep is None):
            raise ValueError("Hadamard: give either a ratio or the coefficients to keep")
        if keep is None:
            assert ratio is not None
            if not 0 < ratio <= 1:
                raise ValueError(f"Hadamard: the ratio is {ratio}; it must be in (0, 1]")
            keep = _drawn(self._runs, max(1, round(ratio * pixels)), seed)
        keep = torch.as_tensor(keep).to("cpu", torch.int64, copy=True)
        if keep.ndim != 1 or not keep.numel():
            raise ValueError(
                f"Hadamard: keep is {shape_text(keep.shape)}; it must be a list of indices"
            )
        if int(keep.min()) < 0 or int(keep.max()) >= pixels or len(torch.unique(keep)) != len(keep):
            raise ValueError(f"Hadamard: keep must be different integers in 0 … {pixels - 1}")
        super().__init__(Space(shape, dtype), Space((channels, len(keep)), dtype))
        self._keep = keep.to(device)

    @property
    def keep(self) -> Tensor:
        """Indices of the measured coefficients, `[m]`."""
        return self._keep

    @property
    def _isometry(self) -> float | None:
        return 1.0 if self.codomain.numel == self.domain.numel else None

    @property
    def _coisometry(self) -> float | None:
        return 1.0

    def _transform(self, x: Tensor) -> Tensor:
        if len(self._runs) == 1:
            return walsh_hadamard(x)
        return torch.cat([walsh_hadamard(run) for run in torch.split(x, list(self._runs), -1)], -1)

    def _apply(self, x: Tensor) -> Tensor:
        # On the CPU `index_select` along the last axis takes nine times as long.
        coefficients = self._transform(x.flatten(-2))
        return coefficients.gather(-1, self._keep.expand(*coefficients.shape[:-1], -1))

    def _adjoint(self, y: Tensor) -> Tensor:
        _, height, width = self.domain.shape
        coefficients = y.new_zeros(*y.shape[:-1], height * width)
        coefficients = coefficients.index_copy(-1, self._keep, y)
        return self._transform(coefficients).reshape(*y.shape[:-1], height, width)

    def _with_channels(self, channels: int) -> LinearOperator | None:
        shape = (channels, *self.domain.shape[1:])
        return Hadamard(shape, keep=self._keep, dtype=self.domain.dtype, device=self.device)

    def _factorise(self) -> ThinSVD:
        identity = Identity(self.codomain.shape, dtype=self.domain.dtype, device=self.device)
        # A copy, since an operator that holds itself is freed late.
        return ThinSVD(identity, identity.svd().singular_values, copy(self).H)


def _drawn(runs: tuple[int, ...], count: int, seed: int) -> Tensor:
    """Return the first coefficient of each run, then others drawn without repetition; sorted."""
    lengths = torch.tensor(runs, device="cpu")
    first = lengths.cumsum(0) - lengths
    order = torch.randperm(sum(runs), generator=torch.Generator().manual_seed(seed), device="cpu")
    rest = order[~torch.isin(order, first)]
    return torch.cat([first, rest])[:count].sort().values
