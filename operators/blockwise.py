"""An operator that is one small dense matrix on each of many groups of elements."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.space import Space

# Elements of x that are written at once.
_PIECE = 2**22


class Blockwise(LinearOperator):
    """x[group] = M c for groups of elements that do not overlap; several kinds, each with its M.

    The input is flat: for each kind, for each of its groups, the columns of M.

    Args:
        shape: Shape of x.
        groups: For each kind the flat indices into x, `[number, rows]`. Together they are all of x
            or a part of it, each element once.
        matrices: M of each kind, `[rows, columns]`.
        dtype: Number type of c and x.
        device: Device of the matrices.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        groups: Sequence[Tensor],
        matrices: Sequence[Tensor],
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        columns = [
            len(index) * matrix.shape[1] for index, matrix in zip(groups, matrices, strict=True)
        ]
        super().__init__(Space((sum(columns),), dtype), Space(shape, dtype))
        self._columns = tuple(columns)
        # Half of the memory of torch's own indices; a picture has less than 2³¹ elements.
        self._groups = tuple(index.to(device=device, dtype=torch.int32) for index in groups)
        real = self.domain.real_dtype
        self._matrices = tuple(matrix.to(device=device, dtype=real) for matrix in matrices)

    def _apply(self, x: Tensor) -> Tensor:
        batch = x.shape[:-1]
        out = x.new_zeros((*batch, self.codomain.numel))
        parts = torch.split(x, list(self._columns), -1)
        for part, index, matrix in zip(parts, self._groups, self._matrices, strict=True):
            groups = part.reshape(*batch, index.shape[0], matrix.shape[1])
            # Piece by piece, since the indices for writing have to be long ones.
            for first in range(0, index.shape[0], step := max(1, _PIECE // matrix.shape[0])):
                count = min(step, index.shape[0] - first)
                piece = product(groups.narrow(-2, first, count), matrix.mT).flatten(-2)
                out = out.index_copy_(-1, index.narrow(0, first, count).flatten().long(), piece)
        return out.reshape(*batch, *self.codomain.shape)

    def _adjoint(self, y: Tensor) -> Tensor:
        flat = y.flatten(-self.codomain.ndim)
        parts = []
        for index, matrix in zip(self._groups, self._matrices, strict=True):
            groups = flat.index_select(-1, index.flatten()).reshape(*flat.shape[:-1], *index.shape)
            parts.append(product(groups, matrix).flatten(-2))
        return torch.cat(parts, -1)


def product(groups: Tensor, matrix: Tensor) -> Tensor:
    """Return `[*batch, number, K]` times `[K, M]`, one image at a time.

    As one product over all images its rounding would depend on how many there are.
    """
    images = groups.reshape(-1, *groups.shape[-2:])
    product = torch.bmm(images, matrix.expand(images.shape[0], -1, -1))
    return product.reshape(*groups.shape[:-1], matrix.shape[1])
