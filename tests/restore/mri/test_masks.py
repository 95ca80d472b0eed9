import numpy as np
import pytest
import torch

from restore.mri.espirit import calibration_side
from restore.mri.masks import KINDS, make_mask

SIZES = [(64, 48), (45, 61)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("acceleration", [2, 4.5])
def test_the_acceleration_is_met_and_the_middle_kept(kind, shape, acceleration):
    mask = make_mask(kind, shape, acceleration, center_fraction=0.1, seed=3)
    assert mask.shape == shape
    assert mask.dtype == torch.bool
    lines = kind in ("equispaced", "random", "gaussian1d")
    unit = shape[0] if lines else 1
    assert abs(int(mask.sum()) - mask.numel() / acceleration) <= unit / 2 + 1
    assert calibration_side(mask) >= round(0.1 * min(shape)) - 1
    if lines:
        assert torch.equal(mask, mask[:1].expand(shape))


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides(kind):
    one, same, other = (make_mask(kind, (40, 40), 3, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("width", [36, 35])
def test_an_odd_middle_has_dc_in_its_middle(width):
    mask = make_mask("random", (4, width), width / 5, center_fraction=5 / width)
    assert mask[0].nonzero()[:, 0].tolist() == [width // 2 + k for k in range(-2, 3)]


def test_equispaced_lines_lie_apart():
    columns = make_mask("equispaced", (4, 100), 4, center_fraction=0.08)[0].nonzero()[:, 0].numpy()
    outside = columns[(columns < 44) | (columns > 55)]
    steps = np.diff(outside)
    assert set(steps[(steps < 10)]) <= {5, 6}


def test_poisson_samples_keep_their_distance_and_thin_out():
    mask = make_mask("poisson", (80, 80), 8, center_fraction=0).numpy()
    places = np.argwhere(mask)
    distance = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(distance, 99)
    nearest = distance.min(1)
    radius = np.hypot(*(places - 40).T)
    assert np.quantile(nearest, 0.05) >= 1.4
    assert nearest[radius > 35].mean() > 1.3 * nearest[radius < 15].mean()


def test_bad_requests_are_one_line():
    with pytest.raises(ValueError, match="unknown; expected one of equispaced, random"):
        make_mask("spiral", (8, 8), 2)
    with pytest.raises(ValueError, match="a centre of 32 of 64 lines is more than the 16"):
        make_mask("random", (8, 64), 4, center_fraction=0.5)
    with pytest.raises(ValueError, match=r"a centre of .* positions is more than"):
        make_mask("poisson", (16, 16), 8, center_fraction=0.9)
    with pytest.raises(ValueError, match="expected an acceleration from 1"):
        make_mask("random", (8, 8), 0.5)
