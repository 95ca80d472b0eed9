"""`likelihood`: how probable a model finds a picture, in bits for each number of it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from torch import Tensor

from restore.errors import InputError
from restore.io.levels import FLOAT_BITS
from restore.io.picture import read_picture
from restore.methods.base import StepCallback
from restore.noise import NoiseSource
from restore.prior.models import fit_channels
from restore.sde.likelihood import Trace, bits_per_dim, dequantise, log_likelihood
from restore.tasks.opened import OpenModel
from restore.tasks.task import pixels_of

CROP = 64
MOST_EXACT = 768
"""Numbers of a picture, 16x16 in colour, up to which the exact trace is taken."""


def likelihood(
    source: Path,
    model: OpenModel,
    *,
    trace: Trace = "rademacher",
    draws: int = 4,
    crop: int = CROP,
    seed: int = 0,
    tolerance: float = 1e-3,
    on_step: StepCallback | None = None,
) -> dict[str, Any]:
    """Return the record of a picture: bits per dimension and their standard error.

    Each draw has noise of its own within the steps of the file's levels (dequantisation; none for
    floating point, whose bits are those of 8-bit levels) and a probe of its own; the standard error
    is that of their mean. A measure of the model's density at its smallest σ.

    Args:
        source: the picture.
        model: the prior.
        trace: as `log_likelihood` takes it.
        draws: at least 1.
        crop: only the centre of so many pixels a side; 0 for all.
        seed: of the noise.
        tolerance: of the solver, in nats for each number among others.
        on_step: called with (n, n, x̂) after evaluation n.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    began = time.perf_counter()
    picture = read_picture(source)
    pixels = _centre(pixels_of(picture, model.device), crop)
    size = pixels.numel()
    if trace == "exact" and size > MOST_EXACT:
        raise InputError(
            f"{source}: {size} numbers are too many for the exact trace; expected at most "
            f"{MOST_EXACT}, such as --crop 16"
        )
    try:
        prior = fit_channels(model.prior, picture.channels)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    noise = NoiseSource(seed, [(draw, 0) for draw in range(draws)])
    exact_levels = picture.bits == FLOAT_BITS
    step = 1 / 255 if exact_levels else 1 / (2**picture.bits - 1)
    x = pixels.expand(draws, -1, -1, -1)
    try:
        found = log_likelihood(
            prior, x if exact_levels else dequantise(x, step, noise), trace=trace, noise=noise,
            rtol=tolerance, atol=tolerance, on_step=on_step,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
    log_prob = found.log_prob.cpu().double()
    bits = bits_per_dim(log_prob, size, step)
    spread = float(bits.std()) / math.sqrt(draws) if draws > 1 else None
    return {
        "input": str(source),
        "task": "likelihood",
        "model": model.name,
        "bits_per_dim": float(bits.mean()),
        "standard_error": spread,
        "log_prob": float(log_prob.mean()),
        "draws": draws,
        "trace": trace,
        "dequantised": not exact_levels,
        "bits": picture.bits,
        "width": pixels.shape[-1],
        "height": pixels.shape[-2],
        "picture": [picture.width, picture.height],
        "evaluations": found.evaluations,
        "tolerance": tolerance,
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 3),
    }


def _centre(pixels: Tensor, crop: int) -> Tensor:
    if crop == 0:
        return pixels
    height, width = (min(crop, side) for side in pixels.shape[-2:])
    top, left = (pixels.shape[-2] - height) // 2, (pixels.shape[-1] - width) // 2
    return pixels[..., top : top + height, left : left + width]
