"""Problems that `restore mri` makes of what it reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_memory import OwnMemory

from operators import LinearOperator, NonCartesianMRI
from operators.fourier import centred_fft
from restore.errors import InputError
from restore.io.dicom import write_dicom
from restore.io.kspace import KSpace
from restore.io.placement import Placement
from restore.mri.coils import simulated_coils
from restore.tasks import memory, mri_input, mri_problem
from restore.tasks.mri import MRI
from restore.tasks.mri_input import Measured, MriSettings
from restore.tasks.scan import Scan

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def picture(rows: int, columns: int) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    inside = (y / 0.8) ** 2 + (x / 0.7) ** 2 < 1
    return (40 * inside * (1 + 0.3 * np.cos(6 * x + 3 * y))).astype(np.float32)


def measured(path: Path, **settings: object) -> Scan:
    return MRI.measure(path, MriSettings(**settings), CPU, path.with_name("degraded.npy"))


@pytest.mark.parametrize("mask", ["equispaced", "poisson"])
@pytest.mark.parametrize("coils", [1, 6])
def test_simulated_noise_is_that_of_the_problem(tmp_path: Path, mask: str, coils: int) -> None:
    """σ of a component over at least 2400 numbers: within 5 standard errors, 5/√4800 = 0.07."""
    np.save(tmp_path / "image.npy", np.stack([picture(40, 36), picture(40, 36)]))
    scan = measured(
        tmp_path / "image.npy", simulate=True, sigma=0.05, mask=mask, coils=coils, acceleration=2.0
    )
    clean = measured(
        tmp_path / "image.npy", simulate=True, mask=mask, coils=coils, acceleration=2.0
    )
    noise = scan.problem.y * scan.scale - clean.problem.y * clean.scale
    level = float((noise.abs().square().sum() / (noise != 0).sum() / 2).sqrt())
    assert level / scan.scale == pytest.approx(scan.problem.noise_std, rel=0.07)
    assert level == pytest.approx(0.05 * np.quantile(picture(40, 36), 0.99), rel=0.07)
    assert clean.problem.noise_std * clean.scale == pytest.approx(0.02 * level, rel=0.07)
    assert scan.truth is not None
    assert scan.truth.shape == (2, 40, 36)


def test_the_seed_draws_the_noise_and_the_mask(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", picture(40, 36))

    def kspace(seed: int, **settings: object) -> torch.Tensor:
        one = {"simulate": True, "coils": 1, "seed": seed, **settings}
        scan = measured(tmp_path / "image.npy", **one)
        return scan.problem.y * scan.scale

    noise = [kspace(seed, sigma=0.05) - kspace(seed) for seed in (0, 1)]
    assert float((noise[0] - noise[1]).norm()) > 0.5 * float(noise[0].norm())
    masks = [kspace(seed, mask="random") != 0 for seed in (0, 1)]
    assert not torch.equal(*masks)


def test_images_inside_are_about_one(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", 1e-6 * picture(40, 36))
    scan = measured(tmp_path / "image.npy", simulate=True, acceleration=3.0, sigma=0.01)
    back = scan.problem.operator.adjoint(scan.problem.y).abs()
    assert float(back.flatten().quantile(0.99)) == pytest.approx(1, rel=0.01)
    zero = scan.image(scan.classical["zero-filled"]()[None])[0]
    assert scan.truth is not None
    assert float(zero.max()) == pytest.approx(float(scan.truth.max()), rel=0.6)


def test_what_was_taken_away_is_the_truth(tmp_path: Path) -> None:
    maps = simulated_coils(5, (40, 36))
    data = centred_fft(maps * torch.from_numpy(picture(40, 36)))
    np.save(tmp_path / "k.npy", data.numpy())
    np.save(tmp_path / "maps.npy", maps.numpy())
    whole = measured(tmp_path / "k.npy", maps=tmp_path / "maps.npy")
    assert whole.truth is None
    assert whole.operator["mask"] == "as measured"
    scan = measured(tmp_path / "k.npy", maps=tmp_path / "maps.npy", mask="random")
    assert scan.truth is not None
    assert np.allclose(scan.truth[0], picture(40, 36), atol=1e-3)
    assert scan.operator["acceleration"] == pytest.approx(4, rel=0.1)


def test_a_given_noise_is_taken_and_no_image_is_where_no_coil_sees(tmp_path: Path) -> None:
    maps = simulated_coils(3, (40, 36))
    maps[..., :10] = 0
    np.save(tmp_path / "k.npy", centred_fft(maps * torch.from_numpy(picture(40, 36))).numpy())
    np.save(tmp_path / "maps.npy", maps.numpy())
    scan = measured(tmp_path / "k.npy", maps=tmp_path / "maps.npy", sigma=0.07)
    assert scan.problem.noise_std == scan.resolved["sigma"] == 0.07
    image = scan.image(torch.ones(1, 1, 1, 40, 36, dtype=torch.complex64))
    assert not image[..., :10].any()
    assert bool((image[..., 10:] > 0).all())


def test_more_coils_than_wanted_are_compressed(tmp_path: Path) -> None:
    maps = simulated_coils(6, (40, 36))
    data = centred_fft(maps * torch.from_numpy(picture(40, 36)))
    np.save(tmp_path / "k.npy", data.numpy())
    np.save(tmp_path / "maps.npy", maps.numpy())
    few = measured(tmp_path / "k.npy", coils=4)
    assert few.problem.y.shape == (1, 4, 40, 36)
    with pytest.raises(InputError, match="--coils 4: --maps are given"):
        measured(tmp_path / "k.npy", coils=4, maps=tmp_path / "maps.npy")


@pytest.mark.parametrize("along", [False, True])
def test_the_map_of_one_coil_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, along: bool
) -> None:
    coil = simulated_coils(4, (40, 36))[:1]
    image = torch.from_numpy(picture(40, 36)).to(torch.complex64)
    places = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, (6000, 2)))
    if along:
        y = NonCartesianMRI(places, (1, 40, 36), coil)(image[None, None])
        kspace = KSpace(y.numpy(), None, trajectory=places.numpy(), matrix=(40, 36))
    else:
        kspace = KSpace(centred_fft(coil * image)[None].numpy(), np.ones((40, 36), bool))
    monkeypatch.setattr(mri_input, "read_kspace", lambda *_, **__: kspace)
    np.save(tmp_path / "maps.npy", coil.numpy())
    scan = measured(tmp_path / "k.h5", maps=tmp_path / "maps.npy")
    exact = scan.problem.operator(image[None, None] / scan.scale)
    assert (exact - scan.problem.y).norm() < 1e-3 * scan.problem.y.norm()
    with pytest.raises(InputError, match="no such file"):
        measured(tmp_path / "k.h5", maps=tmp_path / "absent.npy")
    np.save(tmp_path / "maps.npy", coil[None, None].expand(1, 2, -1, -1, -1).numpy())
    if along:
        with pytest.raises(InputError, match="1 slice in 2 sets, expected one set"):
            measured(tmp_path / "k.h5", maps=tmp_path / "maps.npy")


def test_maps_of_one_slice_serve_all(tmp_path: Path) -> None:
    maps = simulated_coils(3, (40, 36))
    images = torch.from_numpy(np.stack([picture(40, 36), 2 * picture(40, 36)]))
    np.save(tmp_path / "k.npy", centred_fft(maps * images[:, None]).numpy())
    np.save(tmp_path / "maps.npy", maps.numpy())
    scan = measured(tmp_path / "k.npy", maps=tmp_path / "maps.npy", mask="random", slice="1")
    assert scan.problem.batch == 1
    both = measured(tmp_path / "k.npy", maps=tmp_path / "maps.npy", mask="random")
    assert both.problem.batch == 2
    assert both.truth is not None
    assert np.allclose(both.truth[1], 2 * both.truth[0], rtol=1e-3)
    estimated = measured(tmp_path / "k.npy", mask="random", center_fraction=0.25)
    assert estimated.problem.operator.batch_shape == (2,)


@pytest.mark.parametrize(
    ("method", "function"),
    [("cg-sense", "cg_sense"), ("l1-wavelet", "l1_wavelet"), ("tv", "total_variation")],
)
def test_classical_methods_hold_one_slice_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, function: str
) -> None:
    maps = simulated_coils(3, (40, 36))
    images = torch.from_numpy(np.stack([picture(40, 36), 2 * picture(40, 36)]))
    np.save(tmp_path / "k.npy", centred_fft(maps * images[:, None]).numpy())
    plain, seen = getattr(mri_problem, function), list[torch.Tensor]()

    def watched(A: LinearOperator, y: torch.Tensor, *args: object, **settings: object) -> object:
        seen.append(y)
        return plain(A, y, *args, **settings)

    monkeypatch.setattr(mri_problem, function, watched)
    scan = measured(tmp_path / "k.npy", mask="random", center_fraction=0.25, sigma=0.01)
    told: list[tuple[int, int]] = []
    x = scan.classical[method](lambda step, total, one: told.append((step, total)))
    assert told == [(1, 2), (2, 2)]
    assert x.shape == (2, 1, 40, 36)
    assert [len(y) for y in seen] == [1, 1]
    assert torch.equal(torch.cat(seen), scan.problem.y)


@pytest.mark.parametrize("maps", ["estimated", "given", "of one slice"])
def test_of_the_whole_scan_maps_alone_are_held_beside_the_measurement(
    tmp_path: Path, maps: str
) -> None:
    coils, images = (
        simulated_coils(3, (40, 36)),
        torch.from_numpy(picture(40, 36)).expand(12, 1, -1, -1),
    )
    data = centred_fft(coils * images).numpy()
    kspace = KSpace(data, np.ones((40, 36), bool))
    chosen: dict[str, Any] = {"mask": "poisson", "center_fraction": 0.25, "sigma": 0.01}
    if maps != "estimated":
        chosen["maps"] = tmp_path / "maps.npy"
        sets = coils[None, None].expand(12 if maps == "given" else 1, -1, -1, -1, -1)
        np.save(chosen["maps"], sets.numpy())
    settings = MriSettings(**chosen)
    with OwnMemory() as taken:
        scan = mri_problem.mri_scan(Path("k"), settings, CPU, Measured(kspace))
    assert len([size for size in taken.bytes if size > data.nbytes / 2]) == (maps == "estimated")
    assert scan.problem.y.data_ptr() == data.ctypes.data
    assert scan.truth is not None
    assert len(scan.truth) == 12


def test_slices_along_a_trajectory_hold_their_maps_and_a_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of few samples the maps are far larger, and what has no room for them is refused."""
    radius, angle = np.meshgrid(np.arange(-16, 16) / 32, np.arange(8) * np.pi / 8)
    places = np.stack([radius * np.sin(angle), radius * np.cos(angle)], -1).reshape(-1, 2)
    coils = simulated_coils(4, (40, 36))
    images = torch.from_numpy(picture(40, 36)).to(torch.complex64).expand(12, 1, -1, -1)
    data = NonCartesianMRI(torch.from_numpy(places), (1, 40, 36), coils)(images).numpy()
    held = Measured(KSpace(data.copy(), None, trajectory=places, matrix=(40, 36)))
    transformed, transform = list[int](), NonCartesianMRI.transform

    def watched(self: NonCartesianMRI, values: torch.Tensor, *, adjoint: bool) -> torch.Tensor:
        transformed.append(len(values))
        return transform(self, values, adjoint=adjoint)

    monkeypatch.setattr(NonCartesianMRI, "transform", watched)
    with OwnMemory() as taken:
        scan = mri_problem.mri_scan(Path("k"), MriSettings(), CPU, held)
    assert scan.problem.operator.batch_shape == (12,)
    assert taken.bytes.count(12 * coils.nbytes) == 2
    assert max(transformed) == 4
    needed = coils.nbytes * (12 * 2 + memory._SLICE_COPIES)
    monkeypatch.setattr(memory, "available_memory", lambda _device: needed - 1)
    with pytest.raises(InputError, match=r"k: a scan of 12 slices .*GB are free; .*--slice"):
        mri_problem.mri_scan(Path("k"), MriSettings(), CPU, held)


