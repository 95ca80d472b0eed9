"""`restore ct`."""

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
    typer.Argument(help="Sinogram: .h5, .npy, .npz, .mat, .tif.", metavar="INPUT", readable=False),
]
TIFF = (".tif", ".tiff")
INPUTS = (".h5", ".hdf5", ".hdf", ".nxs", ".npy", ".npz", ".mat")


def _task() -> ScanTask[Any]:
    from restore.tasks.ct import CT

    return CT


def _is_series(folder: Path) -> bool:
    """Whether a folder holds slices of DICOM, or a stack of TIFF, and no sinogram file."""
    from restore.io.dicom import is_dicom

    files = [file for file in folder.iterdir() if file.is_file()]
    suffixes = {file.suffix.lower() for file in files}
    return not suffixes & set(INPUTS) and (bool(suffixes & set(TIFF)) or any(map(is_dicom, files)))


@with_scan_options(sigma="in line integrals", formats="npy|tif|nii|dcm|png")
def ct(
    inputs: Scans,
    *,
    flat: Annotated[
        Path | None, typer.Option(help="Counts without an object; the input is then counts too.")
    ] = None,
    dark: Annotated[Path | None, typer.Option(help="Counts without rays.")] = None,
    angles: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|START:STOP:N",
            help="Angle of each view: N of them, STOP excluded. [default: the file's]",
        ),
    ] = None,
    angle_unit: Annotated[
        str | None, typer.Option(metavar="deg|rad", help="Unit of --angles. [default: deg]")
    ] = None,
    geometry: Annotated[
        str | None,
        typer.Option(
            metavar="parallel|fan", help="[default: fan with --dso and --dsd, else parallel]"
        ),
    ] = None,
    dso: Annotated[float | None, typer.Option(help="Distance from source to axis, mm.")] = None,
    dsd: Annotated[float | None, typer.Option(help="Distance from source to detector, mm.")] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="flat|curved",
            help="Shape of a fan's detector: a line, or an arc about the source. [default: flat]",
        ),
    ] = None,
    det_spacing: Annotated[
        float | None,
        typer.Option(help="Between detector cells, mm. [default: a pixel, seen from the source]"),
    ] = None,
    center: Annotated[
        str | None,
        typer.Option(
            metavar="N|try:START:STOP:STEP",
            help="Detector index of the axis (0: centre of the first cell), or a contact sheet of "
            "candidates. [default: found from the scan]",
        ),
    ] = None,
    photons: Annotated[
        float | None,
        typer.Option(
            help="Photons of an unattenuated ray, before --bin; rays are weighted by their noise."
        ),
    ] = None,
    slice_: Annotated[
        str | None,
        typer.Option("--slice", metavar="N|A:B|all", help="Which slices. [default: all]"),
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(min=1, help="Use only so many views; with --simulate, make so many (90)."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N|WIDTHxHEIGHT",
            help="Size of the image. [default: as many pixels as detector cells]",
        ),
    ] = None,
    pixel_size: Annotated[
        float | None,
        typer.Option(help="Side of a pixel, mm. [default: a detector cell at the axis]"),
    ] = None,
    bin_: Annotated[
        int | None, typer.Option("--bin", min=1, help="Average so many detector cells into one.")
    ] = None,
    rings: Annotated[
        bool, typer.Option("--rings", help="Remove rings (stripes of the sinogram).")
    ] = False,
    key: Annotated[
        str | None, typer.Option(help="Name of the array, if the file holds several.")
    ] = None,
    mu_water: Annotated[
        float | None,
        typer.Option(help="Attenuation of water for HU, 1/mm. [default: 0.0193, at 70 keV]"),
    ] = None,
    common: CommonOptions,
) -> None:
    """Reconstruct CT from a sinogram.

    Reads DataExchange HDF5, arrays [views, detectors] or [slices, views, detectors], and TIFF; with
    --simulate a DICOM slice or series, NIfTI, TIFF or array of attenuation, which is projected.
    Writes .npy (the default), .tif, .nii, .dcm (HU) or .png, with a picture to look at.
    """

    def own() -> dict[str, Any]:
        refuse_pictures(common)
        return {
            "flat": flat, "dark": dark, "angles": angles, "angle_unit": angle_unit,
            "geometry": geometry, "dso": dso, "dsd": dsd, "detector": detector,
            "det_spacing": det_spacing, "center": center, "photons": photons, "slice": slice_,
            "views": views, "size": size and size_of(size), "pixel_size": pixel_size,
            "bin": bin_, "rings": rings or None, "key": key, "mu_water": mu_water,
        }  # fmt: skip

    run_verb("ct", inputs, common, own, scans(_task, INPUTS, _is_series))
