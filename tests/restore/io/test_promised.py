"""What files promise is known before they are decoded, whoever wrote them."""

from __future__ import annotations

import struct
import zlib

import h5py
import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian
from scipy.io import savemat

from restore.errors import InputError
from restore.io import images
from restore.io.arrays import read_arrays
from restore.io.promised import picture_size, scan_bytes

ZEROS = np.zeros((40, 300, 200), np.float32)


def _dicom(path, syntax=None):
    images.write_images(path, ZEROS[:1], "CT")
    if syntax is not None:
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path)


def _many_numbers(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("exchange/data", data=ZEROS, compression="gzip")
        file["exchange/theta"] = np.arange(40.0)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.npz", lambda path: np.savez_compressed(path, data=ZEROS)),
        ("x.mat", lambda path: savemat(path, {"data": ZEROS}, do_compression=True)),
        ("x.h5", _many_numbers),
        ("x.tif", lambda path: tifffile.imwrite(path, ZEROS, compression="zlib")),
        ("x.nii.gz", lambda path: nibabel.save(nibabel.Nifti1Image(ZEROS, np.eye(4)), path)),
    ],
)
def test_compressed_scans(tmp_path, name, write):
    path = tmp_path / name
    write(path)
    assert path.stat().st_size < 0.01 * ZEROS.nbytes
    assert scan_bytes(path) == pytest.approx(ZEROS.nbytes, rel=1e-3)


def test_scans_that_are_not_compressed(tmp_path):
    np.save(tmp_path / "x.npy", ZEROS)
    assert scan_bytes(tmp_path / "x.npy") == (tmp_path / "x.npy").stat().st_size
    nibabel.save(nibabel.Nifti1Image(ZEROS.astype(np.uint8), np.eye(4)), tmp_path / "x.nii")
    assert scan_bytes(tmp_path / "x.nii") == ZEROS.nbytes  # read as float32
    _dicom(tmp_path / "x.dcm")
    assert scan_bytes(tmp_path / "x.dcm") == ZEROS[0].nbytes


def test_deflated_dicom_may_hold_anything(tmp_path):
    _dicom(tmp_path / "x.dcm", DeflatedExplicitVRLittleEndian)
    assert scan_bytes(tmp_path / "x.dcm") > ZEROS[0].nbytes


def test_pictures(tmp_path):
    Image.new("1", (300, 200)).save(tmp_path / "x.png")
    assert picture_size(tmp_path / "x.png") == (300, 200)
    assert scan_bytes(tmp_path / "x.png") == 3 * 4 * 300 * 200
    # Pillow knows no colours of floating-point numbers.
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((20, 30, 3), np.float32), photometric="rgb")
    assert picture_size(tmp_path / "x.tif") == (30, 20)
    np.save(tmp_path / "x.npy", ZEROS)
    assert picture_size(tmp_path / "x.npy") is None


@pytest.mark.parametrize("name", ["x.npz", "x.mat", "x.tif", "x.nii.gz", "x.dcm", "x.png", "x.npy"])
def test_of_what_is_damaged_its_reader_tells(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 damaged")
    assert scan_bytes(tmp_path / name) == 12
    assert picture_size(tmp_path / name) is None


def test_pages_before_a_damaged_one_count(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, ZEROS, compression="zlib")
    with tifffile.TiffFile(path) as file:
        last = file.pages[-1].offset
    data = bytearray(path.read_bytes())
    data[last : last + 2] = b"\xff\xff"
    path.write_bytes(data)
    assert scan_bytes(path) >= 0.9 * ZEROS.nbytes


def test_a_matlab_file_is_not_unpacked_beyond_what_it_promises(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"data": np.zeros((3, 4))}, do_compression=True)
    whole = path.read_bytes()
    packed = whole[128 + 8 :]
    content = zlib.decompress(packed)
    changed = zlib.compress(content + bytes(10**6))
    path.write_bytes(whole[:128] + struct.pack("<LL", 15, len(changed)) + changed)
    with pytest.raises(InputError, match=f"more than the {len(content)} bytes they promise"):
        read_arrays(path)
    path.write_bytes(whole)
    assert read_arrays(path)["data"].shape == (3, 4)
