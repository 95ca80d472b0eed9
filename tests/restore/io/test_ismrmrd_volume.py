"""Volumes of ISMRMRD, encoded in partitions, against FFTs of a volume."""

import ismrmrd
import ismrmrd.xsd as xsd
import numpy as np
import pytest
from ismrmrd_writer import COILS, draw, head, write_ismrmrd

from restore.errors import InputError
from restore.io.kspace import read_kspace, sampled
from restore.tasks.mri_input import MriSettings, measured_kspace

READ, PHASE, PARTITIONS = 12, 9, 6
SIZE = (READ, PHASE, PARTITIONS)
FOV = (240.0, 90.0, 30.0)
WHOLE = {"encoded": SIZE, "recon": SIZE, "fov": FOV}
AXES = {"read_dir": (0, 1, 0), "phase_dir": (0, 0, -1), "slice_dir": (-1, 0, 0)}


def fft(image: np.ndarray, *axes: int) -> np.ndarray:
    """Centred and orthonormal."""
    shifted = np.fft.fftn(np.fft.ifftshift(image, axes), axes=axes, norm="ortho")
    return np.fft.fftshift(shifted, axes).astype(np.complex64)


def lines_of(k: np.ndarray, **fields) -> list:
    """Of [coils, readout, phase, partition], all that are not 0."""
    return [
        (k[:, :, step, partition], {"step": step, "partition": partition} | fields)
        for partition in range(k.shape[3])
        for step in range(k.shape[2])
        if k[:, :, step, partition].any()
    ]


def test_a_volume_is_slices_along_its_readout(tmp_path):
    """With a mask of points, averages, and every second line read from its other end."""
    volume = draw(COILS, *SIZE)
    k = fft(volume, 1, 2, 3)
    kept = np.random.default_rng(1).random((PHASE, PARTITIONS)) < 0.6
    lines = lines_of(k * kept)
    for at in range(0, len(lines), 2):
        values, fields = lines[at]
        lines[at] = (values[:, ::-1], fields | {"flags": [ismrmrd.ACQ_IS_REVERSE]})
    lines += [(3 * values, fields) for values, fields in lines]
    write_ismrmrd(tmp_path / "k.h5", lines, head(**WHOLE))
    kspace = read_kspace(tmp_path / "k.h5")
    assert kspace.data.shape == (READ, COILS, PHASE, PARTITIONS)
    expected = 2 * fft(volume, 2, 3).transpose(1, 0, 2, 3) * kept
    assert np.allclose(kspace.data, expected, atol=1e-5)
    assert np.array_equal(kspace.mask, kept)
    assert kspace.spacing == pytest.approx((10, 5, 20))
    assert kspace.notes == [
        "a volume: its slices along the readout",
        "2 averages of each line",
    ]
    some = read_kspace(tmp_path / "k.h5", choose=lambda count: range(count)[3:5])
    assert np.array_equal(some.data, kspace.data[3:5])


def test_slices_without_signal_are_sampled_as_the_others(tmp_path):
    """Without noise, as of a phantom, a slice beside the object is zero, or nearly."""
    volume = np.zeros((1, *SIZE), np.complex64)
    volume[:, 4:8] = draw(1, 4, PHASE, PARTITIONS)
    write_ismrmrd(tmp_path / "k.h5", lines_of(fft(volume, 1, 2, 3)), head(**WHOLE))
    kspace = measured_kspace(tmp_path / "k.h5", MriSettings())
    assert not all(np.array_equal(sampled(one[None]), kspace.mask) for one in kspace.data)
    assert kspace.mask.all()
    assert measured_kspace(tmp_path / "k.h5", MriSettings(slice="0")).mask.all()


@pytest.mark.parametrize("kept", [6, 7])
def test_oversampling_of_all_axes_is_removed(tmp_path, kept):
    """The readout's is cut here; that of phase and partitions, when the image is made."""
    volume = draw(COILS, *SIZE)
    header = head(encoded=SIZE, encoded_fov=FOV, recon=(kept, 5, 4), fov=(20.0 * kept, 50.0, 20.0))
    write_ismrmrd(tmp_path / "k.h5", lines_of(fft(volume, 1, 2, 3)), header)
    kspace = read_kspace(tmp_path / "k.h5")
    first = READ // 2 - kept // 2
    expected = fft(volume[:, first : first + kept], 2, 3).transpose(1, 0, 2, 3)
    assert np.allclose(kspace.data, expected, atol=1e-5)
    assert kspace.matrix == (5, 4)
    assert kspace.spacing == pytest.approx((10, 5, 20))


