"""`restore mri`: from k-space to images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from operators import CartesianMRI, LinearOperator, NonCartesianMRI, SenseMRI, density_compensation
from operators.fourier import centred_ifft
from restore.errors import InputError
from restore.io.arrays import write_array
from restore.io.bart import bart_pair
from restore.io.display import write_shown
from restore.io.images import write_images
from restore.io.kspace import KSpace
from restore.io.placement import Placement
from restore.mri.baselines import cg_sense, l1_wavelet, total_variation, zero_filled
from restore.mri.coils import combined, compress_coils, prewhiten
from restore.mri.masks import KINDS
from restore.mri.noise import kspace_noise, trajectory_noise, whitened_noise
from restore.problem import Problem
from restore.tasks.coil_maps import estimated_maps, maps_along
from restore.tasks.mri_input import (
    CALIB_SIZE,
    LEAST_NOISE,
    Magnitudes,
    Measured,
    MriSettings,
    chosen_mask,
    given_maps,
    measured_kspace,
    reference_images,
    simulated_kspace,
)
from restore.tasks.scan import Images, Scan, ScanTask, check_truth
from restore.tasks.settings import RunSettings
from restore.tasks.task import Preset
from restore.tasks.total_variation import weight_of

# What a sampler starts from, and results are compared with.
BASELINE = "cg-sense"
STEPS = 10


@dataclass(frozen=True)
class About:
    """What the writers need besides the images.

    Attributes:
        spacing: mm of a pixel, (rows, columns, slices).
        header: of the DICOM file that was the source.
        placement: where the slices lie, where the file says.
        matrix: (rows, columns) that are written, the middle of the field of view; None for all.
    """

    spacing: tuple[float, float, float] | None
    header: Any = None
    placement: Placement | None = None
    matrix: tuple[int, int] | None = None


class Mri(ScanTask[MriSettings]):
    """k-space to images, coil-combined."""

    name: ClassVar[str] = "mri"
    presets: ClassVar[Mapping[str, Preset]] = {
        "fast": Preset("pnp", {"steps": 10}),
        "default": Preset("pnp", {"steps": 30}),
        "best": Preset("pnp", {"steps": 100}),
    }
    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = {"pnp": {"weight": 0.25, "sigma_max": 0.2}}
    # Of the samplers the one whose spread is about its error, with or without an SVD.
    sampling: ClassVar[Preset] = Preset("diffpir", {"steps": 20}, average=8)
    classical: ClassVar[tuple[str, ...]] = ("zero-filled", "cg-sense", "l1-wavelet", "tv")
    settings: ClassVar[type[RunSettings]] = MriSettings
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".h5", ".nii", ".dcm", ".png", ".cfl")

    def measure(
        self, source: Path, settings: MriSettings, device: torch.device, degraded: Path
    ) -> Scan:
        """The problem of a k-space file, or of a simulated one."""
        if settings.simulate:
            measured = simulated_kspace(source, settings, degraded)
        else:
            measured = Measured(measured_kspace(source, settings))
        kspace = measured.kspace
        data = torch.from_numpy(kspace.data)
        images = data if data.ndim == 4 else data[..., None]
        if kspace.noise_covariance is not None:
            try:
                images = prewhiten(images, torch.from_numpy(kspace.noise_covariance))
            except ValueError as error:
                raise InputError(f"{source}: {error}") from error
        if settings.coils is not None and settings.coils < data.shape[1]:
            if settings.maps is not None:
                raise InputError(
                    f"--coils {settings.coils}: --maps are given, expected one of the two"
                )
            images = compress_coils(images, settings.coils)
        data = images.reshape(*images.shape[:2], *data.shape[2:])
        if kspace.trajectory is not None:
            return self._along(source, settings, device, measured, data)
        return self._gridded(source, settings, device, measured, data)

    def _gridded(
        self,
        source: Path,
        settings: MriSettings,
        device: torch.device,
        measured: Measured,
        data: Tensor,
    ) -> Scan:
        kspace = measured.kspace
        assert kspace.mask is not None
        had = torch.from_numpy(kspace.mask)
        mask, described = chosen_mask(source, settings, had)
        notes = [*kspace.notes]
        full = data
        data = data * mask
        maps, found = self._maps(source, settings, measured, data, mask)
        notes += found
        operator: LinearOperator
        if maps is None:
            operator = CartesianMRI(mask, (1, *mask.shape))
            y = data
        else:
            operator, y = SenseMRI(maps, mask), data
        # What was taken away is known: the whole scan, combined by the same maps, is the truth.
        truth = measured.truth
        if (
            truth is None
            and settings.reference is None
            and bool(had.all())
            and not bool(mask.all())
        ):
            whole = CartesianMRI(had, (1, *had.shape)) if maps is None else SenseMRI(maps, had)
            truth = _magnitude(_direct(whole, full, settings)[None])[0].numpy()
        return self._scan(
            source, settings, device, measured, operator, y, kspace_noise(y, mask), None, truth,
            notes,
            {"mask": described, "acceleration": mask.numel() / int(mask.sum())},
        )  # fmt: skip

    def _along(
        self,
        source: Path,
        settings: MriSettings,
        device: torch.device,
        measured: Measured,
        data: Tensor,
    ) -> Scan:
        kspace = measured.kspace
        assert kspace.trajectory is not None
        trajectory = torch.from_numpy(kspace.trajectory)
        size = settings.size or kspace.matrix or _matrix_of(trajectory)
        density = (
            torch.from_numpy(kspace.density).float()
            if kspace.density is not None
            else density_compensation(trajectory, (1, *size))
        )
        notes = [*kspace.notes]
        if data.shape[0] > 1:
            raise InputError(
                f"{source}: {data.shape[0]} slices along one trajectory, expected --slice N"
            )
        plain = NonCartesianMRI(trajectory, (1, *size))
        edge = trajectory_noise(data, trajectory)
        maps = None
        if settings.maps is not None:
            given = given_maps(settings, kspace, size)
            if given.shape[:2] != (1, 1):
                raise InputError(
                    f"{settings.maps}: maps of {given.shape[0]} slices in {given.shape[1]} sets, "
                    "expected one set of one slice along a trajectory"
                )
            maps = given[0, 0]
        elif data.shape[1] > 1:
            noise = min(_noise_levels(kspace, edge).values())
            maps, found = maps_along(
                plain, data[0], density, settings.calib_size or CALIB_SIZE, noise, source
            )
            notes += found
        operator = NonCartesianMRI(trajectory, (1, *size), maps)
        # Weights of any scale are there: with theirs the image is the one that fits best.
        fit = operator(operator.adjoint(density * data))
        density = density * float((fit.conj() * data).real.sum() / fit.abs().square().sum())
        return self._scan(
            source, settings, device, measured, operator, data, edge, density, measured.truth,
            notes,
            {"mask": "trajectory", "samples": len(trajectory)},
        )  # fmt: skip

    def _maps(
        self,
        source: Path,
        settings: MriSettings,
        measured: Measured,
        data: Tensor,
        mask: Tensor,
    ) -> tuple[Tensor | None, list[str]]:
        """Coil maps [slices, sets, coils, H, W], given or estimated; None for one coil without."""
        if measured.maps is not None:
            return measured.maps, []
        if settings.maps is not None:
            maps = given_maps(settings, measured.kspace, tuple(mask.shape))
            if maps.shape[0] not in (1, data.shape[0]):
                raise InputError(
                    f"{settings.maps}: maps of {maps.shape[0]} slices, the scan has "
                    f"{data.shape[0]}, expected as many, or one"
                )
            return maps.expand(data.shape[0], -1, -1, -1, -1), []
        if data.shape[1] == 1:
            return None, []
        found, notes = [], []
        for one in data:
            levels = _noise_levels(measured.kspace, kspace_noise(one, mask))
            noise = min(levels.values())
            maps, said = estimated_maps(one, settings.calib_size or CALIB_SIZE, mask, noise, source)
            found.append(maps)
            notes += said
        sets = max(maps.shape[0] for maps in found)
        filled = [
            torch.cat([maps, maps.new_zeros(sets - maps.shape[0], *maps.shape[1:])])
            for maps in found
        ]
        return torch.stack(filled), list(dict.fromkeys(notes))

    def _scan(
        self,
        source: Path,
        settings: MriSettings,
        device: torch.device,
        measured: Measured,
        operator: LinearOperator,
        y: Tensor,
        edge: float,
        density: Tensor | None,
        truth: Magnitudes | None,
        notes: list[str],
        described: dict[str, Any],
    ) -> Scan:
        """The problem of an image scaled to about 1, with its classical reconstructions."""
        matrix = None if density is not None else measured.kspace.matrix
        back = _direct(operator, y, settings, density)
        scale = float(np.quantile(back.abs().numpy(), 0.99))
        if not scale > 0:
            raise InputError(f"{source}: the zero-filled image is empty, expected k-space")
        y = y / scale
        sigma = self._noise(settings, measured, edge, scale, notes)
        operator, y = operator.to(device), y.to(device)
        weights = None if density is None else density.to(device)
        problem = Problem(operator, y, sigma)
        support = _support(operator)

        def image(x: Tensor) -> Tensor:
            return _cropped(_magnitude(x * support), matrix) * scale

        if settings.reference is not None:
            truth = reference_images(settings.reference)
        elif truth is not None:
            truth = _cropped(torch.from_numpy(truth), matrix).numpy()
        if truth is not None:
            size = tuple(image(operator.adjoint(y)[None]).shape[1:])
            check_truth(truth, size, settings.reference or source)
        classical: dict[str, Callable[[], Tensor]] = {
            "zero-filled": lambda: _direct(operator, y, settings, weights),
            "cg-sense": lambda: cg_sense(operator, y, max(sigma, 1e-3), STEPS),
            "l1-wavelet": lambda: l1_wavelet(operator, y),
            "tv": lambda: total_variation(operator, y, weight_of(problem)),
        }
        return Scan(
            problem=problem,
            classical={name: cache(estimate) for name, estimate in classical.items()},
            start=BASELINE,
            baseline=BASELINE,
            image=image,
            scale=scale,
            operator={"name": operator.name} | described,
            notes=notes,
            truth=truth,
            about=About(
                measured.kspace.spacing,
                measured.header,
                measured.placement or measured.kspace.placement,
                matrix,
            ),
            resolved={"mask": settings.mask and _absolute(settings.mask)}
            | ({} if settings.simulate else {"sigma": sigma}),
            sidecar={"coils": int(y.shape[1]), "acceleration": described.get("acceleration")},
        )

    def _noise(
        self,
        settings: MriSettings,
        measured: Measured,
        edge: float,
        scale: float,
        notes: list[str],
    ) -> float:
        """σ of an image scaled to about 1, of the least of what is known of the noise."""
        if measured.noise is not None:
            return measured.noise / scale
        if isinstance(settings.sigma, float):
            return settings.sigma
        known = _noise_levels(measured.kspace, edge)
        where = min(known, key=known.__getitem__)
        sigma = max(known[where] / scale, LEAST_NOISE)
        notes.append(f"noise estimated from {where}: sigma {sigma:.4f}")
        return sigma

    def write(self, path: Path, images: Images, scan: Scan) -> list[Path]:
        """Write magnitudes in the unit of the file."""
        about: About = scan.about
        return write_images(
            path, images, "MR", spacing=about.spacing, placement=about.placement,
            header=about.header,
        )  # fmt: skip

    def preview(self, path: Path, images: Images, scan: Scan, white: float | None = None) -> None:
        """Write a PNG to look at."""
        del scan
        write_shown(path, images, white)

    def besides(self, output: Path, settings: MriSettings) -> list[Path]:
        """Likewise, with the other file of a BART pair and the complex image."""
        files = super().besides(output, settings)
        if output.suffix.lower() == ".cfl":
            files.append(bart_pair(output)[1])
        return [*files, _complex_path(output)] if settings.save_complex else files

    def write_extra(
        self, output: Path, best: Tensor, scan: Scan, settings: MriSettings
    ) -> list[Path]:
        """Write the complex image, where it is asked for."""
        if not settings.save_complex:
            return []
        path = _complex_path(output)
        about: About = scan.about
        seen = best * _support(scan.problem.operator)
        images = (_cropped(seen, about.matrix) * scan.scale).cpu().numpy()
        # [slices, sets, rows, columns]; what there is one of is left out, as in the magnitudes.
        single = tuple(axis for axis in (0, 1) if images.shape[axis] == 1)
        write_array(path, np.squeeze(images, single))
        return [path]


def _noise_levels(kspace: KSpace, edge: float) -> dict[str, float]:
    """What is known of the noise per component: its edge, and its noise scan where there is one.

    Signal makes the edge too noisy, and averages what the noise scan says: never less noise.
    """
    known = {"the edge of k-space": edge}
    if kspace.noise_covariance is not None:
        known["the noise scan"] = whitened_noise(torch.from_numpy(kspace.noise_covariance))
    return known


def _complex_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}_complex.npy")


def _matrix_of(trajectory: Tensor) -> tuple[int, int]:
    """A matrix for samples that fill a disc: as many pixels as samples, at most."""
    side = 2 * round(max(16.0, (len(trajectory) * 4 / torch.pi) ** 0.5) / 2)
    return min(side, 512), min(side, 512)


def _direct(
    operator: LinearOperator, y: Tensor, settings: MriSettings, density: Tensor | None = None
) -> Tensor:
    """The image without any iteration; maps that were given may have squares of any sum."""
    if settings.maps is not None and isinstance(operator, SenseMRI):
        return combined(centred_ifft(y), operator.coil_maps)
    return zero_filled(operator, y, density)


def _support(operator: LinearOperator) -> Tensor:
    """1 where any coil sees, 0 elsewhere."""
    if isinstance(operator, SenseMRI):
        return (operator.coil_maps.abs().sum(-3) > 0).to(operator.domain.real_dtype)
    return torch.ones(operator.domain.shape, device=operator.device)


def _magnitude(x: Tensor) -> Tensor:
    """[..., sets, H, W] to [..., H, W]."""
    magnitude: Tensor = x.abs().square().sum(-3).sqrt()
    return magnitude


def _cropped(images: Tensor, matrix: tuple[int, int] | None) -> Tensor:
    if matrix is None:
        return images
    # The middle of either is at side // 2.
    top, left = (side // 2 - m // 2 for side, m in zip(images.shape[-2:], matrix, strict=True))
    return images[..., top : top + matrix[0], left : left + matrix[1]]


def _absolute(mask: str) -> str:
    return mask if mask in KINDS else str(Path(mask).absolute())


MRI = Mri()
