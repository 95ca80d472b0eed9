import shutil
import subprocess
import tracemalloc

import h5py
import ismrmrd
import ismrmrd.xsd as xsd
import numpy as np
import pytest
import scipy.io
from ismrmrd_writer import COILS, COLUMNS, ROWS, draw, head, lines_of, write_ismrmrd

from restore.errors import InputError
from restore.io.bart import read_bart, write_bart
from restore.io.kspace import read_coil_maps, read_kspace

BART = shutil.which("bart")


def write_fastmri(path, data, *, header=None, mask=None) -> None:
    with h5py.File(path, "w") as file:
        file["kspace"] = data
        if mask is not None:
            file["mask"] = mask
        if header is not False:
            file["ismrmrd_header"] = (header or CUT).toXML("utf-8")


# Of the same pixels as what was encoded, as fastMRI's files are.
@pytest.mark.parametrize(("times", "factor"), [((0, 5), 1), ((10, 5), 2), ((10, float("nan")), 1)])
def test_the_covariance_is_of_the_averages_and_the_bandwidth_of_the_image(tmp_path, times, factor):
    data, noise = draw(COILS, ROWS, COLUMNS), draw(COILS, 50, seed=1)
    flags = [ismrmrd.ACQ_IS_NOISE_MEASUREMENT]
    lines = [(noise, {"flags": flags, "sample_time_us": times[0]})]
    for _ in range(3):
        lines += [
            (data[:, :, step], {"step": step, "sample_time_us": times[1]})
            for step in range(COLUMNS)
        ]
    write_ismrmrd(tmp_path / "k.h5", lines, head())
    found = read_kspace(tmp_path / "k.h5").noise_covariance
    assert np.allclose(found, np.cov(noise) * factor / 3, rtol=1e-4)


def test_the_covariance_is_of_the_line_that_was_averaged_least(tmp_path):
    data, noise = draw(COILS, ROWS, COLUMNS), draw(COILS, 50, seed=1)
    lines = [(noise, {"flags": [ismrmrd.ACQ_IS_NOISE_MEASUREMENT]})]
    for steps in (COLUMNS, COLUMNS, COLUMNS - 1):
        lines += [(data[:, :, step], {"step": step}) for step in range(steps)]
    write_ismrmrd(tmp_path / "k.h5", lines, head())
    found = read_kspace(tmp_path / "k.h5").noise_covariance
    assert np.allclose(found, np.cov(noise) / 2, rtol=1e-4)


CUT = head(recon=(6, 8), fov=(120.0, 160.0), encoded_fov=(200.0, 160.0))


@pytest.mark.parametrize("leading", [(), (COILS,), (2, COILS)])
def test_arrays_have_their_coils_and_slices(tmp_path, leading):
    data = draw(*leading, ROWS, COLUMNS)
    data[..., 3] = 0
    np.save(tmp_path / "k.npy", data)
    scipy.io.savemat(tmp_path / "k.mat", {"k": data})
    for name in ("k.npy", "k.mat"):
        kspace = read_kspace(tmp_path / name)
        assert kspace.data.shape[-4:] == (
            2 if len(leading) == 2 else 1,
            *(leading[-1:] or (1,)),
            ROWS,
            COLUMNS,
        )
        assert np.array_equal(kspace.data.reshape(data.shape), data)
        assert np.array_equal(
            kspace.mask, np.broadcast_to(np.arange(COLUMNS) != 3, (ROWS, COLUMNS))
        )


def test_fastmri_with_its_header_and_mask(tmp_path):
    data = draw(2, COILS, ROWS, COLUMNS)
    mask = np.arange(COLUMNS) % 2 == 0
    write_fastmri(tmp_path / "k.h5", data, mask=mask.astype(np.float32))
    kspace = read_kspace(tmp_path / "k.h5")
    assert np.array_equal(kspace.data, data * mask)
    assert kspace.matrix == (6, 8)
    assert kspace.spacing == pytest.approx((20, 20, 5))
    write_fastmri(tmp_path / "single.h5", data[:, 0], header=False)
    single = read_kspace(tmp_path / "single.h5")
    assert single.data.shape == (2, 1, ROWS, COLUMNS)
    assert single.matrix is None
    assert single.notes == ["no header: the whole field of view is written"]


