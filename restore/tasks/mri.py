"""`restore mri`: from k-space to images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import field_validator
from torch import Tensor

from operators import CartesianMRI, LinearOperator, NonCartesianMRI, SenseMRI, density_compensation
from operators.fourier import centred_fft
from restore.errors import InputError
from restore.io.arrays import ARRAY_SUFFIXES, read_array, write_array
from restore.io.atomic import atomic_path
from restore.io.bart import write_bart
from restore.io.dicom import read_dicom, write_dicom
from restore.io.display import write_shown
from restore.io.kspace import (
    KSpace,
    along,
    read_coil_maps,
    read_kspace,
    read_trajectory,
    sampled,
)
from restore.io.nifti import read_nifti, write_nifti
from restore.io.picture import read_picture
from restore.mri.baselines import cg_sense, l1_wavelet, total_variation, zero_filled
from restore.mri.coils import compress_coils, prewhiten, simulated_coils
from restore.mri.masks import KINDS, make_mask
from restore.mri.noise import kspace_noise
from restore.mri.phase import smooth_phase
from restore.problem import Problem
from restore.tasks.coil_maps import estimated_maps
from restore.tasks.scan import Images, Scan, ScanTask, slices_of
from restore.tasks.settings import RunSettings
from restore.tasks.task import Preset

# What a sampler starts from, and results are compared with.
BASELINE = "cg-sense"
STEPS = 10
# σ of an image scaled to 1, where nothing is known of the noise of a trajectory's samples.
UNKNOWN_NOISE = 0.01
SIMULATED_COILS = 8
Magnitudes = NDArray[np.float32]


class MriSettings(RunSettings):
    """What `restore mri` lets the user choose; σ is in units of an image scaled to about 1."""

    model: str = "brain"
    maps: Path | None = None
    calib: Literal["espirit"] = "espirit"
    calib_size: int = 24
    mask: str | None = None
    acceleration: float | None = None
    center_fraction: float = 0.08
    slice: str = "all"
    key: str | None = None
    dc: Literal["centre", "corner"] = "centre"
    traj: Path | None = None
    dcf: Path | None = None
    coils: int | None = None
    save_complex: bool = False

    @field_validator("acceleration")
    @classmethod
    def _acceleration_is_one(cls, value: float | None) -> float | None:
        if value is not None and not 1 <= value <= 1000:
            raise ValueError(f"{value} is no acceleration; expected a number from 1")
        return value


@dataclass(frozen=True)
class About:
    """What the writers need besides the images.

    Attributes:
        spacing: mm of a pixel, (rows, columns, slices).
        header: of the DICOM file that was the source.
    """

    spacing: tuple[float, float, float] | None
    header: Any = None


@dataclass(frozen=True)
class _Measured:
    """k-space with what is known of it besides: the truth in its unit, and the header."""

    kspace: KSpace
    truth: Magnitudes | None = None
    maps: Tensor | None = None
    header: Any = None


class Mri(ScanTask[MriSettings]):
    """k-space to images, coil-combined."""

    name: ClassVar[str] = "mri"
    presets: ClassVar[Mapping[str, Preset]] = {
        "fast": Preset("pnp", {"steps": 10}),
        "default": Preset("pnp", {"steps": 30}),
        "best": Preset("pnp", {"steps": 100}),
    }
    sampling: ClassVar[Preset] = Preset("ddrm", {"steps": 20, "eta": 1.0}, average=8)
    without_svd: ClassVar[Preset | None] = Preset("diffpir", {"steps": 20}, average=8)
    classical: ClassVar[tuple[str, ...]] = ("zero-filled", "cg-sense", "l1-wavelet", "tv")
    settings: ClassVar[type[RunSettings]] = MriSettings
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".h5", ".nii", ".dcm", ".png", ".cfl")

    def measure(
        self, source: Path, settings: MriSettings, device: torch.device, degraded: Path
    ) -> Scan:
        """The problem of a k-space file, or of a simulated one."""
        if settings.simulate:
            measured = _simulated(source, settings, degraded)
        else:
            measured = _Measured(_read(source, settings))
        kspace = measured.kspace
        data = torch.from_numpy(kspace.data)
        if kspace.noise_covariance is not None:
            data = prewhiten(data, torch.from_numpy(kspace.noise_covariance))
        if settings.coils is not None and settings.coils < data.shape[1]:
            data = compress_coils(data if data.ndim == 4 else data[..., None], settings.coils)
            data = data.reshape(*data.shape[:2], *kspace.data.shape[2:])
        if kspace.trajectory is not None:
            return self._along(source, settings, device, measured, data)
        return self._gridded(source, settings, device, measured, data)

    def _gridded(
        self,
        source: Path,
        settings: MriSettings,
        device: torch.device,
        measured: _Measured,
        data: Tensor,
    ) -> Scan:
        kspace = measured.kspace
        assert kspace.mask is not None
        had = torch.from_numpy(kspace.mask)
        mask, described = _mask(source, settings, had)
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
            truth = _magnitude(whole.adjoint(full)[None])[0].numpy()
        noise = kspace_noise(y, mask)
        return self._scan(
            source, settings, device, measured, operator, y, noise, None, truth, notes,
            {"mask": described, "acceleration": mask.numel() / int(mask.sum())},
        )  # fmt: skip

    def _along(
        self,
        source: Path,
        settings: MriSettings,
        device: torch.device,
        measured: _Measured,
        data: Tensor,
    ) -> Scan:
        kspace = measured.kspace
        assert kspace.trajectory is not None
        trajectory = torch.from_numpy(kspace.trajectory)
        size = kspace.matrix or _matrix_of(trajectory)
        density = (
            torch.from_numpy(kspace.density).float()
            if kspace.density is not None
            else density_compensation(trajectory, (1, *size))
        )
        notes = [*kspace.notes]
        if data.shape[0] > 1:
            raise InputError(f"{source}: {data.shape[0]} slices along one trajectory, expected one")
        plain = NonCartesianMRI(trajectory, (1, *size))
        maps = None
        if data.shape[1] > 1:
            images = torch.cat([plain.adjoint(density * coil) for coil in data[0][:, None, None]])
            if settings.maps is not None:
                maps = _given_maps(settings, data.shape[1], size)[0, 0]
            else:
                found, notes_of_maps = estimated_maps(
                    centred_fft(images[:, 0]), settings.calib_size
                )
                maps, notes = found[0], notes + notes_of_maps
        operator = NonCartesianMRI(trajectory, (1, *size), maps)
        return self._scan(
            source, settings, device, measured, operator, data, None, density,
            measured.truth, notes, {"mask": "trajectory", "samples": len(trajectory)},
        )  # fmt: skip

    def _maps(
        self,
        source: Path,
        settings: MriSettings,
        measured: _Measured,
        data: Tensor,
        mask: Tensor,
    ) -> tuple[Tensor | None, list[str]]:
        """Coil maps [slices, sets, coils, H, W], given or estimated; None for one coil."""
        if data.shape[1] == 1:
            return None, []
        if measured.maps is not None:
            return measured.maps, []
        if settings.maps is not None:
            maps = _given_maps(settings, data.shape[1], tuple(mask.shape))
            if maps.shape[0] not in (1, data.shape[0]):
                raise InputError(
                    f"{settings.maps}: maps of {maps.shape[0]} slices, the scan has "
                    f"{data.shape[0]}, expected as many, or one"
                )
            return maps.expand(data.shape[0], -1, -1, -1, -1), []
        found, notes = [], []
        for one in data:
            maps, said = estimated_maps(one, settings.calib_size, mask, source)
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
        measured: _Measured,
        operator: LinearOperator,
        y: Tensor,
        noise: float | None,
        density: Tensor | None,
        truth: Magnitudes | None,
        notes: list[str],
        described: dict[str, Any],
    ) -> Scan:
        """The problem of an image scaled to about 1, with its classical reconstructions."""
        matrix = measured.kspace.matrix
        weights = None if density is None else density
        back = zero_filled(operator, y, weights)
        scale = float(back.abs().flatten().quantile(0.99))
        if not scale > 0:
            raise InputError(f"{source}: the zero-filled image is empty, expected k-space")
        y = y / scale
        sigma = self._noise(settings, noise, scale, notes)
        operator, y = operator.to(device), y.to(device)
        weights = None if weights is None else weights.to(device)
        problem = Problem(operator, y, sigma)
        support = _support(operator)

        def image(x: Tensor) -> Tensor:
            return _cropped(_magnitude(x * support), matrix) * scale

        if settings.reference is not None:
            truth = _reference(settings.reference)
        elif truth is not None:
            truth = _cropped(torch.from_numpy(truth), matrix).numpy()
        size = image(operator.adjoint(y)[None]).shape[1:]
        if truth is not None and truth.shape != size:
            raise InputError(
                f"{settings.reference or source}: the reference is {list(truth.shape)}, the result "
                f"{list(size)}, expected the same"
            )
        classical: dict[str, Callable[[], Tensor]] = {
            "zero-filled": lambda: zero_filled(operator, y, weights),
            "cg-sense": lambda: cg_sense(operator, y, max(sigma, 1e-3), STEPS),
            "l1-wavelet": lambda: l1_wavelet(operator, y),
            "tv": lambda: total_variation(operator, y),
        }
        return Scan(
            problem=problem,
            start=classical[BASELINE](),
            classical=classical,
            baseline=BASELINE,
            image=image,
            scale=scale,
            operator={"name": operator.name} | described,
            notes=notes,
            truth=truth,
            about=About(measured.kspace.spacing, measured.header),
            resolved={"mask": settings.mask and _absolute(settings.mask)},
            sidecar={"coils": int(y.shape[1]), "acceleration": described.get("acceleration")},
        )

    def _noise(
        self, settings: MriSettings, noise: float | None, scale: float, notes: list[str]
    ) -> float:
        if isinstance(settings.sigma, float):
            return settings.sigma
        if noise is None:
            notes.append(
                f"noise of a trajectory is not estimated: taken as {UNKNOWN_NOISE} of the image; "
                "--sigma says better"
            )
            return UNKNOWN_NOISE
        sigma = noise / scale
        notes.append(f"noise estimated from the edge of k-space: sigma {sigma:.4f}")
        return sigma

    def write(self, path: Path, images: Images, scan: Scan) -> None:
        """Write magnitudes in the unit of the file."""
        about: About = scan.about
        kind = path.suffix.lower()
        if kind == ".npy":
            write_array(path, images[0] if len(images) == 1 else images)
        elif kind == ".h5":
            import h5py

            with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
                file["reconstruction"] = images
        elif kind == ".nii":
            write_nifti(path, images, about.spacing)
        elif kind == ".dcm":
            write_dicom(path, images, "MR", spacing=about.spacing, source=about.header)
        elif kind == ".cfl":
            array = images.transpose(1, 2, 0)
            shape = (*array.shape[:2], *(1,) * 11, array.shape[2])
            write_bart(path, array.reshape(shape).astype(np.complex64))
        else:
            self.preview(path, images, scan)

    def preview(self, path: Path, images: Images, scan: Scan, white: float | None = None) -> None:
        """Write a PNG to look at."""
        del scan
        write_shown(path, images, white)

    def write_extra(
        self, output: Path, best: Tensor, scan: Scan, settings: MriSettings
    ) -> list[Path]:
        """Write the complex image, where it is asked for."""
        if not settings.save_complex:
            return []
        path = output.with_name(f"{output.stem}_complex.npy")
        complex_image = (best * scan.scale).cpu().numpy()
        write_array(path, complex_image[:, 0] if complex_image.shape[1] == 1 else complex_image)
        return [path]


def _read(source: Path, settings: MriSettings) -> KSpace:
    if settings.traj is not None:
        trajectory = read_trajectory(settings.traj, "k" if settings.traj.suffix == ".mat" else None)
        key = settings.key or ("data" if source.suffix == ".mat" else None)
        samples = along(read_array(source, key), source, len(trajectory))
        density = None
        if settings.dcf is not None:
            name = "w" if settings.dcf.suffix == ".mat" else None
            density = np.asarray(read_array(settings.dcf, name), float).ravel(order="F")
            if density.shape != (len(trajectory),):
                raise InputError(
                    f"{settings.dcf}: {density.size} weights, expected {len(trajectory)}"
                )
        return KSpace(samples, None, trajectory, density)
    kspace = read_kspace(source, key=settings.key, dc=settings.dc)
    chosen = list(slices_of(settings.slice, len(kspace.data), source))
    data = kspace.data[chosen]
    mask = sampled(data) if kspace.mask is not None else None
    return KSpace(
        data, mask, kspace.trajectory, kspace.density, kspace.noise_covariance, kspace.matrix,
        kspace.spacing, kspace.notes,
    )  # fmt: skip


def _simulated(source: Path, settings: MriSettings, degraded: Path) -> _Measured:
    """k-space of a magnitude image with simulated coils, phase and noise; written too."""
    magnitude, spacing, header = _magnitudes(source, settings)
    count = settings.coils or SIMULATED_COILS
    images = torch.stack(
        [
            torch.from_numpy(one) * smooth_phase((one.shape[0], one.shape[1]), settings.seed + i)
            for i, one in enumerate(magnitude)
        ]
    )[:, None]
    size = (images.shape[-2], images.shape[-1])
    maps = simulated_coils(count, size) if count > 1 else None
    data = centred_fft(images if maps is None else maps * images)
    if isinstance(settings.sigma, float):
        generator = torch.Generator().manual_seed(settings.seed + 2**40)
        level = settings.sigma * float(torch.from_numpy(magnitude).flatten().quantile(0.99))
        real, imaginary = torch.randn((2, *data.shape), generator=generator)
        data = data + level * torch.complex(real, imaginary)
    had = torch.ones(size, dtype=torch.bool)
    mask, _ = _mask(source, settings, had)
    data = data * mask
    write_array(degraded, data.numpy() if len(data) > 1 else data[0].numpy())
    kspace = KSpace(data.numpy(), mask.numpy(), spacing=spacing)
    full = None if maps is None else maps[None, None].expand(len(data), -1, -1, -1, -1)
    return _Measured(kspace, magnitude, full, header)


def _magnitudes(
    source: Path, settings: MriSettings
) -> tuple[Magnitudes, tuple[float, float, float] | None, Any]:
    """Images [slices, H, W] of a picture, a DICOM file or series, a NIfTI volume or an array."""
    name = source.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        volume, spacing = read_nifti(source)
        header = None
    elif source.is_dir() or name.endswith((".dcm", ".ima")):
        image = read_dicom(source)
        volume, spacing, header = image.values, image.spacing, image.header
    elif name.endswith(ARRAY_SUFFIXES):
        array = np.abs(read_array(source, settings.key)).astype(np.float32)
        if array.ndim not in (2, 3):
            raise InputError(f"{source}: the array is {list(array.shape)}, expected an image")
        return array.reshape(-1, *array.shape[-2:]), None, None
    else:
        picture = read_picture(source)
        return picture.pixels.mean(0, keepdims=True), None, None
    chosen = list(slices_of(settings.slice, len(volume), source))
    return volume[chosen].clip(0), spacing, header


def _mask(source: Path, settings: MriSettings, had: Tensor) -> tuple[Tensor, str]:
    """The mask [H, W] of what is used, and how it came about."""
    size = (had.shape[0], had.shape[1])
    if settings.mask is None and settings.acceleration is None:
        return had, "as measured"
    kind = settings.mask or "equispaced"
    if kind in KINDS:
        try:
            made = make_mask(
                kind, size, settings.acceleration or 4.0,
                center_fraction=settings.center_fraction, seed=settings.seed,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(f"--mask {error}") from error
    else:
        made, kind = _mask_file(Path(kind), size), "file"
    both = made & had
    if not bool(both.any()):
        raise InputError(f"{source}: the mask keeps nothing of it, expected some samples")
    return both, kind


def _mask_file(path: Path, size: tuple[int, int]) -> Tensor:
    if not path.exists():
        raise InputError(f"--mask {path}: no such file, expected one or {', '.join(KINDS)}")
    if path.suffix.lower() in ARRAY_SUFFIXES:
        values = np.abs(read_array(path)) > 0
    else:
        values = read_picture(path).pixels.mean(0) > 0.5
    values = np.squeeze(values)
    if values.ndim == 1 and values.shape == (size[1],):
        values = np.broadcast_to(values, size)
    if values.shape != size:
        raise InputError(
            f"{path}: the mask is {list(values.shape)}, the scan {list(size)}, expected the same"
        )
    if not values.any():
        raise InputError(f"{path}: the mask is all zero, expected some samples")
    return torch.from_numpy(values.copy())


def _given_maps(settings: MriSettings, coils: int, size: tuple[int, ...]) -> Tensor:
    """Maps of a file as [slices, sets, coils, H, W]."""
    assert settings.maps is not None
    maps = torch.from_numpy(read_coil_maps(settings.maps))
    maps = maps[None] if maps.ndim == 4 else maps
    if maps.shape[2] != coils or tuple(maps.shape[3:]) != tuple(size):
        raise InputError(
            f"{settings.maps}: maps of {maps.shape[2]} coils, {list(maps.shape[3:])}; the scan has "
            f"{coils} coils, {list(size)}, expected the same"
        )
    return maps


def _reference(path: Path) -> Magnitudes:
    if path.suffix.lower() in ARRAY_SUFFIXES:
        array = np.abs(read_array(path)).astype(np.float32)
        return array.reshape(-1, *array.shape[-2:])
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return read_nifti(path)[0]
    return read_dicom(path).values


def _matrix_of(trajectory: Tensor) -> tuple[int, int]:
    """A matrix for samples that fill a disc: as many pixels as samples, at most."""
    side = 2 * round(max(16.0, (len(trajectory) * 4 / torch.pi) ** 0.5) / 2)
    return min(side, 512), min(side, 512)


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
    top, left = ((side - m) // 2 for side, m in zip(images.shape[-2:], matrix, strict=True))
    return images[..., top : top + matrix[0], left : left + matrix[1]]


def _absolute(mask: str) -> str:
    return mask if mask in KINDS else str(Path(mask).absolute())


MRI = Mri()
