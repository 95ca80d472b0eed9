"""Joseph's line integrals along any set of rays through a 2-D image, and their exact adjoint."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.crossing_rays import CrossingRays
from operators.linear_function import transformed
from operators.space import ShapeError, Space, double_home

# Largest sparse matrix (entries, about half of which are not 0) that a CPU keeps, 8 bytes each and
# so its transpose: 512² from 180 views. Without one a picture takes three times as long.
_MATRIX_ENTRIES = 160_000_000
# Entries of the piece of it that is made at a time.
_PIECE = 4_000_000


class RayOperator(LinearOperator):
    """y_r = Σ_s l_r x(s, a_r + b_r s): one linear interpolation for each row or column crossed.

    x is zero outside the image, `(1, H, W)`; its middle is the origin, x to the right, y up.

    Args:
        shape: `(1, H, W)`.
        point: A point of each ray `[views, detectors, 2]`, (x, y).
        direction: Its direction, the same shape, of any length.
        pixel_size: Side of a pixel.
        dtype: `float32` or `float64`.
        device: Device of the rays.

    Source: Joseph, "An improved algorithm for reprojecting rays through pixel images", 1982.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        point: Tensor,
        direction: Tensor,
        pixel_size: float,
        *,
        dtype: torch.dtype,
        device: str | torch.device,
    ) -> None:
        space = Space(tuple(shape), dtype)
        if len(space.shape) != 3 or space.shape[0] != 1:
            raise ShapeError(f"{self.name}: the shape is {space}; it must be [1, H, W]")
        if not pixel_size > 0:
            raise ValueError(f"{self.name}: the pixel size must be positive, not {pixel_size}")
        super().__init__(space, Space((1, *point.shape[:2]), dtype))
        height, width = space.shape[1:]
        (px, py), (dx, dy) = point.double().unbind(-1), direction.double().unbind(-1)
        flat = dx.abs() >= dy.abs()
        # The coordinate along which the ray advances, and the one that is interpolated.
        slope = torch.where(flat, -dy, -dx) / torch.where(flat, dx, dy)
        row, column = (height - 1) / 2 - py / pixel_size, (width - 1) / 2 + px / pixel_size
        start = torch.where(flat, row - slope * column, column - slope * row)
        length = pixel_size * (1 + slope.square()).sqrt()
        self.pixel_size = float(pixel_size)
        self._flat = flat.flatten().to(device)
        self._start = start.flatten().to(device, space.real_dtype)
        self._slope = slope.flatten().to(device, space.real_dtype)
        self._length = length.flatten().to(device, space.real_dtype)
        self._matrices = _Matrices()
        self._kinds = tuple(
            (
                is_flat,
                rays.to(device),
                CrossingRays(
                    (width, height) if is_flat else (height, width),
                    *(part.flatten()[rays] for part in (start, slope, length)),
                    dtype=space.real_dtype,
                    device=device,
                ),
            )
            for is_flat in (True, False)
            if len(rays := (flat.flatten() == is_flat).nonzero().squeeze(1))
        )

    def _apply(self, x: Tensor) -> Tensor:
        lines = transformed(x.flatten(-3).reshape(-1, self.domain.numel), self, adjoint=False)
        return lines.reshape(*x.shape[:-3], *self.codomain.shape)

    def _adjoint(self, y: Tensor) -> Tensor:
        image = transformed(y.flatten(-3).reshape(-1, self.codomain.numel), self, adjoint=True)
        return image.reshape(*y.shape[:-3], *self.domain.shape)

    @property
    def _nearly_a_blur(self) -> bool:
        return True

    def lines(self) -> Tensor:
        """Return (nx, ny, d) of each ray, the line nx x + ny y = d in pixels, n of length 1."""
        height, width = self.domain.shape[1:]
        home = double_home(self.device)
        start, slope = (part.to(home).double() for part in (self._start, self._slope))
        is_flat = self._flat.to(home)
        # Of a flat ray row = start + slope · column, of a steep one column = start + slope · row.
        nx = torch.where(is_flat, slope, 1)
        ny = torch.where(is_flat, 1, slope)
        flat = (height - 1) / 2 - start - slope * (width - 1) / 2
        steep = start + slope * (height - 1) / 2 - (width - 1) / 2
        distance = torch.where(is_flat, flat, steep)
        return torch.stack([nx, ny, distance], -1) / torch.hypot(nx, ny).unsqueeze(-1)

    def transform(self, values: Tensor, *, adjoint: bool) -> Tensor:
        """Line integrals of images `[N, HW]`, or the adjoint on `[N, rays]`."""
        size = self.domain.numel if adjoint else self.codomain.numel
        if values.shape[0] == 0:
            return values.new_zeros(0, size)
        entries = 2 * self.codomain.numel * max(self.domain.shape)
        if values.device.type == "cpu" and entries <= _MATRIX_ENTRIES:
            matrix = self._matrices.get(self, adjoint=adjoint)
            # Image by image, so that no bit depends on how many there are.
            return torch.stack([matrix @ value for value in values])
        return self._spread(values) if adjoint else self._gathered(values)

    def _gathered(self, images: Tensor) -> Tensor:
        lines = images.new_zeros(len(images), self.codomain.numel)
        pictures = images.reshape(-1, *self.domain.shape[1:])
        for is_flat, rays, crossing in self._kinds:
            lines.index_copy_(1, rays, crossing(pictures.mT if is_flat else pictures))
        return lines

    def _spread(self, lines: Tensor) -> Tensor:
        pictures = lines.new_zeros(len(lines), *self.domain.shape[1:])
        for is_flat, rays, crossing in self._kinds:
            spread = crossing.adjoint(lines.index_select(1, rays))
            pictures += spread.mT if is_flat else spread
        return pictures.flatten(1)

    def crossings(
        self, rays: range | Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Pixel and weight `[rays, steps]` of the two neighbours; weight 0 outside the image."""
        height, width = self.domain.shape[1:]

        def of(t: Tensor) -> Tensor:
            if isinstance(rays, range):
                return t.narrow(0, rays.start, len(rays)).unsqueeze(-1)
            return t.index_select(0, rays).unsqueeze(-1)

        flat = of(self._flat)
        steps = torch.arange(max(height, width), device=flat.device)
        place = of(self._start) + of(self._slope) * steps
        # Within reach of an integer, whatever the ray.
        place = place.clamp(-2, max(height, width) + 1)
        low = place.floor()
        share, low = place - low, low.long()
        within = steps < torch.where(flat, width, height)
        limit = torch.where(flat, height, width)

        def neighbour(at: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
            valid = within & (at >= 0) & (at < limit)
            index = torch.where(flat, at * width + steps, steps * width + at)
            weight = of(self._length) * part
            return torch.where(valid, index, 0), torch.where(valid, weight, 0)

        return neighbour(low, 1 - share), neighbour(low + 1, share)


class _Matrices:
    """The sparse matrix of the rays and its transpose, made at first use; never pickled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Any, Tensor] = {}

    def __reduce__(self) -> tuple[type[_Matrices], tuple[()]]:
        return _Matrices, ()

    def get(self, operator: RayOperator, *, adjoint: bool) -> Tensor:
        dtype = operator.domain.dtype
        with self._lock:
            if (dtype, False) not in self._kept:
                self._kept[dtype, False] = _matrix(operator)
            if (dtype, adjoint) not in self._kept:
                self._kept[dtype, True] = _transposed(self._kept[dtype, False])
            return self._kept[dtype, adjoint]


