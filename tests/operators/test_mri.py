"""The operators of MRI against sigpy, direct sums and dense matrices."""

from __future__ import annotations

import math
import pickle
import warnings

import pytest
import torch
from torch import Tensor

import operators
from operators import (
    CartesianMRI,
    NoFastSVD,
    NonCartesianMRI,
    SenseMRI,
    ShapeError,
    check_svd,
    sense_svd,
)

SHAPE = (14, 11)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def some(*shape: int, seed: int = 1) -> Tensor:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask.view(-1)[0] = True
    return mask


def dense(A: operators.LinearOperator) -> Tensor:
    basis = torch.eye(A.domain.numel, dtype=A.domain.dtype)
    return A(basis.reshape(-1, *A.domain.shape)).flatten(1).T


@pytest.fixture(scope="module")
def linop():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sigpy.mri.linop

        return sigpy.mri.linop


@pytest.mark.parametrize("shape", [SHAPE, (16, 16), (9, 20)])
def test_sense_is_that_of_sigpy(linop, shape):
    maps, x, mask = draw(3, *shape), draw(1, *shape, seed=2), some(*shape)
    ours = SenseMRI(maps, mask, dtype=torch.complex128)
    theirs = linop.Sense(maps.numpy(), weights=mask.double().numpy())
    assert torch.allclose(ours(x), torch.from_numpy(theirs(x[0].numpy())), atol=1e-12)
    y = ours(x) + mask
    assert torch.allclose(ours.adjoint(y)[0], torch.from_numpy(theirs.H(y.numpy())), atol=1e-12)


