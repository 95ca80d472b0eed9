"""The exact SVD of parallel MRI along whole lines, by small matrices."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.fourier import centred_fft, centred_ifft
from operators.space import REAL_TYPES, Space

# Images that are multiplied at once.
_COLUMNS = 8
# Elements of the matrices that are factorised at once: 64 MB in double precision.
_PIECE = 2**22

Factors = tuple[Tensor, Tensor, Tensor]


def line_factors(
    maps: Tensor, dft: Tensor, own: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Factorise the matrix (c, k), (j, w) ↦ own_k dft_kw S_jcrw of each position r.

    For numbers in single precision by the Gram matrix, where that is no larger than the matrix,
    and of the pixels alone that a coil sees.

    Args:
        maps: S, `[*batch or none, sets, coils, readout, lines]`.
        dft: The kept lines of the Fourier transform, `[kept, lines]`, in double precision.
        own: Zeros and ones, which of these an image has, `[*batch, kept]`; None where all have all.

    Returns:
        U `[*batch, readout, coils · kept, rank]`, s, V `[*batch, readout, sets · lines, rank]`, of
        the maps' type, and what share of the largest s is but rounding.
    """
    sets, coils, readout, lines = maps.shape[-4:]
    batch = maps.shape[:-4] or (own.shape[:-1] if own is not None else ())
    shape = (*batch, readout, coils * len(dft), sets * lines)
    if maps.dtype == torch.complex128 or shape[-2] < shape[-1]:
        return *_by_matrices(maps, dft, own, shape), 1e-12
    return *_by_gram(maps, dft, own, shape), 1e-5


def _zeros(shape: tuple[int, ...], rank: int, like: Tensor) -> Factors:
    """Room for U, s and V of matrices of a shape."""
    real = REAL_TYPES[like.dtype]
    return (
        like.new_zeros(*shape[:-1], rank),
        like.new_zeros(*shape[:-2], rank, dtype=real),
        like.new_zeros(*shape[:-2], shape[-1], rank),
    )