@pytest.mark.parametrize(
    ("settings", "arrays"),
    [
        ({}, 1),
        ({"maps": Path("maps.npy")}, 0),
        ({"coils": 2}, 1),
        ({"simulate": True}, 1),
        ({"simulate": True, "sigma": 0.1}, 2),
    ],
)
def test_a_scan_without_room_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], arrays: int
) -> None:
    coils = simulated_coils(4, (40, 36))
    data = centred_fft(coils * torch.from_numpy(picture(40, 36)).expand(5, 1, -1, -1))
    simulate = "simulate" in settings
    np.save(tmp_path / "a.npy", data[:, 0].abs() if simulate else data)
    np.save(tmp_path / "maps.npy", coils)
    chosen = dict(settings)
    if "maps" in chosen:
        chosen["maps"] = tmp_path / "maps.npy"
    of_slice = 8 * 40 * 36 * (8 if simulate else settings.get("coils", 4))
    needed = of_slice * (5 * arrays + memory._SLICE_COPIES)
    monkeypatch.setattr(memory, "available_memory", lambda _device: needed)
    MRI.check(tmp_path / "a.npy", MriSettings(**chosen))
    monkeypatch.setattr(memory, "available_memory", lambda _device: needed - 1)
    with pytest.raises(InputError, match=r"a.npy: a scan of 5 slices .*GB are free; .*--slice"):
        MRI.check(tmp_path / "a.npy", MriSettings(**chosen))
    with pytest.raises(InputError, match="GB are free"):
        measured(tmp_path / "a.npy", **chosen)