@pytest.mark.parametrize(
    ("name", "taken", "most"),
    [("k.h5", slice(7, 9), 10), ("k.npy", slice(7, 9), 30), ("k.h5", slice(20), 30),
     ("k.npy", slice(20), 30)],
)  # fmt: skip
def test_how_many_slices_are_held_at_most(tmp_path, name, taken, most):
    """Of fastMRI's those that are taken; an array is read, and only then taken from."""
    data = draw(20, COILS, 32, 32)
    if name == "k.npy":
        np.save(tmp_path / name, data)
    else:
        write_fastmri(tmp_path / name, data, header=False)
    tracemalloc.start()
    try:
        kspace = read_kspace(tmp_path / name, choose=lambda count: range(count)[taken])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.array_equal(kspace.data, data[taken])
    assert kspace.first == (taken.start or 0)
    assert peak < most * data[0].nbytes


def test_ismrmrd_slices_and_averages(tmp_path):
    data = draw(2, COILS, ROWS, COLUMNS)
    lines = [
        (factor * data[s, :, :, step], {"step": step, "slice": s})
        for factor in (0.5, 1.5)
        for s in range(2)
        for step in range(COLUMNS)
        if step != 5
    ]
    write_ismrmrd(tmp_path / "k.h5", lines, head())
    kspace = read_kspace(tmp_path / "k.h5")
    data[..., 5] = 0
    assert np.allclose(kspace.data, data, atol=1e-6)
    assert not kspace.mask[:, 5].any()
    assert kspace.mask[:, 6].all()
    assert kspace.notes == ["2 averages of each line"]
    second = read_kspace(tmp_path / "k.h5", choose=lambda count: range(1, count))
    assert np.array_equal(second.data, kspace.data[1:])
    assert second.first == 1
    assert kspace.spacing == pytest.approx((20, 20, 5))


def test_ismrmrd_partial_fourier_lies_where_the_header_says(tmp_path):
    data = draw(COILS, ROWS, COLUMNS)
    # Five lines were measured; the third of them, number 2, is DC.
    lines = [(data[:, :, step], {"step": step}) for step in range(5)]
    write_ismrmrd(tmp_path / "k.h5", lines, head(center=2))
    kspace = read_kspace(tmp_path / "k.h5")
    assert np.array_equal(kspace.mask[0].nonzero()[0], [2, 3, 4, 5, 6])
    assert np.array_equal(kspace.data[0, :, :, 4], data[:, :, 2])


@pytest.mark.parametrize(("length", "kept"), [(20, 10), (18, 9), (15, 9), (15, 6), (16, 9)])
def test_ismrmrd_oversampling_of_the_readout_is_removed(tmp_path, length, kept):
    image = draw(COILS, kept, COLUMNS)
    before = length // 2 - kept // 2
    k = transformed(np.pad(image, ((0, 0), (before, length - kept - before), (0, 0))))
    header = head(
        encoded=(length, COLUMNS), encoded_fov=(20.0 * length, 160.0), recon=(kept, COLUMNS),
        fov=(20.0 * kept, 160.0),
    )  # fmt: skip
    write_ismrmrd(tmp_path / "k.h5", lines_of(k.astype(np.complex64)), header)
    assert np.allclose(read_kspace(tmp_path / "k.h5").data[0], transformed(image), atol=1e-5)
    # Positions of the coarser grid on that of the readout, whose first and last are not there.
    places = length // 2 + (np.arange(kept) - kept // 2) * length / kept
    places = places.clip(max=length - 1)
    for missing in range(1, length // 2):
        lines = lines_of(k.astype(np.complex64), discard_pre=missing, discard_post=missing - 1)
        write_ismrmrd(tmp_path / f"{missing}.h5", lines, header)
        mask = read_kspace(tmp_path / f"{missing}.h5").mask
        there = (np.floor(places) >= missing) & (np.ceil(places) <= length - missing)
        assert np.array_equal(mask.all(1), there)


def test_ismrmrd_with_its_header_as_one_string(tmp_path):
    data = draw(COILS, ROWS, COLUMNS)
    write_ismrmrd(tmp_path / "k.h5", lines_of(data), head())
    with h5py.File(tmp_path / "k.h5", "a") as file:
        (text,) = file["dataset/xml"][()]
        del file["dataset/xml"]
        file["dataset/xml"] = text
    assert np.array_equal(read_kspace(tmp_path / "k.h5").data[0], data)


def test_ismrmrd_noise_scan_and_navigators(tmp_path):
    data, noise = draw(COILS, ROWS, COLUMNS), 3 * draw(COILS, 50, seed=1)
    lines = [(noise, {"flags": [ismrmrd.ACQ_IS_NOISE_MEASUREMENT]})]
    lines += [(data[:, :, step], {"step": step}) for step in range(COLUMNS)]
    lines += [(9 * data[:, :, 0], {"flags": [ismrmrd.ACQ_IS_NAVIGATION_DATA]})]
    write_ismrmrd(tmp_path / "k.h5", lines, head())
    kspace = read_kspace(tmp_path / "k.h5")
    assert np.array_equal(kspace.data[0], data)
    assert np.allclose(kspace.noise_covariance, np.cov(noise), rtol=1e-4)


def test_ismrmrd_trajectory(tmp_path):
    places = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 20, 2)).astype(np.float32)
    data = draw(4, COILS, 20)
    lines = [(data[i], {"trajectory": places[i]}) for i in range(4)]
    write_ismrmrd(tmp_path / "k.h5", lines, head(trajectory=xsd.trajectoryType.RADIAL))
    kspace = read_kspace(tmp_path / "k.h5")
    assert kspace.data.shape == (1, COILS, 80)
    assert np.allclose(kspace.trajectory, places.reshape(-1, 2))
    assert kspace.mask is None
    assert kspace.matrix == (ROWS, COLUMNS)


