"""The exact SVD of a CT scan whose rays have the symmetries of a rectangle or a square."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.picture_symmetry import PictureSymmetry
from operators.rays import RayOperator
from operators.space import Space, double_home
from operators.svd import NoFastSVD, ThinSVD

# Singular values below this share of the largest are taken as 0: U = A V / s amplifies what
# rounding leaves of them, and they are square roots of eigenvalues.
CUT = {torch.float32: 1e-3, torch.float64: 1e-6}
# Rays of one piece of the matrix.
_PIECE = 512
# Within this share of the longer side two rays are the same: rounding moves them by a fifth of it.
# Angles that are off by 0.005 degrees, 100 times as much, make U wrong by 1 %.
_NEAR = {torch.float32: 1e-6, torch.float64: 1e-9}


@dataclass(frozen=True)
class RayFactors:
    """Right singular vectors and singular values of a scan, block by block.

    Attributes:
        symmetry: What splits the pictures into blocks.
        vectors: `[size, count]` of each block, orthonormal columns.
        values: `[count]` of each block, for pixels of size 1.
    """

    symmetry: PictureSymmetry
    vectors: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def svd(self, operator: RayOperator) -> ThinSVD:
        """Return the SVD of the scan, of any unit of length, that the factors are of."""
        vectors = tuple(part.to(operator.device, operator.domain.dtype) for part in self.vectors)
        right = RayVectors(self.symmetry, vectors, operator.domain)
        copies = zip(self.values, self.symmetry.copies, strict=True)
        values = torch.cat([s.repeat(n) for s, n in copies])
        s = values.to(operator.device, operator.domain.dtype) * operator.pixel_size
        return ThinSVD(_Projected(operator, right, s), s, right)


def ray_factors(
    operator: RayOperator, on_step: Callable[[int, int], None] | None = None
) -> RayFactors:
    """Factorise a scan by its symmetries.

    Equispaced angles over π or 2π have those of a rectangle if the axis is the middle of the
    detector; so has an arc whose middle is an axis of the picture. Those of a square need a square
    image too, and an even number of angles over π, one divisible by four over 2π. AᴴA then splits
    into four or five blocks; of each the smaller Gram matrix is diagonalised in double precision,
    on the operator's device where it has that. For n × n pixels and about n views the time grows
    as n⁶, the memory as n⁴: `factor_bytes` tells it.

    Args:
        operator: The scan.
        on_step: Called with the blocks done and their number.

    Raises:
        NoFastSVD: If the rays are not symmetric.
    """
    symmetry, orbits = _symmetry(operator)
    double = operator.to(double_home(operator.device), torch.float64)
    cut = CUT[operator.domain.dtype]
    vectors, values = [], []
    largest = None
    for block in range(len(symmetry.sizes)):
        s, v = _block(double, symmetry, block, orbits[symmetry.copies[block] - 1])
        # A has no negative entries, so its largest singular value is in the first block.
        largest = s.max() if largest is None else largest
        kept = s > cut * largest
        vectors.append(v[:, kept].to(operator.domain.dtype))
        values.append(s[kept] / operator.pixel_size)
        if on_step is not None:
            on_step(block + 1, len(symmetry.sizes))
    return RayFactors(symmetry, tuple(vectors), tuple(values))


def factor_bytes(operator: RayOperator) -> tuple[int, int]:
    """Return about how many bytes `ray_factors` needs: while it runs, and of what it returns.

    Raises:
        NoFastSVD: If the rays are not symmetric.
    """
    symmetry, orbits = _symmetry(operator)
    working = left = 0
    for size, copies in zip(symmetry.sizes, symmetry.copies, strict=True):
        rays = len(orbits[copies - 1][0])
        side = min(size, rays)
        left += operator.domain.dtype.itemsize * size * side
        # A Gram matrix and its eigenvectors; where rays are few, A itself and what turns it into V.
        working = max(working, 8 * (2 * side * side + (3 * rays * size if rays < size else 0)))
    return working + left, left


def _block(
    operator: RayOperator, symmetry: PictureSymmetry, block: int, orbits: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Singular values and right singular vectors of A restricted to a block."""
    size, rays = symmetry.sizes[block], len(orbits[0])
    if size <= rays:
        gram = torch.zeros(size, size, dtype=torch.float64, device=operator.device)
        for piece in _pieces(operator, symmetry, block, orbits):
            gram.addmm_(piece.mT, piece)
        squares, v = _eigh(gram)
        return squares.clamp_min(0).sqrt(), v
    matrix = torch.cat(list(_pieces(operator, symmetry, block, orbits)))
    squares, u = _eigh(matrix @ matrix.mT)
    s = squares.clamp_min(0).sqrt()
    return s, matrix.mT @ (u / torch.where(s > 0, s, 1))


def _pieces(
    operator: RayOperator, symmetry: PictureSymmetry, block: int, orbits: tuple[Tensor, Tensor]
) -> Iterator[Tensor]:
    """Rows of A restricted to a block, one ray of each orbit, weighted by how many it stands for.

    The rays of an orbit differ by a sign only there, so that AᴴA is what it was.
    """
    place, weight = symmetry.places(block, operator.device)
    for rays, count in zip(*(torch.split(part, _PIECE) for part in orbits), strict=True):
        piece = weight.new_zeros(len(rays), symmetry.sizes[block])
        for index, part in operator.crossings(rays):
            piece.scatter_add_(1, place[index], part * weight[index])
        yield piece * count.double().sqrt().unsqueeze(-1)


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    if matrix.device.type != "cpu" or matrix.numel() == 0:
        values, vectors = torch.linalg.eigh(matrix)
        return values, vectors
    # In place, with half the memory of torch's driver on the CPU.
    from scipy.linalg import eigh

    values, vectors = eigh(matrix.numpy().T, driver="evr", overwrite_a=True, check_finite=False)
    return torch.from_numpy(values), torch.from_numpy(vectors)


