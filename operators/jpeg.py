"""The linear part of JPEG: colours, chroma decimation, 8×8 cosines, division by the tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.blockwise import product
from operators.jpeg_planes import (
    BLOCK,
    YCBCR,
    Area,
    cosine_matrix,
    cut,
    decimate,
    decimate_transposed,
    enlarge,
    factors_of,
    from_blocks,
    from_tiles,
    mix,
    put,
    to_blocks,
    to_tiles,
)
from operators.space import ShapeError, Space, picture_shape
from operators.svd import ThinSVD

if TYPE_CHECKING:
    from operators.jpeg_mcu import JpegMcu

JpegKind = TypeVar("JpegKind", bound="Jpeg")
# Pixels that are worked on at once on a CPU, whose cache holds what becomes of them.
_BAND = 2**16


class Jpeg(LinearOperator):
    """y = A x: a picture in [0, 1] to the coefficients that JPEG rounds, without the level shift.

    RGB becomes Y, Cb, Cr (JFIF 1.02), chroma is averaged over rectangles of pixels, each component
    is padded to whole blocks as libjpeg does, transformed by 8×8 cosines, and divided by its table:
    a file's integers are y minus the shift of `level_shift`, rounded. `decoder` is the way back.

    A is block-diagonal over the MCUs (8×8 pixels, 16×16 in 4:2:0), of which there are at most four
    kinds, in the inside, at the two padded borders and in the corner. So it has an exact SVD with
    one small dense one for each kind, whatever the size, the sampling and the tables; and the
    whole MCUs are multiplied by one small matrix for each component (`JpegMcu`), band by band.

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
        channels = picture_shape("Jpeg", shape)[0]
        if channels not in (1, 3):
            raise ShapeError(f"Jpeg: the shape is {list(shape)}; it must have 1 or 3 channels")
        self.factors = ((1, 1),) if channels == 1 else factors_of(sampling)
        self.colour = colour
        self._lay_out(Space(shape, dtype))
        if tables is None:
            scale = torch.ones(channels, BLOCK, BLOCK, dtype=torch.float64, device="cpu")
        elif tables.shape != (channels, BLOCK, BLOCK) or not bool((tables > 0).all()):
            raise ValueError(
                f"Jpeg: the tables are {list(tables.shape)}; expected {[channels, BLOCK, BLOCK]} "
                "of positive divisors"
            )
        else:
            scale = 255 / tables.cpu().double()
        real = self.domain.real_dtype
        self._scale = scale.to(device=device, dtype=real)
        self._cosines = cosine_matrix().to(device=device, dtype=real)
        colours = torch.tensor(YCBCR, dtype=torch.float64, device="cpu")
        self._colours = colours.to(device=device, dtype=real)
        self._inverse_colours = colours.inverse().to(device=device, dtype=real)
        self._divide()

    def _lay_out(self, domain: Space) -> None:
        """Where the blocks of a picture are."""
        _, height, width = domain.shape
        most = [max(factor[axis] for factor in self.factors) for axis in (0, 1)]
        self.mcu = (BLOCK * most[0], BLOCK * most[1])
        self.steps = tuple((most[0] // v, most[1] // h) for v, h in self.factors)
        self.sizes = tuple((math.ceil(height / v), math.ceil(width / h)) for v, h in self.steps)
        self.padded = tuple((_up(rows), _up(columns)) for rows, columns in self.sizes)
        self._counts = tuple(rows * columns // BLOCK**2 for rows, columns in self.padded)
        LinearOperator.__init__(
            self, domain, Space((sum(self._counts), BLOCK, BLOCK), domain.dtype)
        )

    def _divide(self) -> None:
        """Into whole MCUs and what is left at the lower and at the right border."""
        from operators.jpeg_mcu import JpegMcu
        from operators.jpeg_svd import block_groups

        _, height, width = self.domain.shape
        rows, columns = height // self.mcu[0] * self.mcu[0], width // self.mcu[1] * self.mcu[1]
        if not rows or not columns:
            self._mcu: JpegMcu | None = None
            self.edges: tuple[Area, ...] = (((0, height), (0, width)),)
            return
        self._mcu = self._of(JpegMcu, *self.mcu)
        index = block_groups(self, self.block_grids(1), (0, rows), (0, columns), self._mcu)
        index = index.reshape(rows // self.mcu[0], columns // self.mcu[1], -1)
        self._mcu_blocks = index.to(self.device)
        # To the right before below, so that they can be put beside each other.
        areas: list[Area] = [
            ((0, rows), (columns, width - columns)),
            ((rows, height - rows), (0, width)),
        ]
        self.edges = tuple(area for area in areas if area[0][1] and area[1][1])
        parts = [self.part(*area) for area in self.edges]
        self._edges = tuple(operator for operator, _ in parts)
        self._edge_blocks = tuple(blocks for _, blocks in parts)

    def resized(self, height: int, width: int) -> Jpeg:
        """Return the operator of pictures of another size, with the same arrays."""
        return self._of(Jpeg, height, width)

    def _of(self, kind: type[JpegKind], height: int, width: int) -> JpegKind:
        small = object.__new__(kind)
        small.factors, small.colour = self.factors, self.colour
        small._lay_out(Space((self.domain.shape[0], height, width), self.domain.dtype))
        for name in ("_scale", "_cosines", "_colours", "_inverse_colours"):
            setattr(small, name, getattr(self, name))
        small._divide()
        return small

    @property
    def decoder(self) -> LinearOperator:
        """The decoder's linear map H† from y to a picture, with smooth chroma (`JpegDecoder`)."""
        from operators.jpeg_decoder import JpegDecoder

        return JpegDecoder(self)

    def part(self, rows: tuple[int, int], columns: tuple[int, int]) -> tuple[Jpeg, Tensor]:
        """Return the operator of some MCUs alone, and which blocks of y are theirs.

        Args:
            rows: The first row of pixels, a multiple of the MCU, and their number, up to another
                multiple or to the border.
            columns: Likewise.
        """
        small = self.resized(rows[1], columns[1])
        indices = []
        for grid, step, padded in zip(self.block_grids(1), self.steps, small.padded, strict=True):
            down, across = (
                slice(side[0] // (BLOCK * size), side[0] // (BLOCK * size) + length // BLOCK)
                for side, size, length in zip((rows, columns), step, padded, strict=True)
            )
            indices.append(grid[down, across].flatten())
        return small, torch.cat(indices).to(self.device)

    def block_grids(self, elements: int) -> list[Tensor]:
        """Return the indices of the elements of each component's blocks, `[rows, columns, K]`."""
        index = torch.arange(sum(self._counts) * elements, device="cpu").reshape(-1, elements)
        parts = zip(torch.split(index, list(self._counts)), self.padded, strict=True)
        return [part.reshape(size[0] // BLOCK, size[1] // BLOCK, -1) for part, size in parts]

    def by_mcus(self, change: Callable[..., Tensor], y: Tensor, *pictures: Tensor) -> Tensor:
        """Return the picture `[C, H, W]` put together of what `change` makes of its MCUs.

        Args:
            change: Called with an operator A, its y `[n, blocks, 8, 8]` and its part of each
                picture, `[n, C, h, w]`; returns `[n, C, h, w]`. A is a `JpegMcu` for the whole
                MCUs, band by band, and the operator of what is left at a border, for which n is 1.
            y: `[blocks, 8, 8]`.
            pictures: Each `[C, H, W]`.
        """
        if self._mcu is None:
            return change(self, y.unsqueeze(0), *(p.unsqueeze(0) for p in pictures)).squeeze(0)
        out = y.new_empty(self.domain.shape)
        for first, count in self._bands():
            index = self._mcu_blocks.narrow(0, first, count)
            blocks = y.index_select(0, index.flatten())
            blocks = blocks.reshape(-1, *self._mcu.codomain.shape)
            area = self._area(first, count)
            mcus = (to_tiles(cut(p, area), self.mcu) for p in pictures)
            band = from_tiles(change(self._mcu, blocks, *mcus), (area[0][1], area[1][1]))
            put(out, area, band)
        for operator, index, area in zip(self._edges, self._edge_blocks, self.edges, strict=True):
            edges = (cut(p, area).unsqueeze(0) for p in pictures)
            edge = change(operator, y.index_select(0, index).unsqueeze(0), *edges)
            put(out, area, edge.squeeze(0))
        return out

    def _bands(self) -> list[tuple[int, int]]:
        """The first row of MCUs and their number, of each band."""
        rows, columns = self._mcu_blocks.shape[:2]
        pixels = _BAND if self.device.type == "cpu" else self.domain.numel
        most = max(1, pixels // (columns * self.mcu[0] * self.mcu[1]))
        return [(first, min(most, rows - first)) for first in range(0, rows, most)]

    def _area(self, first: int, count: int) -> Area:
        height, width = self.mcu
        return (first * height, count * height), (0, self._mcu_blocks.shape[1] * width)

    def level_shift(self) -> Tensor:
        """Return A of what JPEG takes off before its cosines: y of a file is its integers plus it.

        It is 128 grey levels in every component that is not a colour difference, `[blocks, 8, 8]`.
        """
        # Of the coefficients of a block, the first is 8 times its mean.
        first = torch.zeros_like(self._scale[0])
        first[0, 0] = BLOCK * 128 / 255
        shifted = [1.0] + [0.0 if self.converts else 1.0] * (len(self.steps) - 1)
        return self._in_every_block(
            [level * first * scale for level, scale in zip(shifted, self._scale, strict=True)]
        )

    def _in_every_block(self, tables: Sequence[Tensor]) -> Tensor:
        """One table `[8, 8]` for each component as `[blocks, 8, 8]`."""
        parts = zip(tables, self._counts, strict=True)
        return torch.cat([table.expand(count, BLOCK, BLOCK) for table, count in parts])

    def row_norms(self, *, of_components: bool = False) -> Tensor:
        """Return the norms of the rows of A, `[blocks, 8, 8]`.

        Times the standard deviation of independent errors of the pixels: that of y. With
        `of_components` the errors are those of Y, Cb and Cr at every pixel.
        """
        weights = self._scale.new_ones(len(self.steps))
        if self.converts and not of_components:
            weights = torch.linalg.vector_norm(self._colours, dim=1)
        norms = [
            (rows.unsqueeze(1).unsqueeze(-1) * columns.unsqueeze(1) * (weight * scale)).flatten(
                0, 1
            )
            for rows, columns, weight, scale in zip(
                self._line_norms(0),
                self._line_norms(1),
                weights.unbind(0),
                self._scale.unbind(0),
                strict=True,
            )
        ]
        return torch.cat(norms)

    def _line_norms(self, axis: int) -> list[Tensor]:
        """The same along rows or columns alone, `[blocks, 8]` of each component.

        What fills up the last block repeats a pixel, whose error then counts as often.
        """
        lines = []
        for steps, padded in zip(self.steps, self.padded, strict=True):
            step, blocks = steps[axis], padded[axis] // BLOCK
            left = self.domain.shape[1 + axis] - (blocks - 1) * BLOCK * step
            unit = torch.eye(left, device="cpu").to(self._cosines)
            if axis == 0:
                last = decimate(unit.unsqueeze(-1), (step, 1), (BLOCK, 1)).squeeze(-1)
            else:
                last = decimate(unit.unsqueeze(-2), (1, step), (1, BLOCK)).squeeze(-2)
            whole = unit.new_full((blocks - 1, BLOCK), step**-0.5)
            norms = torch.linalg.vector_norm(last @ self._cosines.mT, dim=0, keepdim=True)
            lines.append(torch.cat([whole, norms]))
        return lines

    # --- from y to samples of components and from those to a picture -----------------------------

    def samples(self, y: Tensor) -> tuple[Tensor, ...]:
        """Return the samples of each component `[..., rows, columns]`, of y by inverse cosines."""
        planes = []
        for part, inverse, padded, size in zip(
            torch.split(y, list(self._counts), -3),
            self._from_coefficients(),
            self.padded,
            self.sizes,
            strict=True,
        ):
            blocks = product(part.flatten(-2), inverse).reshape(part.shape)
            plane = from_blocks(blocks, padded)
            planes.append(plane.narrow(-2, 0, size[0]).narrow(-1, 0, size[1]))
        return tuple(planes)

    def _from_coefficients(self) -> list[Tensor]:
        """From the coefficients of a block of each component to its samples, `[64, 64]`."""
        cosines = torch.kron(self._cosines, self._cosines)
        return [cosines / scale.reshape(-1, 1) for scale in self._scale.unbind(0)]

    def enlarged(self, samples: Sequence[Tensor]) -> Tensor:
        """Return the components in the size of the picture, chroma enlarged as by libjpeg."""
        height, width = self.domain.shape[1:]
        planes = [enlarge(plane, step) for plane, step in zip(samples, self.steps, strict=True)]
        return torch.stack([p.narrow(-2, 0, height).narrow(-1, 0, width) for p in planes], -3)

    def coloured(self, components: Tensor) -> Tensor:
        """Return the picture of components in its size."""
        return mix(self._inverse_colours, components) if self.converts else components

    @property
    def converts(self) -> bool:
        """Whether RGB becomes Y, Cb, Cr."""
        return len(self.factors) == 3 and self.colour == "ycc"

    # --- the operator ----------------------------------------------------------------------------

    def _apply(self, x: Tensor) -> Tensor:
        if (mcu := self._mcu) is None:
            return self._apply_planes(x)

        def applied(picture: Tensor) -> Tensor:
            out = picture.new_empty(self.codomain.shape)
            for first, count in self._bands():
                blocks = mcu._apply(to_tiles(cut(picture, self._area(first, count)), self.mcu))
                index = self._mcu_blocks.narrow(0, first, count)
                out.index_copy_(0, index.flatten(), blocks.flatten(0, 1))
            for operator, index, area in zip(
                self._edges, self._edge_blocks, self.edges, strict=True
            ):
                out.index_copy_(0, index, operator._apply(cut(picture, area)))
            return out

        return _each(applied, x)

    def _adjoint(self, y: Tensor) -> Tensor:
        if self._mcu is None:
            return self._adjoint_planes(y)
        return _each(partial(self.by_mcus, lambda operator, part: operator._adjoint(part)), y)

    def pinv(
        self,
        y: Tensor,
        rcond: float | None = None,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Tensor:
        """Return A†y by the SVD; without an rcond by that of each kind of MCU."""
        if rcond is not None or self._mcu is None:
            return super().pinv(y, rcond, tolerance=tolerance, max_iterations=max_iterations)
        self._check(y, self.codomain, "measurement", self._codomain_text())
        inverse = partial(self.by_mcus, lambda operator, part: operator.pinv(part))
        return _each(inverse, y)

    def _apply_planes(self, x: Tensor) -> Tensor:
        x = mix(self._colours, x) if self.converts else x
        parts = []
        for plane, step, padded, scale in zip(
            x.unbind(-3), self.steps, self.padded, self._scale.unbind(0), strict=True
        ):
            blocks = to_blocks(decimate(plane, step, padded))
            parts.append(scale * (self._cosines @ blocks @ self._cosines.mT))
        return torch.cat(parts, -3)

    def _adjoint_planes(self, y: Tensor) -> Tensor:
        planes = []
        for part, step, padded, scale in zip(
            torch.split(y, list(self._counts), -3),
            self.steps,
            self.padded,
            self._scale.unbind(0),
            strict=True,
        ):
            blocks = self._cosines.mT @ (scale * part) @ self._cosines
            size = (self.domain.shape[1], self.domain.shape[2])
            planes.append(decimate_transposed(from_blocks(blocks, padded), step, size))
        x = torch.stack(planes, -3)
        return mix(self._colours.mT, x) if self.converts else x

    def _factorise(self) -> ThinSVD:
        from operators.jpeg_svd import factorised

        return factorised(self)


def _up(size: int) -> int:
    return BLOCK * math.ceil(size / BLOCK)


def _each(change: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Change every image of `[*batch, a, b, c]` by itself, so that none depends on the others."""
    changed = [change(image) for image in images.reshape(-1, *images.shape[-3:]).unbind(0)]
    out = changed[0].unsqueeze(0) if len(changed) == 1 else torch.stack(changed)
    return out.reshape(*images.shape[:-3], *out.shape[1:])