@pytest.mark.parametrize("coils", [1, 4])
def test_a_simulation_holds_its_scan_and_the_noise_of_it(tmp_path: Path, coils: int) -> None:
    np.save(tmp_path / "image.npy", np.stack([picture(40, 36)] * 12))
    settings = MriSettings(simulate=True, sigma=0.05, coils=coils)
    with OwnMemory() as taken:
        made = mri_input.simulated_kspace(tmp_path / "image.npy", settings, tmp_path / "k.npy")
    large = [size for size in taken.bytes if size >= made.kspace.data.nbytes]
    # Of one coil the images are as large.
    assert len(large) == (2 if coils > 1 else 3)


@pytest.mark.parametrize("along", [False, True])
@pytest.mark.parametrize("said", [0.5, 2.0])
def test_the_noise_is_that_of_the_noise_scan_where_the_edge_has_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, along: bool, said: float
) -> None:
    """An edge of nothing but noise is believed where the scan says more, as before averages.

    Of 576 magnitudes or more the median is within 5 standard errors, 5 · 0.041 · 1.2 / 2 = 12 %,
    of that of a Rayleigh distribution.
    """
    level = 0.3
    generator = np.random.default_rng(0)
    shape = (1, 4, 3000) if along else (1, 4, 40, 36)
    noise = level * (generator.normal(size=shape) + 1j * generator.normal(size=shape))
    covariance = (said * level) ** 2 * 2 * np.eye(4, dtype=np.complex64)
    maps = simulated_coils(4, (40, 36))
    np.save(tmp_path / "maps.npy", maps.numpy())
    places = generator.uniform(-0.5, 0.5, (3000, 2)) if along else None
    mask = None if along else np.ones((40, 36), bool)
    kspace = KSpace(
        noise.astype(np.complex64), mask, places, noise_covariance=covariance, matrix=(40, 36)
    )
    monkeypatch.setattr(mri_input, "read_kspace", lambda *_, **__: kspace)
    scan = measured(tmp_path / "k.h5", maps=tmp_path / "maps.npy")
    found = scan.problem.noise_std * scan.scale
    if said < 1:
        assert found == pytest.approx(said * level, rel=1e-5)
        assert any(note.startswith("noise estimated from the noise scan") for note in scan.notes)
    else:
        assert found == pytest.approx(level, rel=0.12)
        assert any("the edge of k-space" in note for note in scan.notes)