def test_bart_pairs_with_and_without_a_suffix(tmp_path):
    data = draw(COILS, ROWS, COLUMNS)
    write_bart(tmp_path / "k", data.transpose(1, 2, 0)[None])
    for name in ("k", "k.cfl", "k.hdr"):
        assert np.array_equal(read_kspace(tmp_path / name).data[0], data)
    write_bart(tmp_path / "flat", data.transpose(1, 2, 0)[:, :, None])
    assert np.array_equal(read_kspace(tmp_path / "flat").data[0], data)
    write_bart(tmp_path / "UP.CFL", data.transpose(1, 2, 0)[None])
    assert {file.name for file in tmp_path.glob("UP*")} == {"UP.CFL", "UP.HDR"}
    for name in ("UP.CFL", "UP.HDR"):
        assert np.array_equal(read_kspace(tmp_path / name).data[0], data)
    write_bart(tmp_path / "maps", data.transpose(1, 2, 0)[:, :, None])
    assert np.array_equal(read_coil_maps(tmp_path / "maps")[0], data)


@pytest.mark.skipif(BART is None, reason="BART is not on this machine")
def test_bart_itself_reads_and_writes_the_same(tmp_path):
    def bart(*words: str) -> None:
        subprocess.run([BART, *words], cwd=tmp_path, check=True, capture_output=True)

    bart("phantom", "-k", "-s", "4", "-x", "16", "k")
    theirs = read_bart(tmp_path / "k")
    kspace = read_kspace(tmp_path / "k")
    assert kspace.data.shape == (1, 4, 16, 16)
    write_bart(tmp_path / "ours", theirs)
    bart("fft", "-i", "-u", "3", "ours", "image")
    image = read_bart(tmp_path / "image")[:, :, 0, :].squeeze().transpose(2, 0, 1)
    axes = (-2, -1)
    shifted = np.fft.ifftshift(kspace.data[0], axes)
    expected = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes)
    assert np.allclose(image, expected, atol=1e-4 * np.abs(image).max())


def test_slices_share_a_trajectory(tmp_path):
    places = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 20, 2)).astype(np.float32)
    data = draw(2, 3, COILS, 20)
    lines = [
        (data[s, i], {"trajectory": places[i], "slice": s}) for i in range(3) for s in range(2)
    ]
    write_ismrmrd(tmp_path / "k.h5", lines, head(trajectory=xsd.trajectoryType.SPIRAL))
    kspace = read_kspace(tmp_path / "k.h5")
    assert kspace.data.shape == (2, COILS, 60)
    assert np.array_equal(kspace.data[1, :, 20:40], data[1, 1])
    assert np.allclose(kspace.trajectory, places.reshape(-1, 2))
    lines[1][1]["trajectory"] = -places[0]
    write_ismrmrd(tmp_path / "own.h5", lines, head(trajectory=xsd.trajectoryType.SPIRAL))
    with pytest.raises(InputError, match="2 slices or partitions with trajectories of their own"):
        read_kspace(tmp_path / "own.h5")


def test_a_matrix_larger_than_what_was_encoded_has_zeros_around_it(tmp_path):
    data = draw(COILS, ROWS, COLUMNS)
    header = head(recon=(6, 13), fov=(120.0, 160.0), encoded_fov=(200.0, 160.0))
    write_fastmri(tmp_path / "k.h5", data[None], header=header)
    kspace = read_kspace(tmp_path / "k.h5")
    assert kspace.data.shape == (1, COILS, ROWS, 13)
    assert kspace.matrix == (6, 13)
    # DC stays in the middle.
    assert np.array_equal(kspace.data[0, :, :, 6 - 4 : 6 + 4], data)
    assert np.count_nonzero(kspace.mask) == ROWS * COLUMNS


