"""From a file to line integrals with their geometry: measured, or simulated from an image."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from restore.ct.center import center_residuals, find_center
from restore.ct.counts import (
    binned,
    dead_cells,
    line_integrals,
    look_like_counts,
    poisson_sinogram,
    without_cells,
    without_zingers,
)
from restore.ct.rings import without_stripes
from restore.errors import InputError
from restore.io.arrays import write_array
from restore.io.sinogram import Sinogram, parse_angles, read_sinogram
from restore.noise import seeded_generator
from restore.tasks.ct_geometry import Geometry, even_views
from restore.tasks.ct_image import Attenuation, Images, read_attenuation
from restore.tasks.ct_settings import CtSettings, tried_centers
from restore.tasks.scan import slices_of

SIMULATED_VIEWS = 90
# Share of dead cells that neighbours can stand for.
_MOST_DEAD = 0.25
# Sides of pixels that count as square.
_SQUARE = 0.01


@dataclass(frozen=True)
class Lines:
    """Line integrals [slices, views, detectors] with what is known of them.

    Images of a scan without lengths are per pixel, as their files say, and not per cell, in which
    its geometry is.

    Attributes:
        values: the line integrals.
        geometry: where they run.
        center: detector index of the axis in the file, before binning.
        about: the image that they are of: spacing, header, and values where they are known.
        truth: the true images in the unit of the file, where they are known.
        exact: whether they have no noise.
        angles: as `--angles` takes them, for a repeated run.
        tried: candidates of the axis with the reconstruction of each.
        notes: what the user should know.
    """

    values: Tensor
    geometry: Geometry
    center: float
    about: Attenuation
    truth: Images | None = None
    exact: bool = False
    angles: str | None = None
    tried: dict[float, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def per_pixel(self) -> float:
        """Images in the file's unit are so many times those of the geometry."""
        return self.geometry.pixel if self.about.spacing is None else 1.0


def measured_lines(source: Path, settings: CtSettings) -> Lines:
    """Read a sinogram, and make line integrals of its counts.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    given = None if settings.angles is None else parse_angles(settings.angles, settings.angle_unit)
    found = read_sinogram(
        source, key=settings.key, angles=given, unit=settings.angle_unit, flat=settings.flat,
        dark=settings.dark, choose=lambda count: slices_of(settings.slice, count, source),
    )  # fmt: skip
    fan = _fan(source, settings, found.source_origin, found.source_detector)
    notes = [*found.notes]
    values, said = _integrals(source, found)
    notes += said
    if settings.rings:
        values = without_stripes(values)
        notes.append("rings: stripes of the sinogram are taken out")
    views, detectors = values.shape[1:]
    if found.angles is None:
        if settings.angle_unit is not None:
            raise InputError(
                f"{source}: --angle-unit {settings.angle_unit} of a scan without angles, expected "
                "--angles too"
            )
        degrees = math.degrees(_turn(fan))
        notes.append(f"no angles: {views} views are taken as even over {degrees:g}°")
        angles = _even_angles(views, fan)
    else:
        angles = torch.from_numpy(found.angles)
    center, tried, said = _center(settings, values, angles, fan)
    notes += said
    if not -detectors < center < 2 * detectors:
        raise InputError(f"{source}: --center {center:g}: the detector has {detectors} cells")
    if settings.bin > 1:
        if detectors // settings.bin < 2:
            raise InputError(f"{source}: --bin {settings.bin}: the detector has {detectors} cells")
        values = binned(values, settings.bin)
    cells = values.shape[-1]
    at_axis = 1.0 if fan is None else fan[0] / fan[1]
    known = settings.det_spacing or found.spacing
    if known is None and settings.pixel_size is not None:
        known = settings.pixel_size / at_axis / settings.bin
    if known is None and fan is not None:
        notes.append(
            "no --det-spacing: a detector cell is taken as 1 mm, of which --dso, --dsd are"
        )
    spacing = (known or 1.0) * settings.bin
    pixel = settings.pixel_size or spacing * at_axis
    geometry = Geometry(
        angles, cells, spacing, settings.size or (cells, cells), pixel,
        _after_binning(center, settings.bin), fan, settings.detector == "curved",
    )  # fmt: skip
    _refuse_reach(source, geometry)
    if settings.views is not None:
        if settings.views > views:
            raise InputError(
                f"{source}: --views {settings.views}: the scan has {views}, expected as many or "
                "fewer"
            )
        kept = even_views(views, settings.views)
        geometry, values = geometry.with_views(kept), values[:, kept]
    # Rows of the detector, which are the slices, are not binned.
    about = Attenuation(_nothing(), None if known is None else (pixel, pixel, known * at_axis))
    shown = {
        c: replace(geometry, center=_after_binning(c, settings.bin)).fbp(values) for c in tried
    }
    return Lines(
        values.contiguous(), geometry, center, about, angles=settings.angles, tried=shown,
        notes=notes,
    )  # fmt: skip


def simulated_scan(source: Path, settings: CtSettings) -> tuple[Attenuation, Geometry]:
    """The image that is to be projected, and the rays.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    image, pixel = _image(source, settings)
    rows, columns = image.values.shape[1:]
    return image, _covering(source, settings, (rows, columns), pixel)