def test_samples_anywhere_are_those_of_sigpy(linop):
    k = torch.rand(60, 2, generator=torch.Generator().manual_seed(4)).double() - 0.5
    maps, x = draw(3, *SHAPE), draw(1, *SHAPE, seed=2)
    A = NonCartesianMRI(k, (1, *SHAPE), maps, dtype=torch.complex128)
    theirs = linop.Sense(maps.numpy(), coord=(k * torch.tensor(SHAPE)).numpy())
    # Sigpy's own interpolation is good to a few parts in a thousand unless told otherwise.
    for part in theirs.linops if hasattr(theirs, "linops") else ():
        if hasattr(part, "oversamp"):
            part.oversamp, part.width = 2, 6
    difference = A(x) - torch.from_numpy(theirs(x[0].numpy()))
    assert float(difference.norm() / A(x).norm()) < 1e-5


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_samples_anywhere_are_direct_sums(dtype):
    k = torch.rand(50, 2, generator=torch.Generator().manual_seed(4)).double() - 0.5
    maps, x = draw(3, *SHAPE), draw(2, 1, *SHAPE, seed=2)
    n, m = (torch.arange(side).double() - side // 2 for side in SHAPE)
    angle = -2 * torch.pi * (k[:, 0, None, None] * n[:, None] + k[:, 1, None, None] * m)
    waves = torch.polar(torch.ones_like(angle), angle) / (SHAPE[0] * SHAPE[1]) ** 0.5
    expected = torch.einsum("shw,bchw->bcs", waves, maps * x)
    A = NonCartesianMRI(k, (1, *SHAPE), maps, dtype=dtype)
    error = (A(x.to(dtype)) - expected).norm() / expected.norm()
    assert float(error) < (5e-6 if dtype == torch.complex64 else 1e-12)


@pytest.mark.parametrize("shape", [SHAPE, (9, 13), (1, 8), (22, 5)])
def test_the_normal_operator_of_samples_anywhere_is_a_convolution(shape):
    k = torch.rand(70, 2, generator=torch.Generator().manual_seed(4)).double() - 0.5
    maps, x = draw(3, *shape), draw(2, 1, *shape, seed=2)
    for dtype, tolerance in ((torch.complex64, 5e-6), (torch.complex128, 1e-12)):
        A = NonCartesianMRI(k, (1, *shape), maps, dtype=dtype)
        expected = A.adjoint(A(x.to(dtype)))
        assert float((A.normal(x.to(dtype)) - expected).norm() / expected.norm()) < tolerance
    A.transform = None  # the samples are not visited
    A.normal(x)


def test_samples_on_the_grid_are_cartesian():
    axes = [(torch.arange(side).double() - side // 2) / side for side in SHAPE]
    k = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    x = draw(1, *SHAPE)
    scattered = NonCartesianMRI(k, (1, *SHAPE), dtype=torch.complex128)(x).reshape(1, *SHAPE)
    gridded = CartesianMRI(torch.ones(SHAPE), (1, *SHAPE), dtype=torch.complex128)(x)
    assert torch.allclose(scattered, gridded, atol=1e-12)


@pytest.mark.parametrize("mask", [some(1, SHAPE[1]), some(SHAPE[0], 1), torch.ones(SHAPE)])
@pytest.mark.parametrize("sets", [1, 2])
def test_line_sampling_has_the_singular_values_of_the_whole_matrix(mask, sets):
    A = SenseMRI(draw(sets, 3, *SHAPE), mask, dtype=torch.complex128)
    expected = torch.linalg.svdvals(dense(A))
    found = A.svd().singular_values.flatten().sort(descending=True).values
    count = min(len(found), len(expected))
    assert torch.allclose(found[:count], expected[:count], atol=1e-10)
    assert float(expected[count:].max() if len(expected) > count else 0) < 1e-10


@pytest.mark.parametrize("shape", [(1,), (1, 1), (8, 1), (1, 6), (6,), (2, 1, 8, 1)])
def test_a_mask_that_keeps_all_has_an_svd_whatever_its_shape(shape):
    check_svd(SenseMRI(draw(1, 3, 8, 6), torch.ones(shape), dtype=torch.complex128))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_where_no_coil_sees_the_svd_holds_and_the_adjoint_has_none(dtype):
    maps = draw(1, *SHAPE, dtype=dtype)
    maps[..., :5, :4] = 0
    A = SenseMRI(maps, torch.ones(1, SHAPE[1]), dtype=dtype)
    check_svd(A)
    with pytest.raises(NoFastSVD, match="no directions of y where s = 0"):
        A.H.svd()
    # U and its zeros in the place of V would lose all of b that no picture makes.
    b = draw(1, *SHAPE, seed=3, dtype=dtype)
    x = A.H.solve_normal(b, 0.5)
    assert torch.allclose(A.H.normal(x) + 0.5 * x, b, atol=1e-4)
    assert SenseMRI(draw(1, *SHAPE), torch.ones(1, SHAPE[1]), dtype=torch.complex128).H.svd()


def test_masks_of_lines_that_differ_from_image_to_image():
    masks = torch.stack([some(1, SHAPE[1], seed=seed) for seed in (1, 5)])[:, None]
    A = SenseMRI(draw(1, 3, *SHAPE)[None].expand(2, -1, -1, -1, -1), masks, dtype=torch.complex128)
    x = draw(2, 1, *SHAPE, seed=3)
    y = A(x)
    for image in range(2):
        one = SenseMRI(draw(1, 3, *SHAPE), masks[image, 0], dtype=torch.complex128)
        assert torch.allclose(one.pinv(y[image]), A.pinv(y)[image], atol=1e-9)
        taken = A.take(torch.tensor([image]))
        assert torch.allclose(taken.pinv(y[image : image + 1])[0], A.pinv(y)[image], atol=1e-12)


def test_maps_are_copied_unless_that_is_not_wanted():
    maps, mask = draw(1, 3, *SHAPE), some(*SHAPE)
    shared = SenseMRI(maps, mask, dtype=torch.complex128, copy=False)
    assert shared.coil_maps.data_ptr() == maps.data_ptr()
    own = SenseMRI(maps, mask, dtype=torch.complex128)
    assert own.coil_maps.data_ptr() != maps.data_ptr()


@pytest.mark.parametrize("maps", [(2, 3, *SHAPE), (2, 1, 3, *SHAPE)])
def test_lines_are_factorised_some_positions_at_a_time(monkeypatch, maps):
    seen = draw(*maps)
    seen[..., 0, :] *= 1e-14  # what is rounding is told from the whole image, not from a piece
    whole, A = (SenseMRI(seen, some(1, SHAPE[1]), dtype=torch.complex128) for _ in range(2))
    plain, sizes = torch.linalg.svd, []

    def watched(matrix, **options):
        sizes.append(matrix.numel())
        return plain(matrix, **options)

    monkeypatch.setattr(torch.linalg, "svd", watched)
    s, y = whole.svd().singular_values, whole(draw(2, *A.domain.shape, seed=3))
    monkeypatch.setattr(sense_svd, "_PIECE", sizes[0] // 3)
    assert torch.allclose(A.svd().singular_values, s, atol=1e-12)
    assert not s[..., 0, :].any()
    assert not A.svd().singular_values[..., 0, :].any()
    assert torch.allclose(A.pinv(y), whole.pinv(y), atol=1e-9)
    assert sum(sizes[1:]) == sizes[0]
    assert max(sizes[1:]) <= sense_svd._PIECE


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("batch", [None, "maps", "masks", "both"])
@pytest.mark.parametrize("sets", [1, 2])
def test_the_svd_is_of_the_pixels_that_are_seen(batch, axis, sets):
    """Elsewhere the maps are 0, in a row wholly; U, s and V still are those of the whole matrix."""
    maps = draw(*((2,) if batch in ("maps", "both") else ()), sets, 4 * sets, *SHAPE)
    maps[..., 3, :] = maps[..., :3] = maps[..., :, -2:] = 0
    maps[..., -1, :, 0, :9] = 0
    maps[..., 5, 4:] = 0
    line = (1, SHAPE[1]) if axis == 1 else (SHAPE[0], 1)
    mask = some(*line)
    if batch in ("masks", "both"):
        mask = torch.stack([mask, torch.ones(line)])[:, None]
    A = SenseMRI(maps, mask, dtype=torch.complex64)
    exact = SenseMRI(maps, mask, dtype=torch.complex128)
    svd = A.svd()
    # No direction is kept that no position needs.
    assert svd.spectral_shape[-1] <= sets * (SHAPE[axis] - (1 if axis == 0 else 5))
    n = A.domain.numel
    basis = torch.eye(n, dtype=torch.complex64).reshape(n, *([1] if batch else []), *A.domain.shape)
    basis = basis.expand(n, *A.batch_shape, *A.domain.shape)
    c = svd.vt(basis)
    applied = svd.u(svd.singular_values * c)
    expected = exact(basis.to(torch.complex128))
    assert float((applied - expected).abs().max()) < 1e-5 * float(exact.norm().max())
    spectral = svd.spectral_shape
    unit = torch.eye(math.prod(spectral), dtype=torch.complex64)
    unit = unit.reshape(len(unit), *([1] if batch else []), *spectral)
    unit = unit.expand(len(unit), *A.batch_shape, *spectral)
    assert torch.allclose(svd.vt(svd.v(unit)), unit, atol=2e-6)
    seen = (svd.singular_values > 0).expand(unit.shape)
    assert torch.allclose(svd.ut(svd.u(unit)), unit * seen, atol=2e-5)


def test_without_lines_there_is_no_svd_and_the_solution_is_the_same():
    A = SenseMRI(draw(6, *SHAPE), some(*SHAPE), dtype=torch.complex128)
    assert A.svd_or_none() is None
    y = A(draw(1, *SHAPE, seed=3))
    expected = torch.linalg.lstsq(dense(A), y.flatten()).solution.reshape(1, *SHAPE)
    assert torch.allclose(A.pinv(y), expected, atol=1e-6)


def test_a_mask_that_keeps_nothing_has_no_svd():
    with pytest.raises(NoFastSVD, match="the mask keeps no line"):
        SenseMRI(draw(2, *SHAPE), torch.zeros(1, SHAPE[1]), dtype=torch.complex128).svd()


def test_the_density_of_spokes_is_their_distance_from_the_middle():
    angle = torch.arange(96) * torch.pi / 96
    radius = (torch.arange(64) - 32) / 64
    k = torch.stack([radius * angle.sin()[:, None], radius * angle.cos()[:, None]], -1)
    weights = operators.density_compensation(k.flatten(0, 1), (1, 32, 32)).reshape(96, 64)
    ramp = weights[:, 36:60].mean(0) / radius[36:60]
    assert float(ramp.std() / ramp.mean()) < 0.1
    A = NonCartesianMRI(k.flatten(0, 1), (1, 32, 32))
    x = torch.zeros(1, 32, 32, dtype=torch.complex64)
    x[:, 8:22, 12:20] = 1
    image = A.adjoint(weights.flatten() * A(x))
    assert float((image - x).norm() / x.norm()) < 0.1


def test_samples_on_the_grid_of_an_oblong_image_weigh_one():
    """sinc² is 0 from one to another, and AᴴA is the identity."""
    rows, columns = (torch.arange(side) / side - 0.5 for side in (8, 12))
    grid = torch.cartesian_prod(rows, columns)
    weights = operators.density_compensation(grid, (1, 8, 12))
    assert torch.allclose(weights, torch.ones(96), atol=1e-4)


def test_a_pickle_leaves_the_plans_behind():
    k = torch.rand(9, 2) - 0.5
    A = NonCartesianMRI(k, (1, *SHAPE))
    x = draw(1, *SHAPE, dtype=torch.complex64)
    y = A(x)
    assert torch.equal(pickle.loads(pickle.dumps(A))(x), y)


def test_errors_name_the_operator_and_both_shapes():
    with pytest.raises(TypeError, match=r"CartesianMRI: the type is torch.float32; it must be"):
        CartesianMRI(torch.ones(SHAPE), (1, *SHAPE), dtype=torch.float32)
    with pytest.raises(ShapeError, match=r"SenseMRI: the coil maps are \[14, 11\]; they must be"):
        SenseMRI(torch.ones(SHAPE), torch.ones(SHAPE))
    with pytest.raises(ShapeError, match=r"SenseMRI: the coil maps are of a batch of \[2\]; the"):
        SenseMRI(torch.ones(2, 1, 3, *SHAPE), torch.ones(3, 1, *SHAPE))
    with pytest.raises(ShapeError, match=r"the mask is \[7, 7\]; the shape is \[3, 14, 11\]"):
        SenseMRI(torch.ones(3, *SHAPE), torch.ones(7, 7))
    with pytest.raises(ValueError, match=r"in cycles per pixel, within ±0\.5"):
        NonCartesianMRI(torch.ones(4, 2), (1, *SHAPE))
    with pytest.raises(ShapeError, match=r"the trajectory is \[4, 3\]"):
        NonCartesianMRI(torch.zeros(4, 3), (1, *SHAPE))


def test_lines_that_are_not_those_of_every_coil_have_no_svd():
    maps, lines = draw(3, *SHAPE), some(3, 1, SHAPE[1])
    A = SenseMRI(maps, lines.expand(3, *SHAPE), dtype=torch.complex128)
    assert not bool((lines == lines[:1]).all())
    with pytest.raises(NoFastSVD, match="the same for every coil"):
        A.svd()
    y = draw(1, 3, *SHAPE)
    expected = torch.linalg.solve(
        dense(A).mH @ dense(A) + 0.1 * torch.eye(A.domain.numel), A.adjoint(y).flatten()
    )
    found = A.solve_normal(A.adjoint(y), 0.1, tolerance=1e-10).flatten()
    assert (found - expected).norm() < 1e-6 * expected.norm()
    same = SenseMRI(maps, lines[:1].expand(3, *SHAPE), dtype=torch.complex128)
    check_svd(same)
