"""A picture in its file: read again, certified, and mended where rounding made it inconsistent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.io.levels import FLOAT_BITS, as_written
from restore.io.picture import is_lossy, read_picture
from restore.problem import Problem
from restore.tasks.certificate import Certificate, IntervalCertificate, certify
from restore.tasks.classical import CLASSICAL
from restore.tasks.task import Measurement, as_array


@dataclass(frozen=True, eq=False)
class Written:
    """A picture as its file shows it.

    Attributes:
        pixels: [C, H, W], in units of the input.
        rounding_std: standard deviation of the file's rounding.
        certificate: of the pixels; where a file is lossy, of what was encoded.
    """

    pixels: NDArray[np.float32]
    rounding_std: float
    certificate: Certificate | IntervalCertificate


def read_back(
    output: Path, best: Tensor, problem: Problem, scale: float, quality: int | None = None
) -> Written:
    """Read and certify what was written.

    Args:
        output: the file.
        best: the picture [C, H, W] that it was made of.
        problem: whose x it is.
        scale: white of the input (`Picture.scale`).
        quality: that was asked of the file, if any.
    """
    written = read_picture(output)
    pixels = written.pixels[: len(best)]  # WebP knows no grey: it has three channels that are equal
    if written.bits == FLOAT_BITS:
        # White is a number of its own in floating point alone.
        pixels = pixels * np.float32(written.scale / scale)
    certified = pixels
    if is_lossy(output, quality):
        # What compression loses besides rounding is not the method's, so it is not certified.
        certified = as_written(as_array(best), written.bits)
    x = torch.from_numpy(certified)[None].to(problem.y.device)
    rounding = written.rounding_std
    return Written(pixels, rounding, certify(problem, x, rounding))


def mended(method: str, best: Tensor, measurement: Measurement, written: Written) -> Tensor | None:
    """A picture near `best` [C, H, W] that stays consistent when it is written.

    None where `best` does, where it is a classical estimate, which is what it is, or where the
    measurement knows of none.
    """
    if method in CLASSICAL or written.certificate.consistent or measurement.mend is None:
        return None
    return measurement.mend(best[None], written.rounding_std)[0]
