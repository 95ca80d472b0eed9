"""DICOM images: slices and series of CT and MR, and derived images of our own."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError, reason_of
from restore.io.atomic import atomic_path
from restore.io.placement import Placement, placed, standard_placement
from restore.io.refusal import check_plain

Modality = Literal["CT", "MR"]

DICOM_SUFFIXES = (".dcm", ".ima")
_PREAMBLE, _MAGIC = 128, b"DICM"
_STORAGE = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
# What belongs to the patient and the study, and stays with a derived image.
_KEPT = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID",
    "PatientPosition", "PositionReferenceIndicator",
)  # fmt: skip
# Where an Enhanced file says of its frames what others say of themselves.
_FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_GROUPS = (
    *("PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence"),
    "PixelValueTransformationSequence",
)
_STORED = 2**16 - 1
# Differences of unit vectors of one orientation, and mm between slices that lie in one.
_PARALLEL, _SAME_PLACE = 1e-3, 1e-4


@dataclass(frozen=True)
class DicomImage:
    """Slices of one series, in the order of their positions.

    Attributes:
        values: [slices, rows, columns], rescaled (HU for CT).
        spacing: mm of (rows, columns, slices), the last from slice to slice if there are several.
        modality: as the file says.
        header: the first slice's dataset, without its pixels.
        placement: where the slices lie; None where a file does not say.
        notes: what the user should know.
    """

    values: NDArray[np.float32]
    spacing: tuple[float, float, float]
    modality: str
    header: Any
    placement: Placement | None = None
    notes: list[str] = field(default_factory=list)


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: by its suffix, or its beginning, as exports name slices by UID."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC
    except OSError:  # whoever reads it explains
        return False


def read_dicom(path: Path) -> DicomImage:
    """Read a slice, or a folder as a series.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] != ".")
        # What lies beside a series is something else.
        files = [file for file in files if is_dicom(file)] or files
        if not files:
            raise InputError(f"{path}: no file in this folder, expected a DICOM series")
    else:
        files = [path]
    try:
        with warnings.catch_warnings():
            # What pydicom thinks of a damaged element would be lines besides our one.
            warnings.simplefilter("ignore")
            return _series(files, [(file, *_read(file)) for file in files])
    except InputError:
        raise
    except Exception as error:  # pydicom parses an element when it is asked for
        raise InputError(f"{path}: {reason_of(error)}, expected a whole DICOM file") from error


def _series(files: list[Path], slices: list[tuple[Path, Any, NDArray[np.float32]]]) -> DicomImage:
    first = slices[0][1]
    for file, dataset, values in slices[1:]:
        if values.shape != slices[0][2].shape:
            raise InputError(
                f"{file}: {values.shape[1]}x{values.shape[0]}, expected slices of one size as "
                f"{files[0].name} ({slices[0][2].shape[1]}x{slices[0][2].shape[0]})"
            )
        if dataset.get("SeriesInstanceUID") != first.get("SeriesInstanceUID"):
            raise InputError(f"{file}: of another series than {files[0].name}, expected one series")
        if not np.allclose(_axes(dataset), _axes(first), atol=_PARALLEL):
            raise InputError(
                f"{file}: ImageOrientationPatient is {_numbers(_axes(dataset))}, of "
                f"{files[0].name} {_numbers(_axes(first))}, expected slices of one orientation"
            )
    slices.sort(key=lambda one: _position(one[1]))
    _refuse_repeated(slices)
    rows, columns = (float(s) for s in first.get("PixelSpacing", (1.0, 1.0)))
    if not (rows > 0 and columns > 0):
        raise InputError(
            f"{files[0]}: pixels of {rows:g} x {columns:g} mm, expected lengths above 0"
        )
    positions = np.array([_position(dataset) for _, dataset, _ in slices])
    steps = np.diff(positions)
    notes = []
    step = float(first.get("SliceThickness") or 1.0)
    if len(steps):
        step = float(np.median(steps)) or step
        if np.ptp(steps) > 0.01 * max(abs(step), 1e-6):
            notes.append(f"uneven spacing of the slices: {steps.min():.2f} to {steps.max():.2f} mm")
    tilt = float(first.get("GantryDetectorTilt") or 0.0)
    if abs(tilt) > 0.1:
        notes.append(f"gantry tilt of {tilt:g} degrees: slices are taken as they are")
    if "PixelSpacing" not in first:
        notes.append("no spacing in the file: pixels are taken as 1 mm")
    return DicomImage(
        np.stack([values for _, _, values in slices]),
        (rows, columns, step),
        str(first.get("Modality", "")),
        first,
        _placement([dataset for _, dataset, _ in slices]),
        notes,
    )


def _refuse_repeated(slices: Sequence[tuple[Path, Any, Any]]) -> None:
    """Refuse two slices, in the order of their positions, at one of them."""
    for (one, before, _), (other, after, _) in pairwise(slices):
        place = after.get("ImagePositionPatient")
        if place is None or abs(_position(after) - _position(before)) > _SAME_PLACE:
            continue
        echoes = before.get("EchoNumbers"), after.get("EchoNumbers")
        said = "" if echoes[0] == echoes[1] else f" (EchoNumbers {echoes[1]} and {echoes[0]})"
        raise InputError(
            f"{other}: ImagePositionPatient {_numbers(place)} is in the slice of {one.name}, too"
            f"{said}, expected one volume"
        )