def simulated_lines(source: Path, settings: CtSettings, degraded: Path) -> Lines:
    """Project an image, with the noise that was asked for, and write the sinogram.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    image, geometry = simulated_scan(source, settings)
    truth = torch.from_numpy(image.values)
    values = geometry.operator()(truth[:, None])[:, 0]
    generator = seeded_generator(settings.seed)
    if settings.photons is not None:
        values = poisson_sinogram(values, settings.photons, generator)
    elif isinstance(settings.sigma, float):
        values = values + settings.sigma * torch.randn(values.shape, generator=generator)
    write_array(degraded, values.numpy() if len(values) > 1 else values[0].numpy())
    lines = Lines(
        values, geometry, geometry.center, replace(image, values=_nothing()),
        exact=settings.photons is None and not settings.sigma, angles=settings.angles,
        notes=[*image.notes],
    )  # fmt: skip
    return replace(lines, truth=(lines.per_pixel * truth).numpy())


def _image(source: Path, settings: CtSettings) -> tuple[Attenuation, float]:
    """The slices to project, of the size that was asked for, and the side of their pixels."""
    image = read_attenuation(source, settings.mu_water, settings.key)
    chosen = list(slices_of(settings.slice, len(image.values), source))
    truth = torch.from_numpy(image.values[chosen])
    pixel, spacing = settings.pixel_size or 1.0, image.spacing
    if spacing is not None:
        if abs(spacing[0] / spacing[1] - 1) > _SQUARE:
            raise InputError(
                f"{source}: pixels of {spacing[0]:g} x {spacing[1]:g} mm, expected square ones"
            )
        pixel = settings.pixel_size or spacing[0]
    placement = None if image.placement is None else image.placement.taken(chosen)
    size = (truth.shape[1], truth.shape[2])
    if settings.size is not None and settings.size != size:
        if abs(size[0] * settings.size[1] / (size[1] * settings.size[0]) - 1) > _SQUARE:
            raise InputError(
                f"{source}: --size {settings.size[1]}x{settings.size[0]} of an image of "
                f"{size[1]}x{size[0]}, expected the same proportions"
            )
        placement = placement and placement.resized((pixel, pixel), size, settings.size)
        pixel *= size[0] / settings.size[0]
        truth = adaptive_avg_pool2d(truth, settings.size)
    if spacing is not None:
        spacing = (pixel, pixel, spacing[2])
    elif settings.pixel_size is not None:
        spacing = (pixel, pixel, pixel)
    if not bool((truth > 0).any()):
        raise InputError(f"{source}: nothing above 0 in it, expected an image of attenuation")
    return replace(image, values=truth.numpy(), spacing=spacing, placement=placement), pixel


def _covering(source: Path, settings: CtSettings, size: tuple[int, int], pixel: float) -> Geometry:
    """The geometry that was asked for, with a detector that sees the whole image."""
    fan = _fan(source, settings, None, None)
    radius = math.hypot(*size) / 2 * pixel
    wide, spacing = radius, settings.det_spacing or pixel
    if fan is not None:
        if fan[0] <= radius:
            raise InputError(
                f"{source}: --dso {fan[0]:g}: the image reaches {radius:.4g} mm from the axis, "
                "expected a source outside it"
            )
        spacing = settings.det_spacing or pixel * fan[1] / fan[0]
        angle = math.asin(radius / fan[0])
        wide = (angle if settings.detector == "curved" else math.tan(angle)) * fan[1]
    detectors = max(2, math.ceil(2 * wide / spacing))
    if settings.angles is not None:
        angles = torch.from_numpy(parse_angles(settings.angles, settings.angle_unit))
    else:
        angles = _even_angles(settings.views or SIMULATED_VIEWS, fan)
    center = _number(settings.center, (detectors - 1) / 2)
    return Geometry(
        angles, detectors, spacing, size, pixel, center, fan, settings.detector == "curved"
    )


def _turn(fan: tuple[float, float] | None) -> float:
    """The angle over which views see everything."""
    return math.pi if fan is None else 2 * math.pi


def _even_angles(views: int, fan: tuple[float, float] | None) -> Tensor:
    return torch.arange(views, dtype=torch.float64) * _turn(fan) / views


def _after_binning(center: float, cells: int) -> float:
    """The axis on a detector of which so many cells are one."""
    return (center + 0.5) / cells - 0.5


def _refuse_reach(source: Path, geometry: Geometry) -> None:
    """Refuse a fan that is too wide, or an image that reaches its source."""
    if geometry.widest >= math.pi / 2:
        raise InputError(
            f"{source}: the detector reaches {math.degrees(geometry.widest):.4g}° from the central "
            "ray, expected a smaller --det-spacing or a larger --dsd"
        )
    if geometry.fan is not None and geometry.fan[0] <= geometry.radius:
        raise InputError(
            f"{source}: the image reaches {geometry.radius:.4g} from the axis and the source is at "
            f"{geometry.fan[0]:g}, expected a smaller --size or --pixel-size"
        )


def refuse_unused(source: Path, settings: CtSettings) -> None:
    """Refuse an option that would change nothing.

    Raises:
        InputError: likewise.
    """
    if settings.photons is not None and settings.sigma is not None:
        raise InputError(f"{source}: --sigma with --photons, which say the noise of each ray")
    if not settings.simulate:
        return
    if settings.angles is not None and settings.views is not None:
        raise InputError(f"{source}: --views with --simulate and --angles, which say how many")
    given = {
        "flat": settings.flat is not None,
        "dark": settings.dark is not None,
        "angle-unit": settings.angles is None and settings.angle_unit is not None,
        "bin": settings.bin > 1,
        "rings": settings.rings,
        "center try:": (settings.center or "").startswith("try:"),
    }
    for name in (name for name, is_given in given.items() if is_given):
        raise InputError(f"{source}: --{name} with --simulate, which makes the scan itself")


def _integrals(source: Path, found: Sinogram) -> tuple[Tensor, list[str]]:
    data = torch.from_numpy(found.data.copy())
    notes = []
    if found.flat is None:
        if look_like_counts(data):
            notes.append(
                "WARNING: the values are larger at the ends of the detector than within, as counts "
                "are; line integrals are made of those with --flat"
            )
        return data, notes
    flat = torch.from_numpy(found.flat)
    dark = torch.zeros_like(flat) if found.dark is None else torch.from_numpy(found.dark)
    dead = dead_cells(data, flat, dark)
    share = float(dead.float().mean())
    if share > _MOST_DEAD or not bool((~dead).any(-1).all()):
        raise InputError(
            f"{source}: the flat field is no brighter than the dark one in {share:.0%} of the "
            "detector cells, expected counts of the open beam"
        )
    data, zingers = without_zingers(data)
    values, cut = line_integrals(data, flat, dark)
    if zingers:
        notes.append(f"zingers: {zingers} bright counts replaced by their neighbours")
    if bool(dead.any()):
        notes.append(f"dead cells: {int(dead.sum())} filled from their neighbours")
        values = without_cells(values, dead)
    if cut:
        notes.append(f"{cut} counts are not above the dark field: taken as nearly opaque")
    return values, notes


def _fan(
    source: Path, settings: CtSettings, origin: float | None, detector: float | None
) -> tuple[float, float] | None:
    """Distances of the source to axis and detector; None for parallel rays."""
    origin, detector = settings.dso or origin, settings.dsd or detector
    kind = settings.geometry or ("fan" if origin or detector else "parallel")
    if kind == "parallel":
        if settings.dso or settings.dsd:
            raise InputError(f"{source}: --dso, --dsd of parallel rays, expected --geometry fan")
        if settings.detector is not None:
            raise InputError(
                f"{source}: --detector {settings.detector} of parallel rays, expected --dso, --dsd"
            )
        return None
    if origin is None or detector is None:
        raise InputError(f"{source}: a fan beam without its distances, expected --dso and --dsd")
    if detector <= 0 or origin <= 0 or detector < origin:
        raise InputError(
            f"{source}: --dso {origin:g} and --dsd {detector:g}, expected 0 < dso <= dsd"
        )
    return origin, detector


def _number(center: str | None, otherwise: float) -> float:
    return otherwise if center is None or center == "auto" or ":" in center else float(center)


def _center(
    settings: CtSettings, values: Tensor, angles: Tensor, fan: tuple[float, float] | None
) -> tuple[float, list[float], list[str]]:
    """The axis, the candidates that are to be shown, and what the user should know."""
    middle = (values.shape[-1] - 1) / 2
    chosen = settings.center
    if chosen is not None and chosen.startswith("try:"):
        candidates = tried_centers(chosen)
        if fan is not None:
            return middle, candidates, [f"center of rotation: {middle:g}, the middle"]
        sizes = center_residuals(values, angles, candidates)
        best = candidates[sizes.index(min(sizes))]
        return best, candidates, [f"center of rotation: {best:g}, the best of those tried"]
    if chosen is not None and chosen != "auto":
        return float(chosen), [], []
    if fan is not None:
        return middle, [], [f"center of rotation: {middle:g}, the middle of the detector"]
    found = find_center(values, angles)
    note = f"center of rotation: {found.index:.2f} (the middle of the detector is {middle:g})"
    if not found.improved:
        note += "; WARNING: no other fits better than the middle, see --center try:START:STOP:STEP"
    elif found.cut:
        note += "; WARNING: the views are cut off at an end, see --center try:START:STOP:STEP"
    return found.index, [], [note]


def _nothing() -> Any:
    import numpy as np

    return np.zeros((0, 0, 0), np.float32)
