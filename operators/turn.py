"""A picture turned or mirrored: from how it is seen to how its file stores it."""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.identity import Identity
from operators.space import Space, picture_shape
from operators.svd import ThinSVD

# EXIF orientation: whether rows and columns are exchanged, then which of them are reversed.
_TURNS: dict[int, tuple[bool, tuple[int, ...]]] = {
    1: (False, ()),
    2: (False, (-1,)),
    3: (False, (-2, -1)),
    4: (False, (-2,)),
    5: (True, ()),
    6: (True, (-1,)),
    7: (True, (-2, -1)),
    8: (True, (-2,)),
}


class Turn(LinearOperator):
    """y = x as a file of that EXIF orientation stores it; the adjoint turns it upright.

    Args:
        shape: `(C, H, W)` of the upright picture.
        orientation: 1 to 8 (EXIF 2.32, tag 0x0112).
        dtype: Number type of x and y.
        device: Device of the singular values, which are all 1.

    Raises:
        ShapeError: If the shape is not `[channels, height, width]`.
        ValueError: If the orientation is another number.
    """

    _isometry = _coisometry = 1.0

    def __init__(
        self,
        shape: tuple[int, ...],
        orientation: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        channels, height, width = picture_shape("Turn", shape)
        if orientation not in _TURNS:
            raise ValueError(f"Turn: the orientation is {orientation}; it must be 1 to 8")
        self._exchanged, self._reversed = _TURNS[orientation]
        size = (width, height) if self._exchanged else (height, width)
        super().__init__(Space(shape, dtype), Space((channels, *size), dtype))
        self._identity = Identity(shape, dtype=dtype, device=device)

    def _apply(self, x: Tensor) -> Tensor:
        x = x.flip(self._reversed)
        return x.mT if self._exchanged else x

    def _adjoint(self, y: Tensor) -> Tensor:
        y = y.mT if self._exchanged else y
        return y.flip(self._reversed)

    def _factorise(self) -> ThinSVD:
        identity = self._identity.svd()
        return ThinSVD(self, identity.singular_values, identity.right)