def test_ismrmrd_says_where_the_slices_lie(tmp_path):
    """The middle of the image, 20 mm a pixel down and 10 across, at the positions of two slices."""
    data = draw(COILS, ROWS, COLUMNS)
    lines = [
        line
        for number, place in enumerate([(10, 20, 30), (14, 20, 30)])
        for line in lines_of(
            data, slice=number, position=place, read_dir=(0, 0, -1), phase_dir=(0, 1, 0)
        )
    ]
    write_ismrmrd(tmp_path / "k.h5", lines, head(recon=(5, 8), fov=(100.0, 80.0)))
    placement = read_kspace(tmp_path / "k.h5").placement
    assert placement is not None
    assert np.allclose(placement.first, [[10, -20, 70], [14, -20, 70]])
    assert np.allclose(placement.across, [0, 1, 0])
    write_ismrmrd(tmp_path / "nowhere.h5", lines_of(data), head())
    assert read_kspace(tmp_path / "nowhere.h5").placement is None


def test_lines_of_other_scans_are_left_out_and_reversed_ones_turned(tmp_path):
    data = draw(COILS, ROWS, COLUMNS)
    lines = lines_of(data[..., :-1])
    lines += [(data[:, ::-1, -1], {"step": COLUMNS - 1, "flags": [ismrmrd.ACQ_IS_REVERSE]})]
    # Of the body coil, with two channels.
    lines += [(draw(2, ROWS), {"flags": [ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA]})]
    for kind in ("DUMMYSCAN_DATA", "PHASECORR_DATA", "HPFEEDBACK_DATA", "RTFEEDBACK_DATA"):
        lines += [(draw(COILS, ROWS), {"flags": [getattr(ismrmrd, f"ACQ_IS_{kind}")]})]
    lines += [(draw(COILS, ROWS), {"encoding": 1})]
    write_ismrmrd(tmp_path / "k.h5", lines, head())
    assert np.array_equal(read_kspace(tmp_path / "k.h5").data[0], data)


def transformed(image):
    """The centred orthonormal transform of [..., rows, columns]."""
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes), norm="ortho"), axes)


