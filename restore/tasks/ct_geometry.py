"""The geometry of a CT scan: where its rays run, and the operators and classical images of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from operators import FanBeamCT, ParallelBeamCT
from operators.rays import RayOperator
from restore.ct.fan_fbp import fan_fbp
from restore.ct.fbp import parallel_fbp


@dataclass(frozen=True)
class Geometry:
    """Rays of one slice, lengths in one unit.

    Attributes:
        angles: [views] in radians.
        detectors: number of cells.
        spacing: between their centres.
        size: (rows, columns) of the image.
        pixel: side of a pixel.
        center: detector index of the axis, the centre of the first cell being 0.
        fan: distances from the source to the axis and to the detector; None for parallel rays.
        curved: whether the detector of a fan is an arc about the source.
    """

    angles: Tensor
    detectors: int
    spacing: float
    size: tuple[int, int]
    pixel: float
    center: float
    fan: tuple[float, float] | None = None
    curved: bool = False

    def operator(self, unit: float = 1.0) -> RayOperator:
        """The projector of images whose values are per length of 1/unit."""
        shape = (1, *self.size)
        spacing, pixel = self.spacing * unit, self.pixel * unit
        if self.fan is None:
            return ParallelBeamCT(shape, self.angles, self.detectors, spacing, pixel, self.center)
        origin, detector = (length * unit for length in self.fan)
        return FanBeamCT(
            shape, self.angles, self.detectors, spacing, pixel, self.center,
            source_origin=origin, source_detector=detector, curved=self.curved,
        )  # fmt: skip

    def fbp(self, sinogram: Tensor, window: str = "ramp") -> Tensor:
        """Filtered back-projection of [..., views, detectors]."""
        if self.fan is None:
            return parallel_fbp(
                sinogram, self.angles, self.size, self.spacing, self.pixel, self.center,
                window=window,
            )  # fmt: skip
        return fan_fbp(
            sinogram, self.angles, self.size, self.spacing, self.pixel, self.center,
            source_origin=self.fan[0], source_detector=self.fan[1], curved=self.curved,
            window=window,
        )  # fmt: skip

    def with_views(self, kept: Tensor) -> Geometry:
        """The same rays of some views."""
        return replace(self, angles=self.angles[kept])

    @property
    def radius(self) -> float:
        """From the axis to a corner of the image."""
        return math.hypot(*self.size) / 2 * self.pixel

    @property
    def widest(self) -> float:
        """Largest angle of a ray to the central one."""
        if self.fan is None:
            return 0.0
        reach = max(self.center, self.detectors - 1 - self.center) * self.spacing / self.fan[1]
        return reach if self.curved else math.atan(reach)

    @property
    def described(self) -> dict[str, Any]:
        """For the sidecar; degrees."""
        degrees = self.angles.double() * (180 / math.pi)
        about: dict[str, Any] = {
            "geometry": "parallel" if self.fan is None else "fan",
            "views": len(self.angles),
            "first_angle": float(degrees[0]),
            "last_angle": float(degrees[-1]),
            "detectors": self.detectors,
            "det_spacing": self.spacing,
            "pixel_size": self.pixel,
        }
        if self.fan is not None:
            about |= {"dso": self.fan[0], "dsd": self.fan[1]}
            about["detector"] = "curved" if self.curved else "flat"
        return about


def even_views(total: int, views: int) -> Tensor:
    """Numbers of `views` of `total` views, spread evenly from the first on."""
    return torch.arange(views) * total // views
