"""Small scans of every kind of file, as bytes, and what reads them when damaged."""

from __future__ import annotations

import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import ismrmrd.xsd as xsd
import nibabel
import numpy as np
import pydicom
import scipy.io
from fuzz_readers import kind_of_refusal

from restore.errors import InputError
from restore.io.bart import write_bart
from restore.io.dicom import read_dicom
from restore.io.kspace import read_coil_maps, read_kspace
from restore.io.nifti import read_nifti
from restore.io.trajectory import read_trajectory

_COILS, _ROWS, _COLUMNS = 2, 8, 6


def scan_seeds() -> dict[str, bytes]:
    """All of them by file name."""
    rng = np.random.default_rng(5)
    shape = (_COILS, _ROWS, _COLUMNS)
    data = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    track = rng.uniform(-0.5, 0.5, (20, 2))
    grey = (1000 * rng.random((_ROWS, _COLUMNS))).astype(np.uint16)
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with h5py.File(folder / "fastmri.h5", "w") as file:
            file["kspace"] = data[None]
            file["ismrmrd_header"] = _header()
        with h5py.File(folder / "packed.h5", "w") as file:
            file.create_dataset("kspace", data=data[None], chunks=True, compression="gzip")
        _write_ismrmrd(folder / "ismrmrd.h5", data)
        write_bart(folder / "brain", np.moveaxis(data, 0, -1)[:, :, None])
        np.save(folder / "kspace.npy", data)
        np.save(folder / "maps.npy", data)
        np.save(folder / "traj.npy", track)
        np.savez_compressed(folder / "kspace.npz", kspace=data)
        scipy.io.savemat(folder / "kspace.mat", {"kspace": data}, do_compression=True)
        scipy.io.savemat(folder / "plain.mat", {"a": {"kspace": data, "name": "x"}})
        volume = nibabel.Nifti1Image(rng.random((6, 5, 3), dtype=np.float32), np.eye(4))
        nibabel.save(volume, folder / "volume.nii")
        nibabel.save(volume, folder / "volume.nii.gz")
        _write_dicom(folder / "ct.dcm", grey, compressed=False)
        _write_dicom(folder / "rle.dcm", grey, compressed=True)
        for path in folder.iterdir():
            made[path.name] = path.read_bytes()
    # Without the times at which they were written.
    made["volume.nii.gz"] = gzip.compress(made["volume.nii"], mtime=0)
    for name in ("kspace.mat", "plain.mat"):
        made[name] = b"MATLAB 5.0 MAT-file".ljust(116) + made[name][116:]
    return made


def scan_outcome(path: Path) -> str:
    """As `fuzz_readers.outcome`."""
    try:
        _read(path)
    except InputError as error:
        message = str(error)
        assert "\n" not in message, message
        assert str(path.with_suffix("")) in message, message
        return kind_of_refusal(message.replace(str(path.parent), ""))
    return "read"


def _read(path: Path) -> None:
    if path.suffix == ".dcm":
        _finite(read_dicom(path).values)
    elif ".nii" in path.name:
        _finite(read_nifti(path)[0])
    elif path.name.startswith("maps"):
        assert read_coil_maps(path).dtype == np.complex64
    elif path.name.startswith("traj"):
        assert read_trajectory(path).places.shape[1] == 2
    else:
        kspace = read_kspace(path)
        assert kspace.data.dtype == np.complex64
        _finite(kspace.data)


def _finite(values: np.ndarray) -> None:
    assert values.size
    assert np.isfinite(values).all()


def _header() -> str:
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=_ROWS, y=_COLUMNS, z=1),
        fieldOfView_mm=xsd.fieldOfViewMm(x=200.0, y=160.0, z=5.0),
    )
    encoding = xsd.encodingType(
        encodedSpace=space,
        reconSpace=space,
        trajectory=xsd.trajectoryType.CARTESIAN,
        encodingLimits=xsd.encodingLimitsType(),
    )
    conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=128_000_000)
    header = xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])
    return str(header.toXML("utf-8"))


def _write_ismrmrd(path: Path, data: np.ndarray) -> None:
    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    dataset.write_xml_header(_header())
    for column in range(_COLUMNS):
        line = ismrmrd.Acquisition.from_array(np.ascontiguousarray(data[:, :, column]))
        line.idx.kspace_encode_step_1 = column
        dataset.append_acquisition(line)
    dataset.close()


def _write_dicom(path: Path, grey: np.ndarray, *, compressed: bool) -> None:
    meta: Any = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made: Any = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = pydicom.uid.CTImageStorage, "1.2.3"
    made.Modality, made.PatientName = "CT", "Name^First"
    made.RescaleSlope, made.RescaleIntercept = "1", "-1024"
    made.PixelSpacing, made.SliceThickness = ["0.5", "0.5"], "2"
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 1], [1, 0, 0, 0, 1, 0]
    made.set_pixel_data(grey, "MONOCHROME2", 12, generate_instance_uid=False)
    if compressed:
        made.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    path.write_bytes(out.getvalue())
