"""How libjpeg decodes coefficients, as a linear map."""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.blockwise import product
from operators.jpeg import Jpeg
from operators.jpeg_planes import enlarge_transposed, mix, to_blocks


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
        encoder = self._encoder
        x = mix(encoder._inverse_colours.mT, y) if encoder.converts else y
        parts = []
        for plane, step, size, padded, inverse in zip(
            x.unbind(-3),
            encoder.steps,
            encoder.sizes,
            encoder.padded,
            encoder._from_coefficients(),
            strict=True,
        ):
            full = _zero_padded(plane, (size[0] * step[0], size[1] * step[1]))
            samples = _zero_padded(enlarge_transposed(full, step), padded)
            blocks = to_blocks(samples)
            parts.append(product(blocks.flatten(-2), inverse.mT).reshape(blocks.shape))
        return torch.cat(parts, -3)


def _zero_padded(plane: Tensor, size: tuple[int, int]) -> Tensor:
    rows, columns = size[0] - plane.shape[-2], size[1] - plane.shape[-1]
    return torch.nn.functional.pad(plane, (0, columns, 0, rows))