@pytest.mark.parametrize("along", [False, True])
def test_given_maps_are_whitened_as_the_data_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, along: bool
) -> None:
    image = torch.from_numpy(picture(40, 36)).to(torch.complex64)
    mixing = np.diag([1.0, 3, 1, 6]) @ (np.eye(4) + 0.4 * np.triu(np.ones((4, 4)), 1))
    maps = torch.einsum(
        "dc,chw->dhw",
        torch.from_numpy(mixing).to(torch.complex64),
        simulated_coils(4, (40, 36)),
    )
    np.save(tmp_path / "maps.npy", maps.numpy())
    covariance = (mixing @ mixing.T).astype(np.complex64)
    if along:
        places = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, (3000, 2)))
        y = NonCartesianMRI(places, (1, 40, 36), maps)(image[None, None])
        kspace = KSpace(
            y.numpy(), None, trajectory=places.numpy(), noise_covariance=covariance,
            matrix=(40, 36),
        )  # fmt: skip
    else:
        y = centred_fft(maps * image)[None]
        kspace = KSpace(y.numpy(), np.ones((40, 36), bool), noise_covariance=covariance)
    monkeypatch.setattr(mri_input, "read_kspace", lambda *_, **__: kspace)
    mask = {} if along else {"mask": "random", "acceleration": 2.0}
    scan = measured(tmp_path / "k.h5", maps=tmp_path / "maps.npy", **mask)
    if not along:
        assert scan.truth is not None
        assert np.allclose(scan.truth[0], picture(40, 36), atol=1e-3)
    # The true image explains what was measured.
    true = torch.from_numpy(picture(40, 36))[None, None].to(torch.complex64) / scan.scale
    y = scan.problem.y
    assert float((scan.problem.operator(true) - y).norm() / y.norm()) < 1e-3
    # Inside it is about 1, however large the squares of the maps are.
    assert float(true.abs().flatten().quantile(0.99)) == pytest.approx(1, rel=0.35)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("width", [36, 35])