def _matrix(operator: RayOperator) -> Tensor:
    rays, pixels = operator.codomain.numel, operator.domain.numel
    parts = []
    step = max(1, _PIECE // max(operator.domain.shape))
    with torch.no_grad():
        for first in range(0, rays, step):
            pairs = operator.crossings(range(first, min(first + step, rays)))
            index = torch.stack([pair[0] for pair in pairs], -1).flatten(1)
            weight = torch.stack([pair[1] for pair in pairs], -1).flatten(1)
            crossed = weight != 0
            parts.append((crossed.sum(1), index[crossed].int(), weight[crossed]))
        counts, pixel, weight = (torch.cat(part) for part in zip(*parts, strict=True))
        ends = torch.zeros(rays + 1, dtype=torch.int32, device="cpu")
        ends[1:] = counts.cumsum(0)
        return _sparse_rows(ends, pixel, weight, (rays, pixels))


def _transposed(matrix: Tensor) -> Tensor:
    # Eight times as fast as torch's sorting, in a third of its memory.
    from scipy.sparse import csr_array

    parts = matrix.values(), matrix.col_indices(), matrix.crow_indices()
    columns = csr_array(tuple(part.numpy() for part in parts), tuple(matrix.shape)).tocsc()
    ends, ray, weight = map(torch.from_numpy, (columns.indptr, columns.indices, columns.data))
    return _sparse_rows(ends, ray, weight, (matrix.shape[1], matrix.shape[0]))


def _sparse_rows(ends: Tensor, column: Tensor, value: Tensor, size: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        # torch calls its sparse rows a beta.
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(ends, column, value, size, device="cpu")


def detector_places(
    name: str, angles: Tensor, detectors: int, spacing: float, center: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return cos and sin of the angles `[views, 1]` and the places of the cells `[detectors]`."""
    turn = angles.detach().cpu().double()
    if turn.ndim != 1 or turn.numel() == 0 or detectors < 1:
        raise ShapeError(f"{name}: needs one angle a view, [views], and at least one detector")
    if not bool(turn.isfinite().all()) or not spacing > 0:
        raise ValueError(f"{name}: angles must be finite and the detector spacing positive")
    middle = (detectors - 1) / 2 if center is None else center
    cells = (torch.arange(detectors, dtype=torch.float64, device="cpu") - middle) * spacing
    return turn.cos()[:, None], turn.sin()[:, None], cells
