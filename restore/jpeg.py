"""JPEG as a measurement: from a file's integers to a problem, and libjpeg's own decoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from operators import Jpeg, LinearOperator, Turn
from operators.jpeg_mcu import JpegMcu
from restore.io.jpeg_file import JpegFile
from restore.quantised import HALF, QuantisedProblem

# For each step of enlargement: the dimension along which halves are rounded up and down by turns,
# and the parity of the lines that are rounded up (jdsample.c).
_HALVES_UP = {(1, 2): (-1, 1), (2, 2): (-1, 0), (2, 1): (-2, 1)}


@dataclass(frozen=True)
class JpegProblem(QuantisedProblem):
    """The problem of a JPEG file, which falls apart into those of its MCUs.

    Attributes:
        stored: A for the picture as the file stores it.
        turn: from the picture upright to the picture as stored; None where they are the same.
        foreign: blocks over the border as no picture has them, which are measured from the decoded
            picture.
    """

    stored: Jpeg | None = None
    turn: Turn | None = None
    foreign: int = 0

    def projected(self, x: Tensor, half: float | Tensor = HALF) -> Tensor:
        """As `QuantisedProblem`, MCU by MCU; with a half for each block as a whole."""
        if isinstance(half, Tensor):
            return super().projected(x, half)
        return self.by_mcus(lambda problem, mcus: problem.projected(mcus, half), x)

    def settled(self, x: Tensor, half: float | Tensor = HALF) -> Tensor:
        """As `QuantisedProblem`, MCU by MCU; with a half for each block as a whole."""
        if isinstance(half, Tensor):
            return super().settled(x, half)
        return self.by_mcus(lambda problem, mcus: problem.settled(mcus, half), x)

    def by_mcus(self, change: Callable[[QuantisedProblem, Tensor], Tensor], x: Tensor) -> Tensor:
        """x [B, *domain.shape] put together of what `change` makes of its MCUs.

        Args:
            change: called with the problem of some MCUs as a batch of pictures, and these; or with
                that of an area at a border (see `Jpeg.by_mcus`).
            x: the pictures; of one measurement any number.
        """
        assert self.stored is not None

        def changed(operator: Jpeg, y: Tensor, part: Tensor) -> Tensor:
            whole = isinstance(operator, JpegMcu)
            return change(QuantisedProblem(operator, y, independent=whole), part)

        pictures = x if self.turn is None else self.turn(x)
        measurements = self.y.expand(len(pictures), *self.y.shape[1:])
        pairs = zip(measurements.unbind(0), pictures.unbind(0), strict=True)
        out = [self.stored.by_mcus(changed, y, picture) for y, picture in pairs]
        restored = out[0][None] if len(out) == 1 else torch.stack(out)
        return restored if self.turn is None else self.turn.adjoint(restored)


def jpeg_operator(
    file: JpegFile, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> Jpeg:
    """The operator of a file, for its picture as stored."""
    return Jpeg(
        file.shape,
        file.factors if len(file.factors) == 3 else "4:4:4",
        torch.from_numpy(file.tables),
        colour="rgb" if file.colour == "rgb" else "ycc",
        dtype=dtype,
        device=device,
    )


def measured(operator: Jpeg, file: JpegFile) -> Tensor:
    """y of a file in steps of its tables: its integers plus the level shift, [blocks, 8, 8]."""
    integers = torch.from_numpy(file.coefficients).to(operator.device, operator.domain.dtype)
    return integers.add_(operator.level_shift())


def jpeg_problem(file: JpegFile, *, device: str | torch.device = "cpu") -> JpegProblem:
    """The problem of a file, for its picture upright.

    A block that reaches over the border holds what the encoder put there. Where that was not the
    last pixel again, no picture has such coefficients, and those of the decoded picture, padded
    as `Jpeg` does, stand for them.
    """
    operator = jpeg_operator(file, device=device)
    y, foreign = _padded_as_ours(operator, measured(operator, file))
    whole: LinearOperator = operator
    decoder, turn = operator.decoder, None
    if file.orientation > 1:
        channels, *size = operator.domain.shape
        upright = (channels, *(reversed(size) if file.orientation >= 5 else size))
        turn = Turn(upright, file.orientation, device=device)
        whole, decoder = operator @ turn, turn.H @ decoder
    return JpegProblem(whole, y[None], decoder=decoder, stored=operator, turn=turn, foreign=foreign)


def decode(operator: Jpeg, y: Tensor) -> Tensor:
    """The picture in [0, 1] as libjpeg shows it, with the samples rounded and clipped on the way.

    Args:
        operator: of the file, for its picture as stored.
        y: its integers plus the level shift, [..., blocks, 8, 8].
    """
    samples = [
        _levels(plane, _lowest(operator, number))
        for number, plane in enumerate(operator.samples(y))
    ]
    planes = operator.enlarged(samples).unbind(-3)
    rounded = [_rounded(plane, step) for plane, step in zip(planes, operator.steps, strict=True)]
    return _levels(operator.coloured(torch.stack(rounded, -3)))


def _padded_as_ours(operator: Jpeg, y: Tensor) -> tuple[Tensor, int]:
    """y with blocks over the border that no picture has as those of the decoded picture.

    And how many these are.

    Only the MCUs at the border are looked at: A is block-diagonal over the MCUs.
    """
    (height, width), (down, across) = operator.domain.shape[1:], operator.mcu
    foreign = 0
    for rows, columns in operator.edges:
        part, blocks = operator.part(rows, columns)
        # Decoded with the MCUs beside them, from which libjpeg interpolates chroma too.
        top, left = max(0, rows[0] - down), max(0, columns[0] - across)
        wider, near = operator.part((top, height - top), (left, width - left))
        decoded = wider.decoder(y[near]).narrow(-2, rows[0] - top, rows[1])
        pixels = decoded.narrow(-1, columns[0] - left, columns[1])[None]
        problem = QuantisedProblem(part, y[blocks][None])
        impossible = ~problem.inside(problem.settled(pixels))[0].all(-1).all(-1)
        y = y.index_copy(0, blocks[impossible], part(pixels)[0][impossible])
        foreign += int(impossible.sum())
    return y, foreign


def rounding_spread(operator: Jpeg) -> Tensor:
    """Standard deviation of y when a picture is encoded again, over that of its pixels' rounding.

    An encoder rounds Y, Cb and Cr to whole levels too. [blocks, 8, 8].
    """
    spread = operator.row_norms().square()
    if operator.converts:
        spread = spread + operator.row_norms(of_components=True).square()
    return spread.sqrt()


def typical_error(file: JpegFile) -> float:
    """Standard deviation of the error of the decoded picture, as the tables let expect.

    0.1 m^0.42 with m the mean of the 16 lowest luma steps over 255: measured on photographs of
    quality 5 (0.083) to 90 (0.016), within a fifth of the mean over six of them.
    """
    return float(0.1 * (file.tables[0, :4, :4].mean() / 255) ** 0.42)


def _lowest(operator: Jpeg, component: int) -> int:
    """Level of the sample 0: colour differences have no shift."""
    return -128 if operator.colour == "ycc" and component > 0 else 0


def _levels(plane: Tensor, lowest: int = 0) -> Tensor:
    # Halves go up, which the coarse steps of chroma make common; a hair more for rounded floats.
    return (255 * plane + (0.5 + 1e-3)).floor().clamp(lowest, lowest + 255) / 255


def _rounded(plane: Tensor, step: tuple[int, int]) -> Tensor:
    """Enlarged samples as integer levels; libjpeg rounds halves down and up by turns."""
    if step not in _HALVES_UP:
        return plane
    along, first = _HALVES_UP[step]
    odd = torch.arange(plane.shape[along], device=plane.device) % 2
    up = (odd == first).to(plane).reshape((-1, 1) if along == -2 else (1, -1))
    # Values are multiples of 1/16, so a 32nd decides the halves alone.
    return (255 * plane + 0.5 + (2 * up - 1) / 32).floor() / 255