def test_partial_fourier_lies_where_the_header_says(tmp_path):
    """Of both encoded axes: the first lines and partitions are not taken, DC is number 1 and 2."""
    k = fft(draw(COILS, *SIZE), 1, 2, 3)
    lines = lines_of(k[:, :, PHASE // 2 - 1 :, PARTITIONS // 2 - 2 :])
    write_ismrmrd(tmp_path / "k.h5", lines, head(**WHOLE, center=1, partition_center=2))
    kspace = read_kspace(tmp_path / "k.h5")
    k[:, :, : PHASE // 2 - 1] = 0
    k[..., : PARTITIONS // 2 - 2] = 0
    back = np.fft.ifft(np.fft.ifftshift(k, 1), axis=1, norm="ortho")
    expected = np.fft.fftshift(back, 1).transpose(1, 0, 2, 3)
    assert np.allclose(kspace.data, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "samples"),
    [({}, READ), ({"discard_pre": 3, "discard_post": 1}, READ), ({"center_sample": 3}, 9)],
)
def test_its_noise_is_that_of_the_samples_of_a_line(tmp_path, fields, samples):
    """Of an asymmetric echo, or one whose ends are discarded, it spreads over all positions."""
    size = (READ, 12, 12)
    lines = lines_of(draw(COILS, samples, *size[1:]), **fields)
    lines.append((draw(COILS, 20000, seed=1), {"flags": [ismrmrd.ACQ_IS_NOISE_MEASUREMENT]}))
    write_ismrmrd(tmp_path / "k.h5", lines, head(encoded=size, recon=size, fov=FOV))
    kspace = read_kspace(tmp_path / "k.h5")
    found = np.cov(kspace.data.transpose(1, 0, 2, 3).reshape(COILS, -1))
    assert np.allclose(kspace.noise_covariance, found, atol=0.25)


def test_its_slices_lie_along_the_readout(tmp_path):
    lines = lines_of(fft(draw(COILS, *SIZE), 1, 2, 3), position=(1, 2, 3), **AXES)
    write_ismrmrd(tmp_path / "k.h5", lines, head(**WHOLE))
    place = read_kspace(tmp_path / "k.h5").placement
    # 20 mm a slice to the back, 10 a row to the feet, 5 a column to the right.
    middle = np.array([1, 2, 3]) - (PHASE // 2 * 10 * np.array([0, 0, -1]))
    corner = middle - PARTITIONS // 2 * 5 * np.array([-1, 0, 0])
    steps = (np.arange(READ) - READ // 2)[:, None] * [0, 20, 0]
    assert np.allclose(place.first, corner + steps)
    assert np.allclose(place.down, AXES["phase_dir"])
    assert np.allclose(place.across, AXES["slice_dir"])
    write_ismrmrd(tmp_path / "nowhere.h5", lines_of(draw(COILS, *SIZE)), head(**WHOLE))
    assert read_kspace(tmp_path / "nowhere.h5").placement is None


@pytest.mark.parametrize("missing", [0, 2])
def test_partitions_of_one_trajectory_are_a_stack(tmp_path, missing):
    places = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 20, 2)).astype(np.float32)
    slices = draw(PARTITIONS, 3, COILS, 20)
    k = fft(slices, 0)
    noise = 3 * draw(COILS, 50, seed=1)
    lines = [
        (k[at, spoke], {"trajectory": places[spoke], "partition": at - missing} | AXES)
        for spoke in range(3)
        for at in range(missing, PARTITIONS)
    ]
    lines.append((noise, {"flags": [ismrmrd.ACQ_IS_NOISE_MEASUREMENT]}))
    header = head(
        encoded=(READ, PHASE, PARTITIONS), recon=(READ, PHASE, 4), encoded_fov=FOV,
        fov=(*FOV[:2], 20.0), trajectory=xsd.trajectoryType.RADIAL,
        partition_center=PARTITIONS // 2 - missing,
    )  # fmt: skip
    write_ismrmrd(tmp_path / "k.h5", lines, header)
    kspace = read_kspace(tmp_path / "k.h5")
    k[:missing] = 0
    back = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(k, 0), axis=0, norm="ortho"), 0)
    expected = back[1:5].transpose(0, 2, 1, 3).reshape(4, COILS, 60)
    assert np.allclose(kspace.data, expected, atol=1e-5)
    assert np.allclose(kspace.trajectory, places.reshape(-1, 2))
    share = (PARTITIONS - missing) / PARTITIONS
    assert np.allclose(kspace.noise_covariance, share * np.cov(noise), rtol=1e-4)
    assert kspace.spacing == pytest.approx((20, 10, 5))
    # To the right, from the middle of the stack.
    assert np.allclose(kspace.placement.first[:, 0], [10, 5, 0, -5])
    assert kspace.notes == ["a volume: its slices along the partitions"]
    lines[-2][1]["trajectory"] = -places[2]
    write_ismrmrd(tmp_path / "own.h5", lines, header)
    with pytest.raises(InputError, match="or partitions with trajectories of their own"):
        read_kspace(tmp_path / "own.h5")
