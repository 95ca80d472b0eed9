"""DDRM-JPEG against the authors' code (vectors of make_ddrm_jpeg.py): same codec and noise.

Their codec is not libjpeg's: chroma is one pixel of four, repeated on the way back, with the
matrix of JFIF rounded to four digits. So it is written here once more, as an operator.
"""

from __future__ import annotations

import ddrm_jpeg_cases as cases
import network
import numpy as np
import pytest
import torch
from scipy.fft import dct
from torch import Tensor

from operators import LinearOperator, Space
from restore.methods.ddrm_jpeg import DDRMJpeg
from restore.quantised import QuantisedProblem

TOLERANCE = 1e-4
MATRIX = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]]
).double()
COSINES = torch.from_numpy(dct(np.eye(8), axis=0, norm="ortho"))


def _blocks(plane: Tensor) -> Tensor:
    rows, columns = (side // 8 for side in plane.shape[-2:])
    return plane.reshape(*plane.shape[:-2], rows, 8, columns, 8).transpose(-3, -2).flatten(-4, -3)


def _plane(blocks: Tensor, side: int) -> Tensor:
    x = blocks.unflatten(-3, (side // 8, side // 8)).transpose(-3, -2)
    return x.reshape(*x.shape[:-4], side, side)


class Codec(LinearOperator):
    """Their encoder without its level shift and rounding."""

    def __init__(self, tables: Tensor) -> None:
        side = cases.SHAPE[1]
        luma, chroma = (side // 8) ** 2, (side // 16) ** 2
        super().__init__(
            Space(cases.SHAPE, torch.float64), Space((luma + 2 * chroma, 8, 8), torch.float64)
        )
        self.scale = 255 / torch.cat(
            [tables[0].expand(luma, 8, 8), tables[1].expand(2 * chroma, 8, 8)]
        )
        self.counts = (luma, chroma, chroma)

    def _apply(self, x: Tensor) -> Tensor:
        luma, *chroma = torch.einsum("ij,...jhw->...ihw", MATRIX, x).unbind(-3)
        parts = [_blocks(luma), *(_blocks(plane[..., ::2, ::2]) for plane in chroma)]
        return self.scale * (COSINES @ torch.cat(parts, -3) @ COSINES.T)

    def _adjoint(self, y: Tensor) -> Tensor:
        raise NotImplementedError


class Decoder(LinearOperator):
    """Their decoder, likewise."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec.codomain, codec.domain)
        self.codec = codec

    def _apply(self, x: Tensor) -> Tensor:
        side = cases.SHAPE[1]
        parts = torch.split(COSINES.T @ (x / self.codec.scale) @ COSINES, self.codec.counts, -3)
        luma, *chroma = _plane(parts[0], side), *(_plane(p, side // 2) for p in parts[1:])
        planes = [luma, *(p.repeat_interleave(2, -1).repeat_interleave(2, -2) for p in chroma)]
        return torch.einsum("ij,...jhw->...ihw", MATRIX.inverse(), torch.stack(planes, -3))

    def _adjoint(self, y: Tensor) -> Tensor:
        raise NotImplementedError


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_agrees_with_the_authors(case, vectors):
    def stored(name: str) -> Tensor:
        return torch.from_numpy(vectors[f"{case.key}/{name}"]).double()

    operator = Codec(stored("tables"))
    grey = torch.full(cases.SHAPE, 128 / 255, dtype=torch.float64)
    integers = torch.cat([_blocks(stored("luma")), *(_blocks(p) for p in stored("chroma"))])
    y = (integers + operator(grey))[None]
    problem = QuantisedProblem(operator, y, decoder=Decoder(operator))
    noise = iter(torch.from_numpy(vectors["noise"]).double()[:, None])
    prior = network.Network()
    method = DDRMJpeg(cases.STEPS, case.eta, case.eta_b, cases.TIMESTEPS)
    x = method(problem, prior, noise=lambda like: next(noise))
    states = [*prior.seen, x]
    for step, reference in zip(cases.KEPT, stored("x"), strict=True):
        assert (states[step][0] - reference).abs().max() <= TOLERANCE, step
