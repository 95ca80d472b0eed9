"""The linear part of JPEG: colours, chroma decimation, 8×8 cosines, division by the tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.blockwise import Blockwise
from operators.jpeg_planes import (
    BLOCK,
    YCBCR,
    cosine_matrix,
    decimate,
    decimate_transposed,
    enlarge,
    enlarge_transposed,
    from_blocks,
    split,
    to_blocks,
)
from operators.space import ShapeError, Space, picture_shape
from operators.svd import ThinSVD

Factors = tuple[tuple[int, int], ...]

SAMPLINGS: dict[str, Factors] = {
    "4:4:4": ((1, 1), (1, 1), (1, 1)),
    "4:2:2": ((1, 2), (1, 1), (1, 1)),
    "4:4:0": ((2, 1), (1, 1), (1, 1)),
    "4:2:0": ((2, 2), (1, 1), (1, 1)),
}
"""Sampling factors (vertical, horizontal) of Y, Cb and Cr by their usual names."""


class Jpeg(LinearOperator):
    """y = A x: a picture in [0, 1] to the coefficients that JPEG rounds, without the level shift.

    RGB becomes Y, Cb, Cr (JFIF 1.02), chroma is averaged over rectangles of pixels, each component
    is padded to whole blocks as libjpeg does, transformed by 8×8 cosines, and divided by its table:
    a file's integers are y minus the shift of `level_shift`, rounded. `decoder` is the way back.

    A is block-diagonal over the MCUs (8×8 pixels, 16×16 in 4:2:0), of which there are at most four
    kinds, in the inside, at the two padded borders and in the corner. So it has an exact SVD with
    one small dense one for each kind, whatever the size, the sampling and the tables.

    Args:
        shape: `(3, H, W)`, or `(1, H, W)` for greyscale; any size.
        sampling: "4:4:4", "4:2:2", "4:4:0", "4:2:0", or the factors (vertical, horizontal) of each
            component.
        tables: Divisors `[components, 8, 8]` in grey levels of 0 to 255, vertical frequency first;
            None divides by nothing and leaves the orthonormal coefficients of samples in [0, 1].
        colour: "ycc", or "rgb" for files that store red, green and blue as they are.
        dtype: Number type of x and y.
        device: Device of the matrices.

    Raises:
        ShapeError: If the shape is no picture of one or three channels.
        ValueError: If the sampling or the tables do not fit.

    Source: ITU-T T.81; the padding and the averaging of libjpeg (jcsample.c, jcprepct.c).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        sampling: str | Sequence[tuple[int, int]] = "4:2:0",
        tables: Tensor | None = None,
        *,
        colour: Literal["ycc", "rgb"] = "ycc",
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        channels, height, width = picture_shape("Jpeg", shape)
        if channels not in (1, 3):
            raise ShapeError(f"Jpeg: the shape is {list(shape)}; it must have 1 or 3 channels")
        self.factors = ((1, 1),) if channels == 1 else _factors(sampling)
        most = [max(factor[axis] for factor in self.factors) for axis in (0, 1)]
        self.colour = colour
        self.mcu = (BLOCK * most[0], BLOCK * most[1])
        self.steps = tuple((most[0] // v, most[1] // h) for v, h in self.factors)
        self.sizes = tuple((math.ceil(height / v), math.ceil(width / h)) for v, h in self.steps)
        self._padded = tuple((_up(rows), _up(columns)) for rows, columns in self.sizes)
        self._counts = tuple(rows * columns // BLOCK**2 for rows, columns in self._padded)
        super().__init__(Space(shape, dtype), Space((sum(self._counts), BLOCK, BLOCK), dtype))
        if tables is None:
            scale = torch.ones(channels, BLOCK, BLOCK, dtype=torch.float64)
        elif tables.shape != (channels, BLOCK, BLOCK) or not bool((tables > 0).all()):
            raise ValueError(
                f"Jpeg: the tables are {list(tables.shape)}; expected {[channels, BLOCK, BLOCK]} "
                "of positive divisors"
            )
        else:
            scale = 255 / tables.double().cpu()
        real = self.domain.real_dtype
        self._scale = scale.to(device=device, dtype=real)
        self._cosines = cosine_matrix().to(device=device, dtype=real)
        self._colours = torch.tensor(YCBCR, dtype=torch.float64).to(device=device, dtype=real)
        self._inverse_colours = (
            torch.tensor(YCBCR, dtype=torch.float64).inverse().to(device=device, dtype=real)
        )

    @property
    def decoder(self) -> LinearOperator:
        """The decoder's linear map H† from y to a picture, with smooth chroma (`JpegDecoder`)."""
        return JpegDecoder(self)

    def part(self, rows: slice, columns: slice) -> tuple[Jpeg, Tensor]:
        """Return the operator of some MCUs alone, and which blocks of y are theirs.

        Args:
            rows: Pixels, from a multiple of the MCU to another or to the border.
            columns: Likewise.
        """
        shape = (self.domain.shape[0], rows.stop - rows.start, columns.stop - columns.start)
        small = Jpeg(
            shape, self.factors, colour=self.colour, dtype=self.domain.dtype, device=self.device
        )
        small.__dict__["_scale"] = self._scale
        indices, first = [], 0
        for step, padded, count in zip(self.steps, self._padded, self._counts, strict=True):
            grid = torch.arange(first, first + count, device=self.device)
            grid = grid.reshape(padded[0] // BLOCK, padded[1] // BLOCK)
            down, across = (
                slice(side.start // (BLOCK * size), math.ceil(side.stop / (BLOCK * size)))
                for side, size in zip((rows, columns), step, strict=True)
            )
            indices.append(grid[down, across].flatten())
            first += count
        return small, torch.cat(indices)

    def level_shift(self) -> Tensor:
        """Return A of what JPEG takes off before its cosines: y of a file is its integers plus it.

        It is 128 grey levels in every component that is not a colour difference, `[blocks, 8, 8]`.
        """
        grey = torch.full(self.domain.shape, 128 / 255, dtype=self.domain.dtype, device=self.device)
        return self(grey)

    def row_norms(self, *, of_components: bool = False) -> Tensor:
        """Return the norms of the rows of A, `[blocks, 8, 8]`, where nothing is padded.

        Times the standard deviation of independent errors of the pixels: that of y. With
        `of_components` the errors are those of Y, Cb and Cr at every pixel.
        """
        weights = self._scale.new_ones(len(self.steps))
        if self.converts and not of_components:
            weights = torch.linalg.vector_norm(self._colours, dim=1)
        area = zip(self.steps, weights.unbind(0), strict=True)
        factors = [weight / math.sqrt(step[0] * step[1]) for step, weight in area]
        parts = zip(factors, self._scale.unbind(0), self._counts, strict=True)
        return torch.cat([(f * scale).expand(n, BLOCK, BLOCK) for f, scale, n in parts])

    # --- from y to samples of components and from those to a picture -----------------------------

    def samples(self, y: Tensor) -> tuple[Tensor, ...]:
        """Return the samples of each component `[..., rows, columns]`, of y by inverse cosines."""
        planes = []
        for part, scale, padded, size in zip(
            torch.split(y, list(self._counts), -3),
            self._scale.unbind(0),
            self._padded,
            self.sizes,
            strict=True,
        ):
            blocks = self._cosines.mT @ (part / scale) @ self._cosines
            plane = from_blocks(blocks, padded)
            planes.append(plane.narrow(-2, 0, size[0]).narrow(-1, 0, size[1]))
        return tuple(planes)

    def enlarged(self, samples: Sequence[Tensor]) -> Tensor:
        """Return the components in the size of the picture, chroma enlarged as by libjpeg."""
        height, width = self.domain.shape[1:]
        planes = [enlarge(plane, step) for plane, step in zip(samples, self.steps, strict=True)]
        return torch.stack([p.narrow(-2, 0, height).narrow(-1, 0, width) for p in planes], -3)

    def coloured(self, components: Tensor) -> Tensor:
        """Return the picture of components in its size."""
        return _mix(self._inverse_colours, components) if self.converts else components

    @property
    def converts(self) -> bool:
        """Whether RGB becomes Y, Cb, Cr."""
        return len(self.factors) == 3 and self.colour == "ycc"

    # --- the operator ----------------------------------------------------------------------------

    def _apply(self, x: Tensor) -> Tensor:
        x = _mix(self._colours, x) if self.converts else x
        parts = []
        for plane, step, padded, scale in zip(
            x.unbind(-3), self.steps, self._padded, self._scale.unbind(0), strict=True
        ):
            blocks = to_blocks(decimate(plane, step, padded))
            parts.append(scale * (self._cosines @ blocks @ self._cosines.mT))
        return torch.cat(parts, -3)

    def _adjoint(self, y: Tensor) -> Tensor:
        planes = []
        for part, step, padded, scale in zip(
            torch.split(y, list(self._counts), -3),
            self.steps,
            self._padded,
            self._scale.unbind(0),
            strict=True,
        ):
            blocks = self._cosines.mT @ (scale * part) @ self._cosines
            size = (self.domain.shape[1], self.domain.shape[2])
            planes.append(decimate_transposed(from_blocks(blocks, padded), step, size))
        x = torch.stack(planes, -3)
        return _mix(self._colours.mT, x) if self.converts else x

    def _factorise(self) -> ThinSVD:
        pixels = torch.arange(self.domain.numel).reshape(self.domain.shape).movedim(0, -1)
        blocks = torch.arange(sum(self._counts) * BLOCK**2).reshape(-1, BLOCK**2)
        grids = [
            part.reshape(padded[0] // BLOCK, padded[1] // BLOCK, BLOCK**2)
            for part, padded in zip(
                torch.split(blocks, list(self._counts)), self._padded, strict=True
            )
        ]
        inputs, outputs, lefts, values, rights = [], [], [], [], []
        for top, height in _spans(self.domain.shape[1], self.mcu[0]):
            for left, width in _spans(self.domain.shape[2], self.mcu[1]):
                small = self._of_size(min(height, self.mcu[0]), min(width, self.mcu[1]))
                u, s, vh = torch.linalg.svd(small._dense(), full_matrices=False)
                region = pixels[top : top + height, left : left + width]
                inputs.append(_tiles(region, *small.domain.shape[1:]))
                outputs.append(self._block_groups(grids, top, height, left, width, small))
                lefts.append(u)
                values.append(s.expand(len(inputs[-1]), -1).flatten())
                rights.append(vh.mT)
        dtype, device = self.domain.dtype, self.device
        return ThinSVD(
            Blockwise(self.codomain.shape, outputs, lefts, dtype=dtype, device=device),
            torch.cat(values).to(self._scale),
            Blockwise(self.domain.shape, inputs, rights, dtype=dtype, device=device),
        )

    def _of_size(self, height: int, width: int) -> Jpeg:
        tables = 255 / self._scale.double().cpu()
        shape = (self.domain.shape[0], height, width)
        small = Jpeg(shape, self.factors, tables, colour=self.colour, dtype=torch.float64)
        # Not the exact matrices, but those that this operator multiplies by.
        for name in ("_cosines", "_colours"):
            small.__dict__[name] = self.__dict__[name].double().cpu()
        return small

    def _dense(self) -> Tensor:
        """The matrix, its columns pixel by pixel with the channels of a pixel together."""
        channels, height, width = self.domain.shape
        unit = torch.eye(self.domain.numel, dtype=self.domain.dtype)
        unit = unit.reshape(-1, height, width, channels).movedim(-1, 1)
        return self(unit).flatten(1).mT

    def _block_groups(
        self, grids: Sequence[Tensor], top: int, height: int, left: int, width: int, small: Jpeg
    ) -> Tensor:
        """Return the indices of the blocks of each MCU of a region, `[number, rows of one MCU]`."""
        groups = []
        for grid, step, padded in zip(grids, self.steps, small._padded, strict=True):
            of_mcu = (padded[0] // BLOCK, padded[1] // BLOCK)
            first = (top // (BLOCK * step[0]), left // (BLOCK * step[1]))
            rows = max(1, height // self.mcu[0]) * of_mcu[0]
            columns = max(1, width // self.mcu[1]) * of_mcu[1]
            part = grid[first[0] : first[0] + rows, first[1] : first[1] + columns]
            groups.append(_tiles(part, *of_mcu))
        return torch.cat(groups, 1)

    def _decoder_adjoint(self, x: Tensor) -> Tensor:
        """The transpose of `coloured` of `enlarged` of `samples`."""
        x = _mix(self._inverse_colours.mT, x) if self.converts else x
        parts = []
        for plane, step, size, padded, scale in zip(
            x.unbind(-3), self.steps, self.sizes, self._padded, self._scale.unbind(0), strict=True
        ):
            full = _zero_padded(plane, (size[0] * step[0], size[1] * step[1]))
            samples = _zero_padded(enlarge_transposed(full, step), padded)
            parts.append(self._cosines @ to_blocks(samples) @ self._cosines.mT / scale)
        return torch.cat(parts, -3)


class JpegDecoder(LinearOperator):
    """x = H† y: the picture that libjpeg decodes, apart from its level shift and roundings.

    It is no inverse of `Jpeg` where chroma is decimated: it interpolates chroma by a triangle
    filter, so that encoding the picture again gives other coefficients.
    """

    def __init__(self, encoder: Jpeg) -> None:
        super().__init__(encoder.codomain, encoder.domain)
        self._encoder = encoder

    def _apply(self, x: Tensor) -> Tensor:
        return self._encoder.coloured(self._encoder.enlarged(self._encoder.samples(x)))

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._encoder._decoder_adjoint(y)


def _factors(sampling: str | Sequence[tuple[int, int]]) -> Factors:
    if isinstance(sampling, str):
        if sampling not in SAMPLINGS:
            raise ValueError(f"Jpeg: sampling {sampling!r}; it is one of {', '.join(SAMPLINGS)}")
        return SAMPLINGS[sampling]
    factors = tuple((int(v), int(h)) for v, h in sampling)
    whole = len(factors) == 3 and all(
        factor[axis] > 0 and max(f[axis] for f in factors) % factor[axis] == 0
        for factor in factors
        for axis in (0, 1)
    )
    if not whole:
        raise ValueError(
            f"Jpeg: the sampling factors are {factors}; expected three that divide the largest"
        )
    return factors


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply the channels of `[..., 3, H, W]` by a matrix."""
    return (matrix @ x.flatten(-2)).reshape(x.shape)


def _up(size: int) -> int:
    return BLOCK * math.ceil(size / BLOCK)


def _spans(size: int, step: int) -> list[tuple[int, int]]:
    """Start and length of the whole steps of a side, and of what is left."""
    whole = size // step * step
    return [(start, length) for start, length in ((0, whole), (whole, size - whole)) if length]


def _tiles(grid: Tensor, rows: int, columns: int) -> Tensor:
    """Return `[R, C, K]` cut into tiles, `[number, rows·columns·K]`."""
    x = split(split(grid, 1, (-1, columns)), 0, (-1, rows))
    return x.permute(0, 2, 1, 3, 4).flatten(0, 1).flatten(1)


def _zero_padded(plane: Tensor, size: tuple[int, int]) -> Tensor:
    rows, columns = size[0] - plane.shape[-2], size[1] - plane.shape[-1]
    return torch.nn.functional.pad(plane, (0, columns, 0, rows))
