"""Parallel MRI: coil images, and the exact SVD of line sampling by small matrices."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.fourier import centred_fft, centred_ifft, complex_space
from operators.mask import Mask
from operators.sense_svd import LineSamples, LineTransform, line_factors
from operators.space import ShapeError, Space, double_home, shape_text
from operators.svd import INSTEAD, NoFastSVD, ThinSVD


class SenseMRI(LinearOperator):
    """y_c = m·F(Σ_j S_jc x_j): k-space of every coil, zero where it was not sampled.

    With a mask of whole lines the problem separates over the readout. A Fourier transform along
    the lines turns y into one small system for each position on them, with a matrix of
    (coils · kept lines) × (sets · lines), whose SVD is taken once. Any other mask has no fast SVD.

    Args:
        coil_maps: Sensitivities S, `[coils, H, W]`, or `[sets, coils, H, W]` where an image folds
            (ESPIRiT with two sets), or one for each image of a batch, `[B, sets, coils, H, W]`.
        mask: Zeros and ones: `[H, W]`, `[1, W]` or `[H, 1]` for lines, or `[B, 1, H, W]`.
            DC is at (H // 2, W // 2).
        dtype: `complex64` or `complex128`.
        device: Device of maps and mask.
        copy: Whether to keep maps of its own; without, those that are given must not change later.

    x is `[*batch, sets, H, W]`, y `[*batch, coils, H, W]`.

    Raises:
        ShapeError: If maps and mask do not fit.
        ValueError: If the mask has values other than 0 and 1.
        TypeError: If the type is real.

    Source: Pruessmann et al., "SENSE: sensitivity encoding for fast MRI", 1999.
    """

    _real_matrix: ClassVar[bool] = False

    def __init__(
        self,
        coil_maps: Tensor,
        mask: Tensor,
        *,
        dtype: torch.dtype = torch.complex64,
        device: str | torch.device = "cpu",
        copy: bool = True,
    ) -> None:
        maps = torch.as_tensor(coil_maps)
        if maps.ndim not in (3, 4, 5):
            raise ShapeError(
                f"SenseMRI: the coil maps are {shape_text(maps.shape)}; they must be "
                "[coils, H, W], [sets, coils, H, W] or [B, sets, coils, H, W]"
            )
        maps = maps[None] if maps.ndim == 3 else maps
        sets, coils, height, width = maps.shape[-4:]
        space = complex_space("SenseMRI", (sets, height, width), dtype)
        super().__init__(space, Space((coils, height, width), dtype))
        self._maps = maps.to(device=device, dtype=dtype, copy=copy)
        self._sampling = Mask(mask, self.codomain.shape, dtype=dtype, device=device)
        batches = {shape for shape in (maps.shape[:-4], self._sampling.batch_shape) if shape}
        if len(batches) > 1:
            raise ShapeError(
                f"SenseMRI: the coil maps are of a batch of {shape_text(maps.shape[:-4])}; "
                f"the masks are of {shape_text(self._sampling.batch_shape)}"
            )
        self._lines = _lines_of(self._sampled)

    @property
    def coil_maps(self) -> Tensor:
        """The sensitivities, `[*batch, sets, coils, H, W]`."""
        return self._maps

    @property
    def mask(self) -> Tensor:
        """The mask as numbers 0 and 1, `[*batch, 1, H, W]`, with sides of 1 where it repeats."""
        return self._sampling.mask

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """() unless every image has maps or a mask of its own."""
        return self._maps.shape[:-4] or self._sampling.batch_shape

    def _take(self, index: Tensor) -> LinearOperator:
        new = object.__new__(SenseMRI)
        kept = {key: value for key, value in self.__dict__.items() if key != "_svd"}
        maps = self._maps if self._maps.ndim == 4 else self._maps.index_select(0, index)
        new.__dict__.update(kept, _maps=maps, _sampling=self._sampling.take(index))
        if "_svd" in self.__dict__:
            new.__dict__["_svd"] = _taken(self.svd(), index)
        return new

    def _apply(self, x: Tensor) -> Tensor:
        return self._sampling(centred_fft((self._maps * x.unsqueeze(-3)).sum(-4)))

    def _adjoint(self, y: Tensor) -> Tensor:
        images = centred_ifft(self._sampling(y))
        return (self._maps.conj() * images.unsqueeze(-4)).sum(-3)

    @property
    def _sampled(self) -> Tensor:
        """The mask `[*batch, 1 or coils, H, W]`."""
        mask = self._sampling.mask
        return mask.expand(*mask.shape[:-2], *self.domain.shape[-2:])

    def _factorise(self) -> ThinSVD:
        if self._lines is None:
            raise NoFastSVD(
                f"SenseMRI: no fast SVD, since the mask is not one of whole lines, the same "
                f"for every coil. {INSTEAD}"
            )
        axis, kept = self._lines
        if not len(kept):
            raise NoFastSVD(f"SenseMRI: no SVD, since the mask keeps no line. {INSTEAD}")
        sets, coils = self._maps.shape[-4:-2]
        maps, sampled = self._maps, self._sampled
        if axis == 0:
            maps, sampled = maps.mT, sampled.mT
        readout, lines = maps.shape[-2:]
        # In double precision whatever the type: the factors are kept, their errors would be too.
        double, home = torch.complex128, double_home(maps.device)
        dft = centred_fft(torch.eye(lines, dtype=double, device=home), (-2,))
        dft = dft[kept.to(dft.device)]
        own = None
        if sampled.ndim > 3:  # a line of the union that an image has not
            own = sampled[..., 0, 0, kept.to(sampled.device)].to(home).to(double)
        u, s, v, rounding = line_factors(maps, dft, own)
        # Below that of the largest of an image rounding is all there is.
        unseen = s < rounding * s.amax((-2, -1), keepdim=True)
        # What is not observed has no direction in y; any will do, and zero is one that is harmless.
        u.masked_fill_(unseen.unsqueeze(-2), 0)
        s.masked_fill_(unseen, 0)
        right = LineTransform(v, (sets, readout, lines), axis)
        left = LineTransform(u, (coils, readout, len(kept)), axis)
        samples = LineSamples(self.codomain, kept.to(maps.device), axis)
        return ThinSVD(samples @ left, s, right)


def _taken(svd: ThinSVD, index: Tensor) -> ThinSVD:
    """The SVD of the images `index`."""
    right, left = svd.right, svd.left
    if not isinstance(right, LineTransform) or right.batch_shape in ((), (1,)):
        return svd
    return ThinSVD(left.take(index), svd.singular_values.index_select(0, index), right.take(index))


def _lines_of(mask: Tensor) -> tuple[int, Tensor] | None:
    """Which axis counts the lines of a mask (0 rows, 1 columns), and the lines that are kept.

    Of a batch of masks, the lines that any of them keeps. None if the lines are not whole, or not
    those of every coil.
    """
    kept = mask.bool().cpu()
    if not bool((kept == kept[..., :1, :, :]).all()):  # coils that were not sampled alike
        return None
    for axis, first in ((1, kept[..., :1, :]), (0, kept[..., :, :1])):
        if bool((kept == first).all()):
            flat = first.squeeze(-2 if axis == 1 else -1).reshape(-1, first.shape[1 - 3 + axis])
            return axis, flat.any(0).nonzero()[:, 0]
    return None
