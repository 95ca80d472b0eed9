"""`restore.open_measurement` and `restore.save_image`: every format by one name."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from pydicom.data import get_testdata_file

import restore
from restore.errors import InputError
from restore.io.bart import write_bart
from restore.io.dicom import DicomImage
from restore.io.kspace import KSpace
from restore.io.nifti import NiftiVolume
from restore.io.picture import Picture
from restore.io.sinogram import Sinogram

IMAGES = np.random.default_rng(0).uniform(0, 1, (2, 6, 5)).astype(np.float32)


def test_the_content_tells_what_was_measured(tmp_path):
    kspace = (IMAGES + 1j * IMAGES[::-1]).astype(np.complex64)
    np.save(tmp_path / "k.npy", kspace)
    np.savez(tmp_path / "k.npz", kspace=kspace)
    write_bart(tmp_path / "k.cfl", kspace.transpose(1, 2, 0)[:, :, None])
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file["kspace"] = kspace
    np.savez(tmp_path / "s.npz", sinogram=IMAGES[0], angles=np.arange(6.0))
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["exchange/data"] = 100 * IMAGES
        file["exchange/data_white"] = np.full((1, 6, 5), 200.0)
        file["exchange/theta"] = [0.0, 90.0]
    np.save(tmp_path / "p.npy", IMAGES[0])
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / "p.png")
    kinds = {
        KSpace: ("k.npy", "k.npz", "k.cfl", "k", "k.h5"),
        Sinogram: ("s.npz", "s.h5"),
        Picture: ("p.npy", "p.png"),
    }
    for kind, names in kinds.items():
        for name in names:
            assert isinstance(restore.open_measurement(tmp_path / name), kind), name
    assert isinstance(restore.open_measurement(str(tmp_path / "p.npy"), verb="ct"), Sinogram)
    assert isinstance(restore.open_measurement(get_testdata_file("CT_small.dcm")), DicomImage)
    with pytest.raises(InputError, match="no such file"):
        restore.open_measurement(tmp_path / "absent.npy")


def test_a_key_tells_which_of_several_arrays_was_measured(tmp_path):
    kspace = (IMAGES + 1j * IMAGES[::-1]).astype(np.complex64)
    path = tmp_path / "both.npz"
    np.savez(path, k=kspace, sinogram=IMAGES[0], angles=np.arange(6.0))
    assert isinstance(restore.open_measurement(path, key="k"), KSpace)
    assert isinstance(restore.open_measurement(path, key="sinogram"), Sinogram)


@pytest.mark.parametrize("image", [IMAGES, torch.from_numpy(IMAGES).requires_grad_()])
def test_images_are_read_back(tmp_path: Path, image):
    for name in ("a.nii", "a.nii.gz", "a.dcm"):
        files = restore.save_image(tmp_path / name, image, spacing=(2.0, 1.0, 3.0))
        assert files[0] == tmp_path / name
    volume = restore.open_measurement(tmp_path / "a.nii.gz")
    assert isinstance(volume, NiftiVolume)
    assert np.array_equal(volume.values, IMAGES)
    assert volume.spacing == (2, 1, 3)
    slices = [restore.open_measurement(tmp_path / name) for name in ("a.dcm", "a_slice1.dcm")]
    assert all(isinstance(one, DicomImage) and one.modality == "MR" for one in slices)
    assert np.abs(np.concatenate([one.values for one in slices]) - IMAGES).max() < 1e-4
    restore.save_image(tmp_path / "a.tif", image, modality="CT")
    assert restore.open_measurement(tmp_path / "a.tif", verb="ct").data.shape == (6, 2, 5)


def test_a_picture_is_written_as_one(tmp_path: Path):
    for name in ("p.png", "p.tif", "p.npy"):
        restore.save_image(tmp_path / name, torch.full((3, 4, 5), 0.4))
        picture = restore.open_measurement(tmp_path / name)
        assert isinstance(picture, Picture)
        assert picture.pixels == pytest.approx(0.4, abs=1e-6)
    with pytest.raises(InputError, match=r"the image is \[2, 3, 4, 5\], expected two or three"):
        restore.save_image(tmp_path / "q.png", np.zeros((2, 3, 4, 5)))
    with pytest.raises(InputError, match=r"the suffix is \.xyz, expected"):
        restore.save_image(tmp_path / "q.xyz", IMAGES, modality="MR")
