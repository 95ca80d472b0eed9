"""Filtered back-projection of fan-beam scans over a full turn, a short scan, or less."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restore.ct.fbp import back_projected, filtered_lines
from restore.ct.redundancy import Arc, centred, ray_weights


def fan_fbp(
    sinogram: Tensor,
    angles: Tensor,
    size: tuple[int, int],
    detector_spacing: float = 1.0,
    pixel_size: float = 1.0,
    center: float | None = None,
    *,
    source_origin: float,
    source_detector: float,
    curved: bool = False,
    window: str = "ramp",
) -> Tensor:
    """Return the image `[*batch, H, W]` of line integrals `[*batch, views, detectors]`.

    With γ the angle of a ray to the central one, w the weight of a ray among those along the same
    line, and h the ramp, on a flat detector scaled to the axis (cells s)

        x(p) = Σ_views Δt U⁻² Σ_s h(s_p − s) w y dso/√(dso² + s²),    U = ℓ/dso,

    and on a curved one U⁻² becomes L⁻², s becomes γ, h(γ) gains (γ/sin γ)², and the cosine weight
    is dso cos γ; ℓ is the distance from the source to p along the central ray, L the distance.
    The views are in any order and direction; of less than π and the fan, what they see is used.

    Args:
        sinogram: As `operators.FanBeamCT` measures it.
        angles: `[views]` in radians.
        size: (H, W).
        detector_spacing: Between the centres of cells, on the detector.
        pixel_size: Side of a pixel.
        center: Detector index of the central ray (the middle).
        source_origin: Distance dso from the source to the axis.
        source_detector: Distance from the source to the detector.
        curved: Whether the detector is an arc.
        window: One of `FILTERS`.

    Raises:
        ValueError: For an unknown filter, an image that reaches the
            source, or angles that are not one for each view.

    Source: Kak, Slaney, "Principles of computerized tomographic imaging", 1988, section 3.4.
    """
    views, detectors = sinogram.shape[-2:]
    if angles.shape != (views,):
        raise ValueError(f"fbp: {views} views, but angles {list(angles.shape)}")
    if math.hypot(*size) * pixel_size / 2 >= source_origin:
        raise ValueError("fbp: the source lies within the circle around the image")
    middle = (detectors - 1) / 2 if center is None else center
    cells = (torch.arange(detectors, dtype=torch.float64) - middle) * detector_spacing
    step = detector_spacing / source_detector
    gamma = cells / source_detector if curved else torch.atan(cells / source_detector)
    turn = angles.detach().cpu().double()
    arc = Arc.of(turn)
    weights = ray_weights(arc, turn, gamma, detectors, middle) * gamma.cos()
    if curved:
        weights = weights * source_origin
    scaled, middle = centred(arc, sinogram * weights.to(sinogram), middle)
    lines = filtered_lines(scaled, window, step if curved else 0.0)
    lines = lines / (step if curved else step * source_origin)

    def seen(x: Tensor, y: Tensor, t: float) -> tuple[Tensor, Tensor]:
        across = x * math.cos(t) + y * math.sin(t)
        along = source_origin - x * math.sin(t) + y * math.cos(t)
        if curved:
            place = torch.atan2(across, along) / step
            closeness = 1 / (along.square() + across.square())
        else:
            place = across / along / step
            closeness = (source_origin / along).square()
        return place + middle + 1, closeness

    return back_projected(lines, turn, size, pixel_size, seen)