def bump(rows: int, columns: int, fov: tuple[float, float]) -> np.ndarray:
    """A smooth image of 1 coil over so many mm, with nothing beyond 100 mm."""
    y, x = (
        (np.arange(side) - side // 2) * length / side
        for side, length in zip((rows, columns), fov, strict=True)
    )
    return np.exp(-((y[:, None] / 30) ** 2) - ((x - 20) / 20) ** 2)[None]


@pytest.mark.parametrize("layout", ["fastmri", "ismrmrd"])
def test_phase_oversampling_at_less_resolution_keeps_the_shape(tmp_path, layout):
    """120 lines over 320 mm are 160 pixels of 2 mm, of which 128 are written."""
    data = transformed(bump(64, 30, (512.0, 320.0))).astype(np.complex64)
    header = head(encoded=(64, 30), encoded_fov=(512.0, 320.0), recon=(32, 32), fov=(256.0, 256.0))
    if layout == "fastmri":
        write_fastmri(tmp_path / "k.h5", data[None], header=header)
    else:
        write_ismrmrd(tmp_path / "k.h5", lines_of(data), header)
    kspace = read_kspace(tmp_path / "k.h5")
    rows = 64 if layout == "fastmri" else 32
    assert kspace.data.shape[-2:] == (rows, 40)
    assert kspace.matrix == (32, 32)
    expected = transformed(bump(rows, 40, (8.0 * rows, 320.0)))
    # The image has more pixels by 40 to 30, and an orthonormal transform their root in each.
    assert np.allclose(kspace.data[0] * (40 / 30) ** 0.5, expected, atol=2e-3)


def test_a_coarser_image_has_the_whole_field_of_view(tmp_path):
    data = transformed(bump(32, 32, (256.0, 256.0))).astype(np.complex64)
    header = head(encoded=(32, 32), encoded_fov=(256.0, 256.0), recon=(16, 16), fov=(256.0, 256.0))
    write_ismrmrd(tmp_path / "k.h5", lines_of(data), header)
    kspace = read_kspace(tmp_path / "k.h5")
    assert kspace.matrix is None
    assert np.array_equal(kspace.data[0], data[:, 8:24, 8:24])


def test_fastmri_pixels_that_rounding_makes_unequal_are_equal(tmp_path):
    """As in knees: 368 lines over 161.42 mm, of which 320 pixels over 140 mm."""
    data = draw(1, 1, 64, 368)
    header = head(
        encoded=(64, 368), encoded_fov=(280.0, 161.42), recon=(32, 320), fov=(140.0, 140.0)
    )
    write_fastmri(tmp_path / "k.h5", data, header=header)
    kspace = read_kspace(tmp_path / "k.h5")
    assert np.array_equal(kspace.data, data)
    assert kspace.matrix == (32, 320)


@pytest.mark.parametrize("missing", ["not taken", "discarded"])
def test_an_asymmetric_echo_stays_one_without_oversampling(tmp_path, missing):
    data = transformed(bump(64, 32, (512.0, 256.0))).astype(np.complex64)
    lines, fields = data[:, 16:], {"center_sample": 16}
    if missing == "discarded":
        lines, fields = np.where(np.arange(64)[:, None] < 16, np.inf, data), {"discard_pre": 16}
    header = head(encoded=(64, 32), encoded_fov=(512.0, 256.0), recon=(32, 32), fov=(256.0, 256.0))
    write_ismrmrd(tmp_path / "k.h5", lines_of(lines.astype(np.complex64), **fields), header)
    kspace = read_kspace(tmp_path / "k.h5")
    assert np.array_equal(kspace.mask, np.broadcast_to(np.arange(32)[:, None] >= 8, (32, 32)))
    assert not kspace.data[:, :, ~kspace.mask].any()
    # What was sampled next to what was not has lost what its neighbour would have given.
    expected = transformed(bump(32, 32, (256.0, 256.0)))
    assert np.allclose(kspace.data[0, :, 8:], expected[:, 8:], atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("turned", [False, True])
def test_a_sample_that_is_discarded_once_is_no_part_of_its_average(tmp_path, turned):
    data = draw(COILS, ROWS, COLUMNS)
    once = (data[:, ::-1], {"discard_pre": 3, "flags": [ismrmrd.ACQ_IS_REVERSE]})
    values, fields = once if turned else (data, {"discard_post": 3})
    lines = lines_of(values, **fields) + lines_of(3 * data)
    write_ismrmrd(tmp_path / "k.h5", lines, head())
    found = read_kspace(tmp_path / "k.h5").data[0]
    assert np.allclose(found[:, :-3], 2 * data[:, :-3])
    assert np.allclose(found[:, -3:], 3 * data[:, -3:])


def test_samples_along_a_trajectory_keep_their_places(tmp_path):
    """Discarded ones have none, and reversed ones keep the one beside them."""
    places = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 20, 2)).astype(np.float32)
    data = draw(4, COILS, 20)
    lines = [
        (data[i], {"trajectory": places[i], "discard_pre": 2, "discard_post": i, "step": i}
         | ({"flags": [ismrmrd.ACQ_IS_REVERSE]} if i % 2 else {})
         | {"position": (10, 20, 30), "read_dir": (0, 0, -1), "phase_dir": (0, 1, 0)})
        for i in range(4)
    ]  # fmt: skip
    write_ismrmrd(tmp_path / "k.h5", lines, head(trajectory=xsd.trajectoryType.RADIAL))
    kspace = read_kspace(tmp_path / "k.h5")
    kept = [slice(2, 20 - i) for i in range(4)]
    assert np.allclose(kspace.trajectory, np.concatenate([places[i, kept[i]] for i in range(4)]))
    assert np.array_equal(
        kspace.data[0], np.concatenate([data[i][:, kept[i]] for i in range(4)], axis=1)
    )
    assert kspace.placement is not None
    assert np.allclose(kspace.placement.first, [[10, -60, 130]])


@pytest.mark.parametrize("trajectory", ["CARTESIAN", "RADIAL"])
def test_slices_are_in_the_order_in_which_they_lie(tmp_path, trajectory):
    """Taken every second one first; the last two are further apart."""
    places = np.random.default_rng(0).uniform(-0.5, 0.5, (ROWS, 2)).astype(np.float32)
    data = draw(4, COILS, ROWS, COLUMNS)
    where = {"read_dir": (0, 1, 0), "phase_dir": (1, 0, 0), "trajectory": places}
    if trajectory == "CARTESIAN":
        del where["trajectory"]
    lines = [
        line
        for s, z in enumerate((0, 10, 5, 20))
        for line in lines_of(data[s], slice=s, position=(0, 0, z), **where)
    ]
    header = head(trajectory=xsd.trajectoryType[trajectory])
    write_ismrmrd(tmp_path / "k.h5", lines, header)
    kspace = read_kspace(tmp_path / "k.h5")
    assert np.allclose(kspace.placement.first[:, 2], [0, 5, 10, 20])
    for at, taken in enumerate((0, 2, 1, 3)):
        expected = data[taken] if trajectory == "CARTESIAN" else data[taken].swapaxes(1, 2)
        assert np.array_equal(kspace.data[at].ravel(), expected.ravel())
    assert kspace.notes == [
        "slices are written in the order in which they lie",
        "uneven spacing of the slices: 5.00 to 10.00 mm",
    ]


