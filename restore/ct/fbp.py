"""Filtered back-projection of parallel-beam scans over half a turn, a turn, or less."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from restore.ct.redundancy import Arc, centred, ray_weights

FILTERS = ("ramp", "shepp-logan", "cosine", "hann")
# Pixels that are back-projected at a time.
_BAND = 2**16


def _response(size: int, window: str, step: float) -> Tensor:
    """The ramp of a detector with cells of width 1, from its samples in space, so DC is right.

    On an arc with cells of the angle `step`, the sample n is multiplied by (n step/sin(n step))².
    """
    n = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64)
    kernel = torch.where(n.remainder(2) == 1, -1 / (math.pi * n).square(), 0.0)
    # No two rays of a fan are half a turn apart.
    kernel = kernel * torch.where(n.abs() * step < 3, torch.sinc(n * step / math.pi), 1.0) ** -2
    kernel[0] = 0.25
    ramp = torch.fft.rfft(kernel).real
    share = torch.fft.rfftfreq(size, dtype=torch.float64) / 0.5
    windows = {
        "ramp": torch.ones_like(share),
        "shepp-logan": torch.sinc(share / 2),
        "cosine": (math.pi / 2 * share).cos(),
        "hann": (1 + (math.pi * share).cos()) / 2,
    }
    if window not in windows:
        raise ValueError(f"fbp: the filter is one of {', '.join(FILTERS)}, not {window}")
    response: Tensor = ramp * windows[window]
    return response


def filtered_lines(sinogram: Tensor, window: str, step: float = 0.0) -> Tensor:
    """Return the filtered views `[..., detectors + 2]`, with an empty cell on each side.

    Args:
        sinogram: `[..., detectors]`, cells of width 1.
        window: One of `FILTERS`.
        step: Angle between the cells of an arc about the source; 0 for a flat detector.

    Raises:
        ValueError: For an unknown filter.
    """
    detectors = sinogram.shape[-1]
    padded = 2 ** math.ceil(math.log2(2 * detectors))
    response = _response(padded, window, step).to(sinogram)
    filtered = torch.fft.irfft(torch.fft.rfft(sinogram, padded) * response, padded)
    return torch.nn.functional.pad(filtered[..., :detectors], (1, 1))


def parallel_fbp(
    sinogram: Tensor,
    angles: Tensor,
    size: tuple[int, int],
    detector_spacing: float = 1.0,
    pixel_size: float = 1.0,
    center: float | None = None,
    *,
    window: str = "ramp",
) -> Tensor:
    """Return the image `[*batch, H, W]` of line integrals `[*batch, views, detectors]`.

    The views are in any order, and as dense here and there as they are. What less than π of them
    see is taken for the rest: the weights then have the sum π, too.

    Args:
        sinogram: As `operators.ParallelBeamCT` measures it.
        angles: `[views]` in radians.
        size: (H, W).
        detector_spacing: Between the centres of cells.
        pixel_size: Side of a pixel.
        center: Detector index of the axis (the middle).
        window: One of `FILTERS`.

    Raises:
        ValueError: For an unknown filter.

    Source: Kak, Slaney, "Principles of computerized tomographic imaging", 1988, chapter 3.
    """
    views, detectors = sinogram.shape[-2:]
    if angles.shape != (views,):
        raise ValueError(f"fbp: {views} views, but angles {list(angles.shape)}")
    middle = (detectors - 1) / 2 if center is None else center
    turn = angles.detach().cpu().double()
    arc = Arc.of(turn)
    weights = ray_weights(arc, turn, turn.new_zeros(detectors), detectors, middle)
    weights = weights * max(1.0, math.pi / arc.length) / detector_spacing
    scaled, middle = centred(arc, sinogram * weights.to(sinogram), middle)
    filtered = filtered_lines(scaled, window)

    def seen(x: Tensor, y: Tensor, t: float) -> tuple[Tensor, None]:
        return (x * math.cos(t) + y * math.sin(t)) / detector_spacing + middle + 1, None

    return back_projected(filtered, turn, size, pixel_size, seen)


def back_projected(
    lines: Tensor,
    turn: Tensor,
    size: tuple[int, int],
    pixel_size: float,
    seen: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor | None]],
) -> Tensor:
    """Return the image `[*batch, H, W]` of what every view has where it sees a pixel.

    Band by band, so that what a view needs of an image of any size stays in a processor's cache.

    Args:
        lines: Filtered views `[*batch, views, cells]`, the first and the last cell empty.
        turn: Angles of the views.
        size: (H, W).
        pixel_size: Side of a pixel.
        seen: Gives the cell that pixels at (x, y) are seen in by the view of an angle, and with
            which weights, if any.
    """
    (height, width), last = size, lines.shape[-1] - 1
    x = (torch.arange(width, dtype=torch.float64) - (width - 1) / 2) * pixel_size
    y = ((height - 1) / 2 - torch.arange(height, dtype=torch.float64))[:, None] * pixel_size
    image = lines.new_zeros(*lines.shape[:-2], height * width)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        band = image[..., top * width : (top + rows) * width]
        for view, t in enumerate(turn.tolist()):
            place, weights = seen(x, y[top : top + rows], t)
            place = place.flatten().clamp_(0, last)
            low = place.floor().clamp_max_(last - 1)
            share, index = (place - low).to(lines), low.long().to(lines.device)
            line = lines[..., view, :]
            left, right = line.index_select(-1, index), line[..., 1:].index_select(-1, index)
            value = left * (1 - share) + right * share
            band += value if weights is None else value * weights.flatten().to(lines)
    return image.reshape(*lines.shape[:-2], height, width)
