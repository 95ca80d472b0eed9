"""`restore ct`: from sinograms to attenuation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from operators import Diagonal, LinearOperator, NoFastSVD
from operators.rays import RayOperator
from restore.ct.counts import poisson_std, sinogram_noise
from restore.ct.iterative import sirt
from restore.errors import InputError
from restore.methods.base import StepCallback
from restore.problem import Problem
from restore.tasks.baselines import LEAST_NOISE
from restore.tasks.ct_image import (
    Attenuation,
    Images,
    read_attenuation,
    show_attenuation,
    write_attenuation,
)
from restore.tasks.ct_input import (
    Lines,
    measured_lines,
    refuse_unused,
    simulated_lines,
    simulated_scan,
)
from restore.tasks.ct_settings import CtSettings
from restore.tasks.ct_svd import exact_factors
from restore.tasks.scan import Estimate, Scan, ScanTask, check_truth
from restore.tasks.task import Preset
from restore.tasks.total_variation import total_variation

BASELINE = "fbp"
# From few views or a limited angle total variation is 4 to 10 dB above filtered back-projection.
START = "tv"
# What is 1 inside: all but one pixel in two hundred of a smooth reconstruction are below.
_BRIGHTEST = 0.995
# Total variation has images in [0, 1]: so many times what is 1 elsewhere.
_ROOM = 2.0
# Of the largest line integral: no discrete model of rays is closer to the world.
_MODEL = 1e-3
# What float32 leaves room around for squares of noise and weights.
_MOST = 1e12
# Largest line integrals that rays come through with: fainter and larger ones are brought there, as
# what methods take for the least noise is of pictures in [0, 1].
_FAINT, _OPAQUE = 1.0, 20.0
# Standard deviation of the pixels of an image that is about 1, of the ridge that `cg` adds.
_SPREAD = 0.2


class Ct(ScanTask[CtSettings]):
    """Sinograms to attenuation in 1/mm, or per pixel where no length is known."""

    name: ClassVar[str] = "ct"
    presets: ClassVar[Mapping[str, Preset]] = {
        "fast": Preset("pnp", {"steps": 10}),
        "default": Preset("pnp", {"steps": 20}),
        "best": Preset("pnp", {"steps": 40}),
    }
    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pnp": {"weight": 0.25, "sigma_max": 0.2},
        "snips": {"steps": 40, "inner": 1},
    }
    sampling: ClassVar[Preset] = Preset("diffpir", {"steps": 20}, average=4)
    classical: ClassVar[tuple[str, ...]] = ("fbp", "sirt", "tv", "cg")
    settings: ClassVar[type[CtSettings]] = CtSettings
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".tif", ".tiff", ".nii", ".dcm", ".png")

    def check(self, source: Path, settings: CtSettings) -> None:
        """Read a sinogram, or the image of one that is simulated, and its reference."""
        refuse_unused(source, settings)
        if settings.simulate:
            simulated_scan(source, settings)
        else:
            self._truth(source, settings, measured_lines(source, settings))

    def measure(
        self, source: Path, settings: CtSettings, device: torch.device, degraded: Path
    ) -> Scan:
        """The problem of a sinogram, or of an image that is projected first."""
        refuse_unused(source, settings)
        if settings.simulate:
            lines = simulated_lines(source, settings, degraded)
        else:
            lines = measured_lines(source, settings)
        geometry, y, notes = lines.geometry, lines.values[:, None], [*lines.notes]
        smooth = geometry.fbp(lines.values, "hann")
        # torch's takes 2²⁴ values at most.
        scale = float(np.quantile(smooth.flatten(1), _BRIGHTEST, axis=1).max())
        if not scale > 0:
            raise InputError(f"{source}: the back-projection is empty, expected line integrals")
        largest = float(y.abs().max())
        if not 1 / _MOST < largest < _MOST:
            raise InputError(
                f"{source}: line integrals up to {largest:.3g}, expected some between "
                f"{1 / _MOST:g} and {_MOST:g}"
            )
        unit = largest / min(max(largest, _FAINT), _OPAQUE)
        # In lengths of unit/scale an image is about 1, and the line integrals are those in units.
        operator = geometry.operator(scale / unit).to(device)
        plain = (y / unit).to(device)
        rays, whole = plain, cast(LinearOperator, operator)
        if settings.photons is not None:
            # The mean of binned cells is as noisy as one cell of all their photons.
            each = poisson_std(y, settings.photons * settings.bin)
            # So that the mean square weight is 1, and the residual is in units of y.
            sigma = float(each.square().reciprocal().mean().rsqrt())
            weights = (sigma / each).to(device)
            whole = Diagonal(weights, operator.codomain.shape, device=device) @ operator
            rays = weights * plain
            notes.append(
                f"noise of {settings.photons:g} photons a ray: sigma {sigma:.4g} on average"
            )
        else:
            sigma = self._noise(settings, lines, notes)
        std, worth = sigma / unit, scale * lines.per_pixel
        problem = Problem(whole, rays, std)
        fbp = geometry.fbp(lines.values)[:, None].to(device) / scale
        ridge = (max(std, LEAST_NOISE) / _SPREAD) ** 2

        def least_variation(on_step: StepCallback | None) -> Tensor:
            roomy = Problem(_ROOM * whole, rays, std)
            return _ROOM * total_variation(roomy, fbp / _ROOM, on_step=on_step)

        classical: dict[str, Callable[[StepCallback | None], Tensor]] = {
            "fbp": lambda _: fbp,
            "sirt": lambda on_step: sirt(operator, plain, on_step=on_step),
            "cg": lambda _: whole.solve_normal(whole.adjoint(rays), ridge),
            "tv": least_variation,
        }
        return Scan(
            problem=problem,
            classical={name: Estimate(make) for name, make in classical.items()},
            start=START,
            baseline=BASELINE,
            image=lambda x: x[..., 0, :, :] * worth,
            scale=worth,
            unit=unit,
            operator={"name": operator.name} | geometry.described,
            notes=notes,
            truth=self._truth(source, settings, lines),
            about=(lines, settings.mu_water),
            resolved={"center": repr(float(lines.center)), "angles": _absolute(settings.angles)}
            | ({} if settings.simulate or settings.photons else {"sigma": sigma}),
            sidecar={
                "center": lines.center,
                "spacing": None if lines.about.spacing is None else geometry.pixel,
                "unit": "1/pixel" if lines.about.spacing is None else "1/mm",
                "photons": settings.photons,
                "mu_water": settings.mu_water,
            },
        )

    def factorised(self, scan: Scan, on_step: StepCallback | None) -> Scan:
        """Make the exact SVD of the scan, or take the one that was kept, of its geometry.

        Raises:
            NoFastSVD: if each ray has a weight, or the rays are not symmetric.
            InputError: if memory is short.
        """
        problem, (lines, _) = scan.problem, scan.about
        operator = problem.operator
        if operator.svd_or_none() is not None:
            return scan
        if not isinstance(operator, RayOperator):
            raise NoFastSVD("--photons weights the rays, which leaves no SVD")
        unit = lines.geometry.operator(1 / lines.geometry.pixel).to(operator.device)

        def show(done: int, total: int) -> None:
            if on_step is not None:
                on_step(done, total, scan.classical[BASELINE]())

        svd = exact_factors(unit, show).svd(operator)
        solved = Problem(operator.with_svd(svd), problem.y, problem.noise_std)
        return dataclasses.replace(scan, problem=solved)

    def _noise(self, settings: CtSettings, lines: Lines, notes: list[str]) -> float:
        if isinstance(settings.sigma, float) and not lines.exact:
            return settings.sigma
        least = _MODEL * float(lines.values.abs().max())
        if lines.exact:
            return least
        sigma = max(sinogram_noise(lines.values), least)
        notes.append(f"noise estimated from the sinogram: sigma {sigma:.4g} of a line integral")
        return sigma

    def _truth(self, source: Path, settings: CtSettings, lines: Lines) -> Images | None:
        truth = lines.truth
        if settings.reference is not None:
            truth = read_attenuation(settings.reference, settings.mu_water, settings.key).values
        size = (len(lines.values), *lines.geometry.size)
        if truth is not None:
            check_truth(truth, size, settings.reference or source)
        return truth

    def check_output(self, output: Path, scan: Scan) -> None:
        """Refuse DICOM, which is in HU, where no length is known."""
        if output.suffix.lower() == ".dcm" and _about(scan)[0].spacing is None:
            raise InputError(
                f"{output}: DICOM is in HU, of attenuation in 1/mm, found no length in the scan, "
                "expected --det-spacing or --pixel-size, or another suffix"
            )

    def write(self, path: Path, images: Images, scan: Scan) -> list[Path]:
        """Write attenuation; DICOM in HU."""
        about, mu_water = _about(scan)
        return write_attenuation(path, images, about, mu_water)

    def write_deviation(self, path: Path, deviation: Images, scan: Scan) -> list[Path]:
        """Likewise a standard deviation."""
        about, mu_water = _about(scan)
        return write_attenuation(path, deviation, about, mu_water, zero=0.0)

    def preview(self, path: Path, images: Images, scan: Scan, white: float | None = None) -> None:
        """Write a PNG to look at."""
        about, mu_water = _about(scan)
        show_attenuation(path, images, about, mu_water, white)

    def besides(self, output: Path, settings: CtSettings) -> list[Path]:
        """Likewise, with the contact sheet of `--center try:…`."""
        files = super().besides(output, settings)
        tried = (settings.center or "").startswith("try:")
        return [*files, _centers_path(output)] if tried else files

    def write_extra(
        self,
        output: Path,
        best: Tensor,  # noqa: ARG002
        scan: Scan,
        settings: CtSettings,  # noqa: ARG002
    ) -> list[Path]:
        """Write the contact sheet of `--center try:…`, left to right and down."""
        tried = scan.about[0].tried
        if not tried:
            return []
        path = _centers_path(output)
        about, mu_water = _about(scan)
        sheet = torch.stack([images[len(images) // 2] for images in tried.values()])
        show_attenuation(path, sheet.numpy(), about, mu_water)
        scan.notes.append(f"{path.name}: {', '.join(f'{c:g}' for c in tried)}, left to right, down")
        return [path]


def _centers_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}_centers.png")


def _about(scan: Scan) -> tuple[Attenuation, float]:
    lines, mu_water = scan.about
    return lines.about, mu_water


def _absolute(angles: str | None) -> str | None:
    return angles if angles is None or not Path(angles).exists() else str(Path(angles).absolute())


CT = Ct()
