import shutil
import subprocess

import numpy as np
import pytest
import scipy.io
import torch

from operators import NonCartesianMRI
from restore.errors import InputError
from restore.io.bart import read_bart, write_bart
from restore.io.trajectory import read_density, read_samples, read_trajectory

COILS = 3
BART = shutil.which("bart")


def places(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (*shape, 2))


def draw(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def test_a_matlab_file_holds_all_three(tmp_path):
    k, data, w = places(6, 4), draw(6, 4, COILS), np.arange(24.0).reshape(6, 4)
    scipy.io.savemat(tmp_path / "s.mat", {"k": k[..., 1] + 1j * k[..., 0], "data": data, "w": w})
    trajectory = read_trajectory(tmp_path / "s.mat")
    assert np.allclose(trajectory.places, k.reshape(-1, 2))
    assert trajectory.shape == (6, 4)
    assert trajectory.matrix is None
    samples = read_samples(tmp_path / "s.mat", trajectory)
    assert np.array_equal(samples[0, 1], data[..., 1].ravel())
    assert np.array_equal(read_density(tmp_path / "s.mat", trajectory), w.ravel())


@pytest.mark.parametrize("coils", [1, COILS])
def test_arrays_have_their_coils_first_or_last(tmp_path, coils):
    k, data = places(5, 7), draw(coils, 5, 7)
    np.save(tmp_path / "k.npy", k)
    trajectory = read_trajectory(tmp_path / "k.npy", size=(9, 8))
    assert trajectory.matrix == (9, 8)
    for order in (data, np.moveaxis(data, 0, -1)):
        np.save(tmp_path / "d.npy", order)
        samples = read_samples(tmp_path / "d.npy", trajectory)
        assert np.array_equal(samples, data.reshape(1, coils, -1))


@pytest.mark.parametrize("coils", [1, COILS])
def test_slices_lie_outside_of_the_coils(tmp_path, coils):
    k, data = places(5, 7), draw(2, coils, 5, 7)
    np.save(tmp_path / "k.npy", k)
    trajectory = read_trajectory(tmp_path / "k.npy")
    np.save(tmp_path / "d.npy", data)
    scipy.io.savemat(tmp_path / "d.mat", {"data": data.transpose(2, 3, 1, 0)})
    bart = np.zeros((1, 5, 7, coils, *[1] * 9, 2), np.complex64)
    bart[0, :, :, :, ..., :] = data.transpose(2, 3, 1, 0).reshape(5, 7, coils, *[1] * 9, 2)
    write_bart(tmp_path / "d", bart)
    for name in ("d.npy", "d.mat", "d.cfl"):
        samples = read_samples(tmp_path / name, trajectory)
        assert np.array_equal(samples, data.reshape(2, coils, -1))


@pytest.mark.parametrize("spoke", [(1, 30), (30, 1)])
def test_a_side_of_one_that_the_trajectory_has_is_not_that_of_one_coil(tmp_path, spoke):
    data = draw(COILS, *spoke)
    np.save(tmp_path / "k.npy", places(*spoke))
    np.save(tmp_path / "w.npy", np.ones(spoke))
    trajectory = read_trajectory(tmp_path / "k.npy")
    assert read_density(tmp_path / "w.npy", trajectory).shape == (30,)
    for order in (data, np.moveaxis(data, 0, -1), data.reshape(COILS, 30)):
        np.save(tmp_path / "d.npy", order)
        samples = read_samples(tmp_path / "d.npy", trajectory)
        assert np.array_equal(samples, data.reshape(1, COILS, 30))
    slices = draw(2, COILS, *spoke)
    np.save(tmp_path / "d.npy", slices)
    samples = read_samples(tmp_path / "d.npy", trajectory)
    assert np.array_equal(samples, slices.reshape(2, COILS, 30))


def test_barts_are_in_cycles_per_field_of_view(tmp_path):
    k = np.zeros((3, 8, 5))
    k[:2] = np.random.default_rng(0).uniform(-15.5, 15.5, (2, 8, 5))
    k[0, 0, 0] = -15.5
    write_bart(tmp_path / "t", k.astype(np.complex64))
    trajectory = read_trajectory(tmp_path / "t")
    assert trajectory.matrix == (32, 32)
    assert trajectory.shape == (8, 5)
    assert np.allclose(trajectory.places, k[:2].reshape(2, -1).T / 32)
    larger = read_trajectory(tmp_path / "t.cfl", size=(64, 40))
    assert np.allclose(larger.places, k[:2].reshape(2, -1).T / [64, 40])


@pytest.mark.skipif(BART is None, reason="BART is not on this machine")
def test_samples_lie_where_bart_says(tmp_path):
    """Its own adjoint of radial samples of its phantom is exact to about 1e-3."""

    def bart(*words: str) -> None:
        subprocess.run([BART, *words], cwd=tmp_path, check=True, capture_output=True)

    bart("traj", "-r", "-x", "32", "-y", "40", "t")
    bart("phantom", "-k", "-t", "t", "k")
    bart("nufft", "-a", "-d32:32:1", "t", "k", "image")
    trajectory = read_trajectory(tmp_path / "t")
    assert trajectory.matrix == (32, 32)
    y = torch.from_numpy(read_samples(tmp_path / "k", trajectory))
    operator = NonCartesianMRI(torch.from_numpy(trajectory.places), (1, 32, 32))
    theirs = read_bart(tmp_path / "image").squeeze()
    assert np.linalg.norm(operator.adjoint(y)[0, 0].numpy() - theirs) < 4e-3 * np.linalg.norm(
        theirs
    )


def bad_files(tmp_path):
    """Each bad trajectory and what is said of it."""
    np.save(tmp_path / "flat.npy", np.zeros(9))
    yield "flat.npy", r"the trajectory is \[9\], expected \[samples, 2\]"
    np.save(tmp_path / "far.npy", 3 * places(9))
    yield "far.npy", r"reaches 1\.\d+ cycles per pixel, expected ±0.5"
    np.save(tmp_path / "nan.npy", np.nan * places(9))
    yield "nan.npy", "reaches nan cycles per pixel"
    volume = np.ones((3, 4, 5), np.complex64)
    write_bart(tmp_path / "volume", volume)
    yield "volume", "no trajectory in a plane"
    volume[0], volume[2] = np.inf, 0
    write_bart(tmp_path / "infinite", volume)
    yield "infinite", "reaches inf cycles per pixel"


def test_bad_trajectories_are_one_line(tmp_path):
    for name, message in bad_files(tmp_path):
        with pytest.raises(InputError, match=message) as error:
            read_trajectory(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (draw(5, 6), r"samples \[5, 6\] along a trajectory of \[5, 7\]"),
        (np.ones((5, 7)), "real numbers"),
        (draw(5, 7) * np.nan, "not finite"),
        (0 * draw(5, 7), "nothing but zeros"),
    ],
)
def test_bad_samples_are_one_line(tmp_path, array, message):
    np.save(tmp_path / "k.npy", places(5, 7))
    np.save(tmp_path / "d.npy", array)
    trajectory = read_trajectory(tmp_path / "k.npy")
    with pytest.raises(InputError, match=message):
        read_samples(tmp_path / "d.npy", trajectory)


def test_bad_weights_are_one_line(tmp_path):
    np.save(tmp_path / "k.npy", places(5, 7))
    trajectory = read_trajectory(tmp_path / "k.npy")
    np.save(tmp_path / "w.npy", np.ones(5))
    with pytest.raises(InputError, match=r"weights \[5\] of a trajectory of \[5, 7\]"):
        read_density(tmp_path / "w.npy", trajectory)
    np.save(tmp_path / "w.npy", np.zeros((5, 7)))
    with pytest.raises(InputError, match="all 0"):
        read_density(tmp_path / "w.npy", trajectory)