def _axes(dataset: Any) -> list[float]:
    """Directions of rows and columns; of nothing where the file does not say."""
    return [float(a) for a in dataset.get("ImageOrientationPatient") or (0.0,) * 6]


def _numbers(values: Sequence[Any]) -> str:
    return ", ".join(f"{float(value):g}" for value in values)


def _placement(datasets: Sequence[Any]) -> Placement | None:
    places = [dataset.get("ImagePositionPatient") for dataset in datasets]
    axes = datasets[0].get("ImageOrientationPatient")
    if axes is None or len(axes) != 6 or any(p is None or len(p) != 3 for p in places):
        return None
    across, down = np.array([float(a) for a in axes]).reshape(2, 3)
    found = placed(np.array([[float(p) for p in place] for place in places]), across, down)
    thickness = np.array([float(dataset.get("SliceThickness") or 0) for dataset in datasets])
    return found and replace(found, thickness=thickness if (thickness > 0).all() else None)


def _read(path: Path) -> tuple[Any, NDArray[np.float32]]:
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels.processing import apply_rescale

    dataset: Any = None
    try:
        check_plain(path, "DICOM")
        dataset = pydicom.dcmread(path)
        if "PixelData" not in dataset:
            raise InputError(f"{path}: no picture in it, expected a DICOM image")
        if int(dataset.get("NumberOfFrames") or 1) != 1 or dataset.get("SamplesPerPixel") != 1:
            raise InputError(f"{path}: several frames or colours, expected one grey slice")
        stored = dataset.pixel_array
        _flatten(dataset)
        values = np.asarray(apply_rescale(stored, dataset), dtype=np.float32)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected DICOM") from None
    except InvalidDicomError:
        raise InputError(f"{path}: not DICOM, expected a CT or MR slice") from None
    except (NotImplementedError, RuntimeError) as error:
        if dataset is None or "TransferSyntaxUID" not in dataset.file_meta:
            raise InputError(f"{path}: {error}, expected a whole DICOM file") from error
        syntax = dataset.file_meta.TransferSyntaxUID
        if _is_decoded(syntax):
            raise InputError(f"{path}: damaged {syntax.name}, expected a whole slice") from error
        raise InputError(
            f"{path}: compressed as {syntax.name}, expected uncompressed, RLE, JPEG baseline or "
            "JPEG 2000"
        ) from error
    except Exception as error:  # pydicom raises what its parsers raise
        raise InputError(f"{path}: {reason_of(error)}, expected a whole DICOM file") from error
    if values.ndim != 2 or not np.isfinite(values).all():
        raise InputError(f"{path}: the picture is {list(values.shape)}, expected one slice")
    del dataset.PixelData
    return dataset, values


def _flatten(dataset: Any) -> None:
    """Let a dataset of one frame say itself what it says of the frame; what is empty is absent."""
    groups = [group for name in _FRAMES for group in dataset.get(name) or ()]
    for item in (item for group in groups for name in _GROUPS for item in group.get(name) or ()):
        dataset.update(item)
    if dataset.get("PixelSpacing") is None:
        dataset.pop("PixelSpacing", None)
    for name, usual in (("RescaleSlope", 1), ("RescaleIntercept", 0)):
        if dataset.get(name) is None:
            setattr(dataset, name, usual)