def _by_matrices(maps: Tensor, dft: Tensor, own: Tensor | None, shape: tuple[int, ...]) -> Factors:
    u, s, v = _zeros(shape, min(shape[-2:]), maps)
    readout = maps.shape[-2]
    step = max(1, _PIECE * readout // max(1, math.prod(shape)))
    for piece in (slice(first, first + step) for first in range(0, readout, step)):
        part = maps[..., piece, :].to(dft.device).to(dft.dtype)
        matrix = torch.einsum("kw,...jcrw->...rckjw", dft, part)
        matrix = matrix if own is None else matrix * own[..., None, None, :, None, None]
        matrix = matrix.flatten(-2).flatten(-3, -2)
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        u[..., piece, :, :].copy_(left.to(u))
        s[..., piece, :].copy_(values.to(s))
        v[..., piece, :, :].copy_(right.mH.to(v))
    return u, s, v


def _by_gram(maps: Tensor, dft: Tensor, own: Tensor | None, shape: tuple[int, ...]) -> Factors:
    readout, lines = maps.shape[-2:]
    # [*batch · readout, coils, pixels]
    places = maps.movedim(-2, -4).movedim(-2, -3).flatten(-2).flatten(0, -3)
    seen = (places != 0).any(-2)
    counts = seen.sum(-1).tolist()
    # What no coil sees is a direction of its own, with the singular value 0.
    order = seen.to(torch.int8).argsort(stable=True, dim=-1, descending=True)
    factors = _zeros(shape, max(1, *counts), maps)
    u, s, v = factors[0].flatten(0, -3), factors[1].flatten(0, -2), factors[2].flatten(0, -3)
    rank = s.shape[-1]
    for at in range(len(s)):
        image, position = divmod(at, readout)
        if position == 0:
            kept = dft if own is None else dft * own.reshape(-1, len(dft))[image].unsqueeze(-1)
            gram = kept.mH @ kept
        row = at % len(places)
        count = counts[row]
        inside, outside = order[row, :count], order[row, count:rank]
        if count:
            pixels = inside.to(dft.device) % lines
            some = places[row].index_select(-1, inside).to(dft.device).to(dft.dtype)
            left, values, right = _of_pixels(some, kept[:, pixels], gram[pixels][:, pixels])
            u[at, :, :count] = left.to(u)
            s[at, :count] = values.to(s)
            v[at, :, :count].index_copy_(0, inside, right.to(v))
        v[at][outside, torch.arange(count, rank, device=v.device)] = 1
    return factors


def _of_pixels(maps: Tensor, dft: Tensor, gram: Tensor) -> Factors:
    """Factorise the matrix of one position.

    It is many times faster than its SVD, and exact to 1e-16 (max(s)/s)²: to 1e-6 at the cut-off.

    Args:
        maps: Of the pixels that a coil sees, `[coils, pixels]`.
        dft: Likewise, `[kept, pixels]`.
        gram: dftᴴ dft.
    """
    values, v = torch.linalg.eigh((maps.mH @ maps) * gram)
    s = values.clamp_min(0).sqrt()
    scaled = v / s.clamp_min(torch.finfo(s.dtype).tiny)
    return (maps.unsqueeze(1) * dft).flatten(0, 1) @ scaled, s, v


class LineTransform(LinearOperator):
    """One matrix with orthonormal columns at each position of the readout.

    From coefficients `[readout, rank]` to images `[parts, readout, lines]`, or, for lines that
    are rows (axis 0), `[parts, lines, readout]`.

    Args:
        matrices: `[*batch, readout, parts · lines, rank]`, complex.
        shape: (parts, readout, lines).
        axis: Of the image, which counts the lines: 1 for columns, 0 for rows.
    """

    _real_matrix: ClassVar[bool] = False

    def __init__(self, matrices: Tensor, shape: tuple[int, int, int], axis: int) -> None:
        parts, readout, lines = shape
        full = shape if axis == 1 else (parts, lines, readout)
        super().__init__(
            Space((readout, matrices.shape[-1]), matrices.dtype), Space(full, matrices.dtype)
        )
        self._matrices = matrices
        self._axis = axis

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The batch dimensions of the matrices."""
        return self._matrices.shape[:-3]

    def _take(self, index: Tensor) -> LinearOperator:
        new = object.__new__(LineTransform)
        new.__dict__.update(self.__dict__, _matrices=self._matrices.index_select(0, index))
        return new

    def _apply(self, x: Tensor) -> Tensor:
        flat = _products(self._matrices, x)
        parts = self.codomain.shape[0]
        images = flat.reshape(*flat.shape[:-1], parts, -1).movedim(-2, -3)
        return images if self._axis == 1 else images.mT

    def _adjoint(self, y: Tensor) -> Tensor:
        images = y if self._axis == 1 else y.mT
        vectors = images.movedim(-3, -2).flatten(-2)
        # Mᴴv as the conjugate of Mᵀv*, since the conjugate of M would be written out each time.
        return _products(self._matrices.mT, vectors.conj()).conj().resolve_conj()


def _products(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply `[*batch, readout, M, K]` by `[*batch, readout, K]`, images in eights.

    The time is that of reading the matrices, so that eight cost what one does. They are always
    eight, filled up with zeros, since the rounding must not depend on how many there are; with
    matrices of its own an image is multiplied by itself.
    """
    images = vectors.reshape(-1, *vectors.shape[-2:])
    if matrices.ndim > 3:
        own = matrices.expand(*vectors.shape[:-2], *matrices.shape[-3:])
        own = own.reshape(-1, *matrices.shape[-3:])
        columns = images.unsqueeze(-1)
        products = torch.stack([torch.bmm(m, x) for m, x in zip(own, columns, strict=True)])
    else:
        filled = torch.nn.functional.pad(images.permute(1, 2, 0), (0, -len(images) % _COLUMNS))
        eights = [
            torch.bmm(matrices, part.contiguous()) for part in torch.split(filled, _COLUMNS, -1)
        ]
        products = torch.cat(eights, -1).narrow(-1, 0, len(images)).permute(2, 0, 1)
    return products.reshape(*vectors.shape[:-1], matrices.shape[-2])


class LineSamples(LinearOperator):
    """From k-space of kept lines, position space along them, to k-space with zeros between.

    Args:
        codomain: Space of y, `(coils, H, W)`.
        kept: Numbers of the lines.
        axis: Of the image, which counts the lines: 1 for columns, 0 for rows.
    """

    _real_matrix: ClassVar[bool] = False
    _isometry = 1.0

    def __init__(self, codomain: Space, kept: Tensor, axis: int) -> None:
        coils, height, width = codomain.shape
        shape = (coils, height, len(kept)) if axis == 1 else (coils, len(kept), width)
        super().__init__(Space(shape, codomain.dtype), codomain)
        self._kept = kept
        self._axis = axis - 2

    def _apply(self, x: Tensor) -> Tensor:
        lines = centred_fft(x, (-3 - self._axis,))
        full = x.new_zeros((*x.shape[:-3], *self.codomain.shape))
        return full.index_copy(self._axis, self._kept, lines)

    def _adjoint(self, y: Tensor) -> Tensor:
        return centred_ifft(y.index_select(self._axis, self._kept), (-3 - self._axis,))
