"""What `restore ct` lets the user choose."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import PositiveInt, field_validator

from restore.tasks.settings import RunSettings

# Attenuation of water in 1/mm at 70 keV, about the mean energy of a clinical scan (NIST XCOM).
MU_WATER = 0.0193


class CtSettings(RunSettings):
    """σ is in units of a line integral, lengths in mm; None is what the file says, or a default."""

    model: str = "ct"
    flat: Path | None = None
    dark: Path | None = None
    angles: str | None = None
    angle_unit: Literal["deg", "rad"] | None = None
    geometry: Literal["parallel", "fan"] | None = None
    detector: Literal["flat", "curved"] | None = None
    dso: float | None = None
    dsd: float | None = None
    det_spacing: float | None = None
    center: str | None = None
    photons: float | None = None
    slice: str = "all"
    views: PositiveInt | None = None
    size: tuple[PositiveInt, PositiveInt] | None = None
    pixel_size: float | None = None
    bin: PositiveInt = 1
    rings: bool = False
    key: str | None = None
    mu_water: float = MU_WATER

    @field_validator("dso", "dsd", "det_spacing", "photons", "pixel_size", "mu_water")
    @classmethod
    def _is_positive(cls, value: float | None) -> float | None:
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ValueError(f"{value} is not positive; expected a finite number above 0")
        return value

    @field_validator("center")
    @classmethod
    def _center_is_one(cls, value: str | None) -> str | None:
        if value is None or value == "auto":
            return value
        try:
            if value.startswith("try:"):
                tried_centers(value)
            elif not math.isfinite(float(value)):
                raise ValueError
        except ValueError:
            raise ValueError(f"{value}: expected auto, a number or try:START:STOP:STEP") from None
        return value


def tried_centers(text: str) -> list[float]:
    """The candidates of try:START:STOP:STEP, the stop included where a step meets it.

    Raises:
        ValueError: if it is not that, or there is none or more than a hundred.
    """
    start, stop, step = (float(part) for part in text.removeprefix("try:").split(":"))
    count = int((stop - start) / step + 1e-6) + 1 if step > 0 else 0
    if not 1 <= count <= 100:
        raise ValueError
    return [start + i * step for i in range(count)]