def test_a_mask_lies_as_the_array_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, flat: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    image, columns = picture(40, width), np.arange(width)
    kept = np.broadcast_to(np.minimum(columns, width - columns) < 12, (40, width))
    np.save(tmp_path / "k.npy", np.fft.fft2(image))
    np.save(tmp_path / "mask.npy", kept[0] if flat else kept)
    scan = measured(tmp_path / "k.npy", dc="corner", mask="mask.npy")
    assert scan.resolved["mask"] == str(tmp_path / "mask.npy")
    middle = (np.abs(columns - width // 2) < 12).nonzero()[0]
    found = scan.problem.y[0, 0].abs().sum(0).nonzero()[:, 0]
    assert np.array_equal(found.numpy(), middle)
    assert scan.truth is not None
    assert np.allclose(scan.truth[0], image * (40 * width) ** 0.5, rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("name", ["simulate", "traj"])
def test_dc_in_the_corner_is_for_grids(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "k.npy", np.fft.fft2(picture(40, 36)))
    np.save(tmp_path / "t.npy", np.zeros((40, 36, 2)))
    settings = {name: True if name == "simulate" else tmp_path / "t.npy"}
    with pytest.raises(InputError, match="--dc corner, expected an array of k-space on a grid"):
        measured(tmp_path / "k.npy", dc="corner", **settings)


def test_an_odd_matrix_is_cut_around_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = picture(40, 36)
    data = centred_fft(torch.from_numpy(image))[None, None].numpy()
    kspace = KSpace(data, np.ones((40, 36), bool), matrix=(25, 21))
    monkeypatch.setattr(mri_input, "read_kspace", lambda *_, **__: kspace)
    scan = measured(tmp_path / "k.h5", save_complex=True)
    cut = image[20 - 12 : 20 + 13, 18 - 10 : 18 + 11]
    found = scan.image(scan.classical["zero-filled"]()[None])[0, 0]
    assert np.allclose(found.numpy(), cut, atol=1e-3)


def test_another_size_leaves_the_pixels_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Placement(np.array([[-18.0, -20, 7]]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    kspace = KSpace(
        np.ones((1, 1, 50), np.complex64), None, trajectory=np.linspace(0, 0.4, 100).reshape(50, 2),
        matrix=(20, 18), spacing=(2.0, 2.0, 5.0), placement=place,
    )  # fmt: skip
    monkeypatch.setattr(mri_input, "read_kspace", lambda *_, **__: kspace)
    about = measured(tmp_path / "k.h5").about
    assert np.array_equal(about.placement.first, [[-18, -20, 7]])
    about = measured(tmp_path / "k.h5", size=(30, 20)).about
    assert np.array_equal(about.placement.first, [[-20, -30, 7]])


def test_what_is_known_of_a_series_is_said(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    images = np.stack([picture(40, 36)] * 3)
    places = np.array([[0, 0, 0], [0, 0, 5.0], [0, 0, 15]])
    write_dicom(
        tmp_path / "series" / "s.dcm", images, "MR", spacing=(1.5, 1.5, 5.0),
        placement=Placement(places, np.array([1.0, 0, 0]), np.array([0, 1.0, 0])),
    )  # fmt: skip
    scan = measured(tmp_path / "series", simulate=True)
    assert "uneven spacing of the slices: 5.00 to 10.00 mm" in scan.notes
