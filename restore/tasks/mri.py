"""`restore mri`: from k-space to images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from restore.io.arrays import write_array
from restore.io.bart import bart_pair
from restore.io.display import write_shown
from restore.io.files import numbered
from restore.io.images import write_images
from restore.tasks.mri_input import (
    Measured,
    MriSettings,
    check_scan,
    measured_kspace,
    simulated_kspace,
)
from restore.tasks.mri_problem import About, cropped, mri_scan, support
from restore.tasks.scan import Images, Scan, ScanTask
from restore.tasks.settings import RunSettings
from restore.tasks.task import TUNED_SNIPS, Preset


class Mri(ScanTask[MriSettings]):
    """k-space to images, coil-combined."""

    name: ClassVar[str] = "mri"
    presets: ClassVar[Mapping[str, Preset]] = {
        "fast": Preset("pnp", {"steps": 10}),
        "default": Preset("pnp", {"steps": 30}),
        "best": Preset("pnp", {"steps": 100}),
    }
    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pnp": {"weight": 0.25, "sigma_max": 0.2},
        "snips": TUNED_SNIPS,
        "ccdf": {"steps": 30, "sigma_max": 1.0},
    }
    # Of the samplers without an SVD the one whose spread is nearest to its error. With noise of
    # 0.3 CG-SENSE's own error stays in every sample (docs/benchmarks/mri.md).
    sampling: ClassVar[Preset] = Preset("diffpir", {"steps": 60, "sigma_max": 1.0}, average=8)
    classical: ClassVar[tuple[str, ...]] = ("zero-filled", "cg-sense", "l1-wavelet", "tv")
    settings: ClassVar[type[RunSettings]] = MriSettings
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".h5", ".nii", ".dcm", ".png", ".cfl")

    def check(self, source: Path, settings: MriSettings) -> None:
        """Read a scan, or the image of one that is simulated, its mask and its reference."""
        check_scan(source, settings)

    def measure(
        self, source: Path, settings: MriSettings, device: torch.device, degraded: Path
    ) -> Scan:
        """The problem of a k-space file, or of a simulated one."""
        if settings.simulate:
            measured = simulated_kspace(source, settings, degraded)
        else:
            measured = Measured(measured_kspace(source, settings))
        return mri_scan(source, settings, device, measured)

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
        """Likewise, with the other files of BART's pairs and the complex image."""
        files = super().besides(output, settings)
        if output.suffix.lower() == ".cfl":
            written = [output, *files, *numbered(output, settings.samples or 0)]
            files += [bart_pair(file)[1] for file in written if file.suffix == output.suffix]
        return [*files, _complex_path(output)] if settings.save_complex else files

    def write_extra(
        self, output: Path, best: Tensor, scan: Scan, settings: MriSettings
    ) -> list[Path]:
        """Write the complex image, where it is asked for."""
        if not settings.save_complex:
            return []
        path = _complex_path(output)
        about: About = scan.about
        seen = best * support(scan.problem.operator)
        images = (cropped(seen, about.matrix) * scan.scale).cpu().numpy()
        # [slices, sets, rows, columns]; what there is one of is left out, as in the magnitudes.
        single = tuple(axis for axis in (0, 1) if images.shape[axis] == 1)
        write_array(path, np.squeeze(images, single))
        return [path]


def _complex_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}_complex.npy")


MRI = Mri()
