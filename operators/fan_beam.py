"""Fan-beam CT: line integrals of a 2-D image from a source to a flat or curved detector."""

from __future__ import annotations

import torch
from torch import Tensor

from operators.rays import RayOperator, detector_places


class FanBeamCT(RayOperator):
    """y(t, u) = ∫ x along the ray from the source dso (sin t, −cos t) to detector cell u.

    A flat detector lies along (cos t, sin t); a curved one is an arc about the source, u along
    it. The image lies between source and detector. There is no fast SVD; `ray_factors` makes a
    slow one.

    Args:
        shape: Shape of x without batch, `(1, H, W)`.
        angles: t of each view, `[views]`, in radians.
        detectors: Number of detector cells.
        detector_spacing: Distance between their centres, on the detector.
        pixel_size: Side of a pixel.
        center: Detector index of the central ray, the first cell's centre being 0 (the middle).
        source_origin: Distance dso from the source to the axis.
        source_detector: Distance dsd from the source to the detector.
        curved: Whether the detector is an arc.
        dtype: `float32` or `float64`.
        device: Device of the rays.

    y is `[*batch, 1, views, detectors]`.

    Raises:
        ShapeError: If shape or angles have other dimensions.
        ValueError: If a length is not positive or an angle not finite.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        angles: Tensor,
        detectors: int,
        detector_spacing: float = 1.0,
        pixel_size: float = 1.0,
        center: float | None = None,
        *,
        source_origin: float,
        source_detector: float,
        curved: bool = False,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        if not (source_origin > 0 and source_detector > 0):
            raise ValueError(f"{self.name}: the distances of the source must be positive")
        cos, sin, u = detector_places(self.name, angles, detectors, detector_spacing, center)
        across, along = u, torch.full_like(u, source_detector)
        if curved:
            across, along = (u / source_detector).sin(), (u / source_detector).cos()
        direction = torch.stack([across * cos - along * sin, across * sin + along * cos], -1)
        source = torch.stack([source_origin * sin, -source_origin * cos], -1)
        super().__init__(
            shape, source.expand_as(direction), direction, pixel_size, dtype=dtype, device=device
        )
