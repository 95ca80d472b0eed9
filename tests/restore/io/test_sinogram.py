from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from restore.errors import InputError
from restore.io.sinogram import parse_angles, read_sinogram

VIEWS, ROWS, CELLS = 6, 3, 8
COUNTS = np.random.default_rng(0).uniform(100, 900, (VIEWS, ROWS, CELLS)).astype(np.float32)
THETA = np.arange(VIEWS) * 30.0


def write_exchange(path: Path, leave_out: str = "", **changed: np.ndarray) -> Path:
    content = {
        "data": COUNTS,
        "data_white": np.full((2, ROWS, CELLS), 1000, np.float32),
        "data_dark": np.full((2, ROWS, CELLS), 10, np.float32),
        "theta": THETA,
    } | changed
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            if name != leave_out:
                file[f"exchange/{name}"] = values
    return path


def test_data_exchange(tmp_path: Path) -> None:
    found = read_sinogram(write_exchange(tmp_path / "a.h5"), choose=lambda _: range(1, 3))
    assert np.array_equal(found.data, COUNTS[:, 1:3].transpose(1, 0, 2))
    assert found.flat is not None
    assert found.flat.shape == (2, CELLS)
    assert np.allclose(found.angles, np.deg2rad(THETA))


@pytest.mark.parametrize(
    ("leave_out", "changed", "said"),
    [
        ("data", {}, "no dataset exchange/data,"),
        ("data_white", {}, "no dataset exchange/data_white"),
        ("theta", {}, "no dataset exchange/theta"),
        ("", {"theta": THETA[1:]}, "6 views and 5 angles"),
        ("", {"data": -COUNTS}, "negative counts"),
        ("", {"data": COUNTS * np.nan}, "not finite"),
        ("", {"data": COUNTS[:, 0]}, "expected [views, rows, detectors]"),
        ("", {"data": COUNTS + 1j}, "complex numbers"),
        ("", {"data_white": COUNTS[:, :, 1:]}, "data_white is"),
    ],
)
def test_bad_data_exchange_is_one_line(
    tmp_path: Path, leave_out: str, changed: dict[str, np.ndarray], said: str
) -> None:
    path = write_exchange(tmp_path / "a.h5", leave_out, **changed)
    with pytest.raises(InputError) as caught:
        read_sinogram(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_three_axes_are_told_by_the_angles(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", COUNTS)
    tifffile.imwrite(tmp_path / "a.tif", COUNTS, photometric="minisblack")
    slices = COUNTS.transpose(1, 0, 2)
    np.save(tmp_path / "b.npy", slices)
    angles = np.deg2rad(THETA)
    for name in ("a.npy", "a.tif", "b.npy"):
        assert np.array_equal(read_sinogram(tmp_path / name, angles=angles).data, slices)
    assert np.array_equal(read_sinogram(tmp_path / "a.tif").data, slices)
    assert np.array_equal(read_sinogram(tmp_path / "b.npy").data, slices)


def test_names_and_fan_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", sinogram=COUNTS[:, 0], theta=THETA)
    assert np.allclose(read_sinogram(tmp_path / "a.npz").angles, np.deg2rad(THETA))
    parameters = {"angles": THETA, "distanceSourceOrigin": 4.0, "distanceSourceDetector": 5.0}
    scan = {"sinogram": COUNTS[:, 0], "parameters": parameters | {"pixelSizePost": 0.2}}
    scipy.io.savemat(tmp_path / "a.mat", {"CtDataLimited": scan})
    found = read_sinogram(tmp_path / "a.mat")
    assert (found.source_origin, found.source_detector, found.spacing) == (4.0, 5.0, 0.2)
    assert found.data.shape == (1, VIEWS, CELLS)


def test_flat_and_dark_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", COUNTS[:, 0])
    np.save(tmp_path / "flat.npy", np.stack([np.full(CELLS, 900.0), np.full(CELLS, 1100.0)]))
    np.save(tmp_path / "dark.npy", np.full(CELLS - 1, 3))
    flat = tmp_path / "flat.npy"
    found = read_sinogram(tmp_path / "a.npy", flat=flat)
    assert found.flat is not None
    assert np.allclose(found.flat, 1000)
    with pytest.raises(InputError, match="the field is"):
        read_sinogram(tmp_path / "a.npy", flat=flat, dark=tmp_path / "dark.npy")
    with pytest.raises(InputError, match="expected --flat"):
        read_sinogram(tmp_path / "a.npy", dark=flat)


def test_angles() -> None:
    assert np.allclose(parse_angles("0:180:4", None), np.deg2rad([0, 45, 90, 135]))
    assert np.allclose(parse_angles("0:2:2", "rad"), [0, 1])
    for text in ("0:180:0", "a:b:3", "nowhere.txt"):
        with pytest.raises(InputError):
            parse_angles(text, None)


def test_a_cut_tiff_is_one_line(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COUNTS, photometric="minisblack")
    path = tmp_path / "cut.tif"
    path.write_bytes((tmp_path / "a.tif").read_bytes()[:-300])
    with pytest.raises(InputError, match=r"cut\.tif"):
        read_sinogram(path)
