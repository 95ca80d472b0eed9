"""`restore mri`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore.cli.options import CommonOptions
from restore.cli.restoring import run_verb
from restore.cli.scanning import refuse_pictures, scans, size_of, with_scan_options

if TYPE_CHECKING:
    from restore.tasks.scan import ScanTask

Scans = Annotated[
    list[Path],
    typer.Argument(help="k-space: .h5, .cfl, .npy, .npz, .mat.", metavar="INPUT", readable=False),
]
INPUTS = (".h5", ".hdf5", ".cfl", ".npy", ".npz", ".mat")


def _task() -> ScanTask[Any]:
    from restore.tasks.mri import MRI

    return MRI


def _is_series(folder: Path) -> bool:
    """Whether a folder holds slices of DICOM, and no k-space."""
    from restore.io.dicom import is_dicom

    files = [file for file in folder.iterdir() if file.is_file()]
    return not any(file.suffix.lower() in INPUTS for file in files) and any(map(is_dicom, files))


@with_scan_options(
    sigma="in shares of the image's 99th percentile", formats="npy|h5|nii|dcm|png|cfl"
)
def mri(
    inputs: Scans,
    *,
    maps: Annotated[
        Path | None, typer.Option(help="Coil maps. [default: estimated by ESPIRiT]")
    ] = None,
    calib: Annotated[
        str | None, typer.Option(metavar="espirit", help="How coil maps are estimated.")
    ] = None,
    calib_size: Annotated[
        int | None,
        typer.Option(min=4, help="Side of the centre from which maps are estimated. [default: 24]"),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|equispaced|random|gaussian1d|poisson|radial",
            help="Which samples are used. [default: those that are not zero]",
        ),
    ] = None,
    acceleration: Annotated[
        float | None, typer.Option(help="Of a mask that is drawn here. [default: 4]")
    ] = None,
    center_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share that a mask drawn here keeps around the centre. [default: 0.08, and at "
            "least 8 lines where coil maps are estimated]"
        ),
    ] = None,
    slice_: Annotated[
        str | None,
        typer.Option("--slice", metavar="N|A:B|all", help="Which slices. [default: all]"),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Name of the array, if the file holds several.")
    ] = None,
    dc: Annotated[
        str | None,
        typer.Option(metavar="centre|corner", help="Where DC lies in an array. [default: centre]"),
    ] = None,
    traj: Annotated[
        Path | None,
        typer.Option(help="Where each sample was taken, in cycles per pixel (±0.5)."),
    ] = None,
    dcf: Annotated[
        Path | None, typer.Option(help="Density weights of the samples along --traj.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N|WIDTHxHEIGHT", help="Size of the image, with --traj. [default: what fits]"
        ),
    ] = None,
    coils: Annotated[
        int | None,
        typer.Option(min=1, help="Compress to so many coils; with --simulate, make so many."),
    ] = None,
    save_complex: Annotated[
        bool, typer.Option("--save-complex", help="Also write NAME_complex.npy.")
    ] = False,
    common: CommonOptions,
) -> None:
    """Reconstruct MRI from k-space.

    Reads fastMRI's and ISMRMRD's HDF5, BART's pair, and arrays [slices, coils, rows, columns].
    A mask drawn here removes samples from a full scan, and the result is scored against that scan.
    Writes .npy (the default), .h5, .nii, .dcm, .png or .cfl, with a picture to look at.
    """

    def own() -> dict[str, Any]:
        refuse_pictures(common)
        return {
            "maps": maps, "calib": calib, "calib_size": calib_size, "mask": mask,
            "acceleration": acceleration, "center_fraction": center_fraction, "slice": slice_,
            "key": key, "dc": dc, "traj": traj, "dcf": dcf, "size": size and size_of(size),
            "coils": coils, "save_complex": save_complex or None,
        }  # fmt: skip

    run_verb("mri", inputs, common, own, scans(_task, INPUTS, _is_series))