Orbits = tuple[Tensor, Tensor]


def _symmetry(operator: RayOperator) -> tuple[PictureSymmetry, tuple[Orbits, Orbits]]:
    """What `_found_symmetry` finds, kept: the memory is asked for first, then the factors."""
    return operator._once("_symmetry", lambda: _found_symmetry(operator))


def _found_symmetry(operator: RayOperator) -> tuple[PictureSymmetry, tuple[Orbits, Orbits]]:
    """The symmetries of a scan, and one ray of each orbit with the orbit's size.

    The orbits are those of all symmetries, and those of the flips alone.

    Raises:
        NoFastSVD: If there is no symmetry of the flips.
    """
    from scipy.spatial import cKDTree

    side = max(operator.domain.shape)
    near = _NEAR[operator.domain.dtype] * side
    # A normal that is off by 1/side moves its ray by a pixel at the border.
    lines = operator.lines().cpu() * torch.tensor(
        [side, side, 1.0], dtype=torch.float64, device="cpu"
    )
    total = len(lines)
    # The same line has two normals.
    tree = cKDTree(torch.cat([lines, -lines]).numpy())
    doubles = torch.from_numpy(tree.query_pairs(near, output_type="ndarray")) % total
    first = torch.arange(total, device="cpu").scatter_reduce(
        0, doubles.amax(1), doubles.amin(1), "amin"
    )
    count = torch.bincount(first, minlength=total)

    def moved(nx: Tensor, ny: Tensor) -> Tensor | None:
        """The rays where a symmetry moves the rays; None if there are more, fewer or none."""
        points = torch.stack([nx, ny, lines[:, 2]], -1)
        distance, index = tree.query(points.numpy(), distance_upper_bound=near)
        if (distance > near).any():
            return None
        image = first[torch.from_numpy(index) % total]
        return image if bool((count[image] == count[first]).all()) else None

    def grouped(images: list[Tensor]) -> Orbits:
        rays, sizes = torch.unique(torch.stack(images).amin(0), return_counts=True)
        home = double_home(operator.device)
        return rays.to(home), sizes.to(home)

    x, y = lines[:, 0], lines[:, 1]
    flips = [
        image for a, b in ((x, y), (-x, y), (x, -y), (-x, -y)) if (image := moved(a, b)) is not None
    ]
    if len(flips) < 4:
        raise NoFastSVD(
            f"{operator.name}: its rays are not symmetric, which an exact SVD needs: equispaced "
            "angles over 180 degrees, or an arc with its middle at 0 or 90, and the axis in the "
            "middle of the detector"
        )
    height, width = operator.domain.shape[1:]
    turned = moved(y, x) if height == width else None
    if turned is None:
        return PictureSymmetry(height, width, False), (grouped(flips), grouped(flips))
    # Transposing and then flipping.
    return PictureSymmetry(height, width, True), (
        grouped([*flips, *(flip[turned] for flip in flips)]),
        grouped(flips),
    )


class RayVectors(LinearOperator):
    """V of a scan: coefficients `[K]` to pictures `(1, n, n)`, a matrix for each block."""

    def __init__(
        self, symmetry: PictureSymmetry, vectors: tuple[Tensor, ...], image: Space
    ) -> None:
        self._symmetry, self._vectors = symmetry, vectors
        self._shapes = tuple((n, v.shape[1]) for v, n in zip(vectors, symmetry.copies, strict=True))
        super().__init__(Space((sum(n * k for n, k in self._shapes),), image.dtype), image)

    def _apply(self, c: Tensor) -> Tensor:
        parts = torch.split(c, [n * k for n, k in self._shapes], -1)
        blocks = [
            _by_image(part.reshape(*part.shape[:-1], *shape), v.mT)
            for part, shape, v in zip(parts, self._shapes, self._vectors, strict=True)
        ]
        return self._symmetry.join(blocks).unsqueeze(-3)

    def _adjoint(self, y: Tensor) -> Tensor:
        blocks = self._symmetry.split(y.squeeze(-3))
        parts = [_by_image(b, v) for b, v in zip(blocks, self._vectors, strict=True)]
        return torch.cat([part.flatten(-2) for part in parts], -1)


class _Projected(LinearOperator):
    """U = A V / s where s > 0: coefficients `[K]` to line integrals."""

    def __init__(self, operator: RayOperator, right: RayVectors, s: Tensor) -> None:
        self._operator, self._right, self._s = operator, right, s
        super().__init__(right.domain, operator.codomain)

    def _apply(self, c: Tensor) -> Tensor:
        return self._operator(self._right(c / self._s))

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._right.adjoint(self._operator.adjoint(y)) / self._s


def _by_image(blocks: Tensor, matrix: Tensor) -> Tensor:
    """[*batch, copies, a] times [a, b], image by image: no bit depends on how many there are."""
    flat = blocks.reshape(-1, *blocks.shape[-2:])
    if len(flat) == 0:
        return blocks.new_zeros(*blocks.shape[:-1], matrix.shape[1])
    out = torch.stack([image @ matrix for image in flat])
    return out.reshape(*blocks.shape[:-1], matrix.shape[1])