def test_slices_that_run_against_the_normal_stay_as_they_are(tmp_path):
    data = draw(3, COILS, ROWS, COLUMNS)
    lines = [
        line
        for s in range(3)
        for line in lines_of(
            data[s], slice=s, position=(0, 0, -5 * s), read_dir=(0, 1, 0), phase_dir=(1, 0, 0)
        )
    ]
    write_ismrmrd(tmp_path / "k.h5", lines, head())
    kspace = read_kspace(tmp_path / "k.h5")
    assert np.array_equal(kspace.data, data)
    assert kspace.notes == []


@pytest.mark.parametrize("shape", [(6, 8), (5, 8), (7, 9)])
def test_what_an_fft_of_an_image_leaves_is_that_image(tmp_path, shape):
    image = draw(COILS, *shape)
    np.save(tmp_path / "k.npy", np.fft.fft2(image, norm="ortho"))
    kspace = read_kspace(tmp_path / "k.npy", dc="corner")
    assert np.allclose(kspace.data[0], transformed(image), atol=1e-5)
    # What was not sampled is not there after it, either.
    np.save(tmp_path / "k.npy", np.fft.fft2(image) * (np.arange(shape[1]) % 3 != 1))
    mask = read_kspace(tmp_path / "k.npy", dc="corner").mask
    assert np.array_equal(mask[0], np.fft.fftshift(np.arange(shape[1]) % 3 != 1))


def test_dc_in_the_corner_is_for_arrays(tmp_path):
    write_bart(tmp_path / "k", draw(1, ROWS, COLUMNS))
    write_fastmri(tmp_path / "k.h5", draw(1, ROWS, COLUMNS))
    for name in ("k.cfl", "k.h5"):
        with pytest.raises(InputError, match="--dc corner is for arrays"):
            read_kspace(tmp_path / name, dc="corner")


def test_a_volume_of_bart_is_sampled_all_along_its_first_axis(tmp_path):
    volume = draw(6, ROWS, COLUMNS, COILS)
    volume[:, :, 2] = 0
    write_bart(tmp_path / "whole", volume)
    kspace = read_kspace(tmp_path / "whole")
    assert kspace.data.shape == (6, COILS, ROWS, COLUMNS)
    assert not kspace.mask[:, 2].any()
    assert kspace.alike
    volume[:2] = 0
    write_bart(tmp_path / "part", volume)
    with pytest.raises(InputError, match=r"its first axis \(4 of 6 planes hold something\)"):
        read_kspace(tmp_path / "part")


