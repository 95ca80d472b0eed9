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


def test_a_list_of_angles_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    (tmp_path / "angles.csv").write_text("0\n30,\n90\n", encoding="utf-8-sig")
    assert np.allclose(parse_angles(str(tmp_path / "angles.csv"), None), np.deg2rad([0, 30, 90]))


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
    # As many views as rows: a stack of projections, and an array of slices.
    np.save(tmp_path / "a.npy", COUNTS[:ROWS])
    tifffile.imwrite(tmp_path / "a.tif", COUNTS[:ROWS], photometric="minisblack")
    angles = angles[:ROWS]
    assert np.array_equal(read_sinogram(tmp_path / "a.npy", angles=angles).data, COUNTS[:ROWS])
    found = read_sinogram(tmp_path / "a.tif", angles=angles).data
    assert np.array_equal(found, slices[:, :ROWS])


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


def test_each_field_of_an_exchange_is_replaced_by_itself(tmp_path: Path) -> None:
    field = np.full(CELLS, 500.0)
    np.save(tmp_path / "field.npy", field)
    path = write_exchange(tmp_path / "a.h5")
    own = read_sinogram(path)
    other_flat = read_sinogram(path, flat=tmp_path / "field.npy")
    other_dark = read_sinogram(path, dark=tmp_path / "field.npy")
    for found, flat, dark in ((own, 1000, 10), (other_flat, 500, 10), (other_dark, 1000, 500)):
        assert found.flat is not None
        assert found.dark is not None
        assert np.allclose(found.flat, flat)
        assert np.allclose(found.dark, dark)


def test_two_axes_of_a_field_are_one_frame_of_the_detector(tmp_path: Path) -> None:
    """[rows, detectors] is no mean over rows, nor are they where a slice is chosen."""
    frame = np.arange(1, ROWS + 1)[:, None] * np.linspace(900, 1100, CELLS)
    np.save(tmp_path / "a.npy", COUNTS.transpose(1, 0, 2))
    np.save(tmp_path / "frame.npy", frame)
    np.save(tmp_path / "exposures.npy", np.concatenate([frame, frame]))
    tifffile.imwrite(tmp_path / "frame.tif", frame.astype(np.float32))
    angles = np.deg2rad(THETA)

    def flat(name: str, rows: range) -> np.ndarray:
        found = read_sinogram(
            tmp_path / "a.npy", angles=angles, flat=tmp_path / name, dark=tmp_path / name,
            choose=lambda count: range(count)[rows.start : rows.stop],
        )  # fmt: skip
        assert found.flat is not None
        assert np.array_equal(found.flat, found.dark)
        return found.flat

    for name in ("frame.npy", "frame.tif"):
        assert np.allclose(flat(name, range(ROWS)), frame)
        assert np.allclose(flat(name, range(1, 2)), frame[1:2])
    assert np.allclose(flat("exposures.npy", range(ROWS)), frame.mean(0))
    np.save(tmp_path / "large.npy", np.concatenate([frame, frame])[None])
    with pytest.raises(InputError, match="6 rows, the scan has 3"):
        flat("large.npy", range(1, 2))


@pytest.mark.parametrize("key", ["exchange/other", "/exchange/other"])
def test_another_name_in_exchange_has_its_fields_and_angles(tmp_path: Path, key: str) -> None:
    path = write_exchange(tmp_path / "a.h5", other=COUNTS + 5, plain=COUNTS[:, 0])
    named, plain = read_sinogram(path, key=key), read_sinogram(path)
    assert np.array_equal(named.data, plain.data + 5)
    for name in ("flat", "dark", "angles"):
        assert np.array_equal(getattr(named, name), getattr(plain, name))
    with pytest.raises(InputError, match=r"exchange/plain is \[6, 8\], expected \[views, rows"):
        read_sinogram(path, key="exchange/plain")
    with pytest.raises(InputError, match="no dataset exchange/none"):
        read_sinogram(path, key="exchange/none")
    with h5py.File(path, "a") as file:
        file["lines"] = COUNTS[:, 0]
    lines = read_sinogram(path, key="lines")
    assert lines.data.shape == (1, VIEWS, CELLS)
    assert lines.flat is None


@pytest.mark.parametrize("stop", [np.pi, 2 * np.pi])
@pytest.mark.parametrize("endpoint", [False, True])
def test_angles_in_radians_are_not_taken_for_degrees(
    tmp_path: Path, stop: float, endpoint: bool
) -> None:
    theta = np.linspace(0, stop, VIEWS, endpoint=endpoint)
    np.savez(tmp_path / "a.npz", sinogram=COUNTS[:, 0], angles=theta[::-1])
    write_exchange(tmp_path / "a.h5", theta=theta)
    np.savetxt(tmp_path / "a.txt", theta)
    for name in ("a.npz", "a.h5"):
        with pytest.raises(InputError, match=rf"{name}: the angles span .* --angle-unit rad"):
            read_sinogram(tmp_path / name)
    with pytest.raises(InputError, match=r"a\.txt: the angles span"):
        parse_angles(str(tmp_path / "a.txt"), None)
    # Whoever says the unit, option or file, is believed.
    assert np.array_equal(read_sinogram(tmp_path / "a.h5", unit="rad").angles, theta)
    assert np.array_equal(
        read_sinogram(tmp_path / "a.npz", unit="deg").angles, np.deg2rad(theta)[::-1]
    )
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["exchange/theta"].attrs["units"] = "unknown"
    with pytest.raises(InputError, match="--angle-unit rad"):
        read_sinogram(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["exchange/theta"].attrs["units"] = "degrees"
    assert np.array_equal(read_sinogram(tmp_path / "a.h5").angles, np.deg2rad(theta))


def test_angles() -> None:
    assert np.allclose(parse_angles("0:180:4", None), np.deg2rad([0, 45, 90, 135]))
    assert np.allclose(parse_angles("0:2:2", "rad"), [0, 1])
    assert parse_angles("30:30:1", None).shape == (1,)
    for text in ("0:180:0", "a:b:3", "nowhere.txt", "0:180", "90:90:8"):
        with pytest.raises(InputError, match=f"--angles {text}: .*expected"):
            parse_angles(text, None)


def test_a_cut_tiff_is_one_line(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COUNTS, photometric="minisblack")
    path = tmp_path / "cut.tif"
    path.write_bytes((tmp_path / "a.tif").read_bytes()[:-300])
    with pytest.raises(InputError, match=r"cut\.tif"):
        read_sinogram(path)
