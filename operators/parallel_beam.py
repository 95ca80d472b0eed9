"""Parallel-beam CT: line integrals of a 2-D image along parallel rays."""

from __future__ import annotations

import torch
from torch import Tensor

from operators.rays import RayOperator, detector_places


class ParallelBeamCT(RayOperator):
    """y(t, u) = ∫ x along the line x cos t + y sin t = u, x to the right, y up.

    Pixel (0, 0) is at the top left; the axis of rotation is the middle of the image. Lengths
    are in one unit, and y in x's unit times it. There is no fast SVD; `ray_factors` makes a
    slow one.

    Args:
        shape: Shape of x without batch, `(1, H, W)`.
        angles: t of each view, `[views]`, in radians.
        detectors: Number of detector cells.
        detector_spacing: Distance between their centres.
        pixel_size: Side of a pixel.
        center: Detector index of the axis, the first cell's centre being 0 (the middle).
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
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        cos, sin, u = detector_places(self.name, angles, detectors, detector_spacing, center)
        point = torch.stack([u * cos, u * sin], -1)
        direction = torch.stack([-sin, cos], -1).expand_as(point)
        super().__init__(shape, point, direction, pixel_size, dtype=dtype, device=device)