def bad_files(tmp_path):
    """Each bad file and what is said of it."""
    np.save(tmp_path / "real.npy", np.ones((4, 4)))
    yield "real.npy", r"real numbers \(float64\), expected complex k-space"
    np.save(tmp_path / "flat.npy", draw(9))
    yield "flat.npy", r"the array is \[9\], expected \[rows, columns\]"
    nan = draw(4, 4)
    nan[0, 0] = np.nan
    np.save(tmp_path / "nan.npy", nan)
    yield "nan.npy", "values that are not finite"
    np.save(tmp_path / "zero.npy", np.zeros((4, 4), complex))
    yield "zero.npy", "nothing but zeros"
    (tmp_path / "not.h5").write_bytes(b"no HDF5 at all")
    yield "not.h5", "expected a whole HDF5 file"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["volume"] = np.ones(3)
    yield "other.h5", "holds volume, expected fastMRI's `kspace` or ISMRMRD's"
    write_fastmri(tmp_path / "whole.h5", draw(2, COILS, ROWS, COLUMNS))
    content = (tmp_path / "whole.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: len(content) // 2])
    yield "cut.h5", "expected a whole HDF5 file"
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("kspace", (10**5, 10**4, 10**3), dtype=np.complex64, chunks=(1, 10, 10))
    yield "huge.h5", "promises 8000000000000 bytes, the file has"
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["kspace"] = h5py.ExternalLink("whole.h5", "kspace")
    yield "link.h5", "lies in another file"
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["elsewhere"] = h5py.ExternalLink("whole.h5", "kspace")
        file["kspace"] = h5py.SoftLink("elsewhere")
    yield "links.h5", "lies in other files"
    with h5py.File(tmp_path / "bytes.h5", "w") as file:
        file.create_dataset("kspace", (2, 2), "c8", external=[(tmp_path / "whole.h5", 0, 32)])
    yield "bytes.h5", "lies in other files"
    write_fastmri(tmp_path / "mask.h5", draw(2, ROWS, COLUMNS), mask=np.ones(5))
    yield "mask.h5", r"the mask is \[5\], the lines are 8"
    lines = [(draw(c, ROWS), {"step": c}) for c in (2, 3)]
    write_ismrmrd(tmp_path / "coils.h5", lines, head())
    yield "coils.h5", r"\[2, 3\] coils in one scan, expected one number"
    write_ismrmrd(tmp_path / "step.h5", [(draw(2, ROWS), {"step": 99})], head())
    yield "step.h5", "lines 99 to 99 do not fit the 8 of the encoded matrix"
    lines = [(draw(2, ROWS), {"flags": [ismrmrd.ACQ_IS_NOISE_MEASUREMENT]})]
    write_ismrmrd(tmp_path / "noise.h5", lines, head())
    yield "noise.h5", "no acquisition of an image among 1"
    write_ismrmrd(tmp_path / "fine.h5", lines_of(draw(2, ROWS, COLUMNS)), head(recon=(10, 10**5)))
    yield "fine.h5", r"a matrix of 10 x 100000 of k-space \[10, 8\], expected at most 4 times"
    lines = [(draw(2, ROWS), {"contrast": echo}) for echo in range(2)]
    write_ismrmrd(tmp_path / "echoes.h5", lines, head())
    yield "echoes.h5", "2 images of each slice by `contrast`, expected one"
    write_fastmri(tmp_path / "none.h5", draw(2, ROWS, COLUMNS), mask=np.zeros(COLUMNS))
    yield "none.h5", "the mask is all zero"
    radians = np.pi * np.linspace(-1, 1, ROWS * 2, dtype=np.float32).reshape(ROWS, 2)
    lines = [(draw(2, ROWS), {"trajectory": radians})]
    write_ismrmrd(
        tmp_path / "radians.h5", lines, head(trajectory=xsd.trajectoryType.RADIAL, recon=(40, 40))
    )
    yield "radians.h5", r"reaches 3.142, expected ±0.5 \(cycles per pixel\) or ±20"
    lines = [(draw(2, ROWS), {"partition": p}) for p in range(2)]
    for side, said in (
        (1500, "2 lines of an encoded matrix of 1500 x 1500"),
        (9999, "2 part.* of 9999"),
    ):
        vast = head(encoded=(ROWS, side, side), encoded_fov=(9.0, 9.0, 9.0))
        write_ismrmrd(tmp_path / f"{side}.h5", lines, vast)
        yield f"{side}.h5", f"{said}, expected a header of this scan"
    lines, header = lines_of(draw(2, ROWS, COLUMNS)), head(center=10**20).toXML("utf-8")
    write_ismrmrd(tmp_path / "center.h5", lines, head())
    with h5py.File(tmp_path / "center.h5", "r+") as file:
        file["dataset/xml"][0] = header
    yield "center.h5", "lines 0 to 7 do not fit the 8 of the encoded matrix"
    fields = {"trajectory": np.zeros((ROWS, 2), np.float32)}
    for name, shape in (("CARTESIAN", {}), ("RADIAL", fields)):
        header = head(trajectory=xsd.trajectoryType[name])
        lines = [(draw(2, ROWS), {"partition": p} | shape) for p in range(2)]
        write_ismrmrd(tmp_path / f"{name}.h5", lines, header)
        yield f"{name}.h5", "partitions 0 to 1 do not fit the 1 of the encoded matrix"
        lines = [(draw(2, ROWS), {"partition": p, "slice": p} | shape) for p in range(2)]
        write_ismrmrd(tmp_path / f"{name}-slabs.h5", lines, header)
        yield f"{name}-slabs.h5", "a volume of 2 slabs, expected one of them in a file"
    lines = [(draw(2, ROWS), {"trajectory": np.full((ROWS, 2), np.nan, np.float32)})]
    write_ismrmrd(tmp_path / "nowhere.h5", lines, head(trajectory=xsd.trajectoryType.RADIAL))
    yield "nowhere.h5", "the trajectory reaches nan, expected"
    write_ismrmrd(tmp_path / "no-matrix.h5", lines_of(draw(2, ROWS, COLUMNS)), head(recon=(10, 0)))
    yield "no-matrix.h5", "reconSpace/matrixSize is .* in the header, expected numbers"
    lines = [(draw(2, ROWS), {"trajectory": np.full((ROWS, 3), -0.1, np.float32)})]
    write_ismrmrd(tmp_path / "ball.h5", lines, head(trajectory=xsd.trajectoryType.RADIAL))
    yield "ball.h5", "a trajectory through a volume, expected one in a plane"
    (tmp_path / "notes.txt").write_text("k")
    yield "notes.txt", "the suffix is .txt, expected k-space"
    write_ismrmrd(tmp_path / "floats.h5", lines_of(draw(2, ROWS, COLUMNS)), head())
    content = bytearray((tmp_path / "floats.h5").read_bytes())
    content[content.index(b"phase_dir") - 4] = 80  # the bias of the exponents before it
    (tmp_path / "floats.h5").write_bytes(content)
    yield "floats.h5", "dataset/data has unknown numbers"
    with h5py.File(tmp_path / "xml.h5", "w") as file:
        file["kspace"] = draw(1, ROWS, COLUMNS)
        file["ismrmrd_header"] = "<ismrmrdHeader><enc"
    yield "xml.h5", "in the header, expected ISMRMRD's XML"
    for name, said in {"foo": "unknown encoding", "utf-7": "in the header"}.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["kspace"] = draw(1, ROWS, COLUMNS)
            file["ismrmrd_header"] = f'<?xml version="1.0" encoding="{name}"?><a/>'
        yield f"{name}.h5", f"{said}.*, expected ISMRMRD's XML"
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["dataset/data"] = np.zeros(3)
        file["dataset/xml"] = np.zeros(0, "S1")
    yield "empty.h5", "dataset/xml is empty, expected ISMRMRD's XML"
    (tmp_path / "k.cfl").write_bytes(b"\0" * 8)
    yield "k.cfl", "no such file, expected BART's pair"
    (tmp_path / "b.cfl").write_bytes(b"\0" * 8)
    (tmp_path / "b.hdr").write_text("# Dimensions\n4 4\n")
    yield "b.cfl", "8 bytes, expected 128 for 4 x 4"
    yield "absent.npy", "no such file"


def test_bad_files_are_one_line_that_names_them(tmp_path):
    for name, message in bad_files(tmp_path):
        with pytest.raises(InputError, match=message) as error:
            read_kspace(tmp_path / name)
        stem = name.split(".")[0]
        assert f"{tmp_path}/{stem}" in str(error.value)
        assert "\n" not in str(error.value)


def test_several_volumes_of_bart_are_refused(tmp_path):
    shape = [1] * 16
    shape[0], shape[1], shape[2], shape[13] = 4, 6, 5, 2
    write_bart(tmp_path / "v", np.ones(shape, np.complex64))
    with pytest.raises(InputError, match=r"v: 2 volumes \(dimension 13\), expected one"):
        read_kspace(tmp_path / "v")


@pytest.mark.parametrize("mode", ["separate", "external", "embedded"])
def test_lines_of_a_scan_for_the_maps_are_no_lines_of_the_image(tmp_path, mode):
    """Embedded ones are, and so is one that says that it is both."""
    data, reference = draw(COILS, ROWS, COLUMNS), draw(COILS, ROWS)
    lines = lines_of(data)
    middle = COLUMNS // 2
    lines[middle][1]["flags"] = [ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING]
    calibration = {"step": middle, "flags": [ismrmrd.ACQ_IS_PARALLEL_CALIBRATION]}
    header = head()
    header.encoding[0].parallelImaging = xsd.parallelImagingType(
        accelerationFactor=xsd.accelerationFactorType(
            kspace_encoding_step_1=1, kspace_encoding_step_2=1
        ),
        calibrationMode=xsd.calibrationModeType(mode),
    )
    write_ismrmrd(tmp_path / "k.h5", [*lines, (reference, calibration)], header)
    found = read_kspace(tmp_path / "k.h5")
    apart = "1 line of a separate scan for coil maps left out" in found.notes
    if mode == "embedded":
        data[..., middle] = (data[..., middle] + reference) / 2
    assert np.allclose(found.data[0], data)
    assert apart is (mode != "embedded")