def _is_decoded(syntax: Any) -> bool:
    """Whether pixels of a transfer syntax can be decoded here."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _position(dataset: Any) -> float:
    """Along the normal of the slice, mm; its number where there is no position."""
    place, axes = dataset.get("ImagePositionPatient"), dataset.get("ImageOrientationPatient")
    if place is None or axes is None or len(axes) != 6:
        return float(dataset.get("InstanceNumber") or 0)
    normal = np.cross([float(a) for a in axes[:3]], [float(a) for a in axes[3:]])
    return float(normal @ np.array([float(p) for p in place]))


def write_dicom(
    path: Path,
    volume: NDArray[Any],
    modality: Modality,
    *,
    spacing: tuple[float, float, float] | None = None,
    source: Any = None,
    placement: Placement | None = None,
    description: str = "restored",
) -> list[Path]:
    """Write slices [slices, rows, columns] as derived images, one file each.

    Several slices are NAME.dcm, NAME_slice1.dcm, …. New UIDs; patient and study are the source's.

    Args:
        path: of the first slice.
        volume: HU for CT; anything from 0 for MR.
        modality: CT or MR.
        spacing: mm of (rows, columns, slices); the source's, or 1, if not given. The last is their
            thickness, too, where the place does not say it.
        source: header of the scan that this was made of.
        placement: where the slices lie; from the source's place on, or from 0, if not given.
        description: of the series.

    Returns:
        The files.
    """
    from pydicom.uid import generate_uid

    series = generate_uid()
    paths = [_slice_path(path, number) for number in range(len(volume))]
    low, high = float(volume.min()), float(volume.max())
    spacing = spacing or _spacing_of(source)
    placement = placement or _following(source, len(volume), spacing[2])
    # Every slice or none: they are renamed at the end.
    with ExitStack() as files, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the source says of the patient
        for number, (target, values) in enumerate(zip(paths, volume, strict=True)):
            dataset = _derived(values, (low, high), modality, spacing, source, placement, number)
            dataset.SeriesInstanceUID = series
            dataset.SeriesDescription = description[:64]
            dataset.save_as(files.enter_context(atomic_path(target)), enforce_file_format=True)
    return paths


def _slice_path(first: Path, number: int | str) -> Path:
    return first.with_name(f"{first.stem}_slice{number}{first.suffix}") if number else first


def slices_after(first: Path) -> list[Path]:
    """The files that are there of a series whose first slice is, or would be, `first`."""
    pattern = _slice_path(Path(glob.escape(first.name)), "[0-9]*").name
    return sorted(first.parent.glob(pattern))


def _derived(
    values: NDArray[Any],
    bounds: tuple[float, float],
    modality: Modality,
    spacing: tuple[float, float, float],
    source: Any,
    placement: Placement,
    number: int,
) -> Any:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_STORAGE[modality])
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset: Any = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = (
        _STORAGE[modality],
        meta.MediaStorageSOPInstanceUID,
    )
    for name, value in _defaults(modality).items():
        setattr(dataset, name, value)
    for name in _KEPT if source is not None else ():
        if name in source:
            setattr(dataset, name, source.get(name))
    rows, columns, step = spacing
    dataset.PixelSpacing = [f"{rows:.6g}", f"{columns:.6g}"]
    thickness = placement.thickness
    dataset.SliceThickness = f"{step if thickness is None else thickness[number]:.6g}"
    axes = [*placement.across, *placement.down]
    dataset.ImageOrientationPatient = [f"{a:.8g}" for a in axes]
    dataset.ImagePositionPatient = [f"{p + 0.0:.8g}" for p in placement.first[number]]
    dataset.SeriesNumber, dataset.InstanceNumber = "1", str(number + 1)

    low, high = (-1024.0, max(bounds[1], 3071.0)) if modality == "CT" else (0.0, bounds[1])
    low = min(low, bounds[0])
    slope = 1.0 if modality == "CT" and high - low <= _STORED else max(high - low, 1e-30) / _STORED
    stored = np.clip(np.rint((values - low) / slope), 0, _STORED).astype(np.uint16)
    dataset.RescaleIntercept, dataset.RescaleSlope = f"{low:.10g}", f"{slope:.10g}"
    # So that a window may be narrower than 1.
    dataset.VOILUTFunction = "LINEAR_EXACT"
    middle, width = (40.0, 400.0) if modality == "CT" else ((low + high) / 2, high - low)
    dataset.WindowCenter, dataset.WindowWidth = f"{middle:.8g}", f"{max(width, 1e-6):.8g}"
    dataset.set_pixel_data(stored, "MONOCHROME2", 16, generate_instance_uid=False)
    return dataset


def _defaults(modality: Modality) -> dict[str, Any]:
    from pydicom.uid import generate_uid

    common: dict[str, Any] = {
        "PatientName": "Anonymous^Anonymous", "PatientID": "", "PatientBirthDate": "",
        "PatientSex": "", "StudyInstanceUID": generate_uid(), "StudyDate": "", "StudyTime": "",
        "StudyID": "", "AccessionNumber": "", "ReferringPhysicianName": "",
        "FrameOfReferenceUID": generate_uid(), "PositionReferenceIndicator": "",
        "PatientPosition": "HFS", "Laterality": "", "Manufacturer": "score-restore",
        "Modality": modality, "AcquisitionNumber": "",
        "DerivationDescription": "Reconstruction with a score-based prior",
    }  # fmt: skip
    if modality == "CT":
        return common | {
            "ImageType": ["DERIVED", "SECONDARY", "AXIAL"], "RescaleType": "HU", "KVP": "",
        }  # fmt: skip
    return common | {
        "ImageType": ["DERIVED", "SECONDARY", "OTHER"], "ScanningSequence": "RM",
        "SequenceVariant": "NONE", "ScanOptions": "", "MRAcquisitionType": "2D",
        "RepetitionTime": "", "EchoTime": "", "EchoTrainLength": "",
    }  # fmt: skip


def _following(source: Any, slices: int, thickness: float) -> Placement:
    """Slices from that of the source on, or from 0."""
    known = None if source is None else _placement([source])
    if known is None:
        return standard_placement(slices, thickness)
    steps = np.arange(slices)[:, None] * thickness
    own = None if known.thickness is None else known.thickness.repeat(slices)
    return Placement(known.first + steps * known.normal, known.across, known.down, own)


def _spacing_of(source: Any) -> tuple[float, float, float]:
    if source is None or "PixelSpacing" not in source:
        return 1.0, 1.0, 1.0
    rows, columns = (float(s) for s in source.PixelSpacing)
    return rows, columns, float(source.get("SliceThickness") or 1.0)
