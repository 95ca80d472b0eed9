import math

import pytest
import torch
from own_memory import OwnMemory

from operators import ParallelBeamCT
from restore.ct.center import center_residuals, find_center
from restore.ct.counts import (
    dead_cells,
    line_integrals,
    look_like_counts,
    poisson_sinogram,
    poisson_std,
    sinogram_noise,
    without_cells,
    without_zingers,
)
from restore.ct.rings import without_stripes

VIEWS, CELLS = 40, 60


def scan(center: float | None = None, views: int = VIEWS, turn: float = math.pi) -> torch.Tensor:
    """Line integrals of two ellipses off the axis, [1, views, cells]."""
    y, x = torch.meshgrid(torch.linspace(1, -1, 40), torch.linspace(-1, 1, 40), indexing="ij")
    image = ((x / 0.5) ** 2 + ((y - 0.2) / 0.6) ** 2 < 1) + 0.6 * (
        ((x - 0.3) / 0.2) ** 2 + ((y + 0.1) / 0.1) ** 2 < 1
    )
    operator = ParallelBeamCT((1, 40, 40), angles(views, turn), CELLS, center=center)
    return 0.05 * operator(image[None].float())


def angles(views: int = VIEWS, turn: float = math.pi) -> torch.Tensor:
    return torch.arange(views, dtype=torch.float64) * turn / views


def counts_of(lines: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    dark = torch.full((1, CELLS), 100.0)
    flat = torch.linspace(9000, 11000, CELLS)[None]
    return (-lines).exp() * (flat - dark)[:, None] + dark[:, None], flat, dark


def test_counts_become_the_line_integrals_they_came_from() -> None:
    lines = scan()
    found, cut = line_integrals(*counts_of(lines))
    assert cut == 0
    assert torch.allclose(found, lines, atol=1e-4)


def test_counts_are_told_from_line_integrals() -> None:
    lines = scan()
    counts, *_ = counts_of(lines)
    assert look_like_counts(counts)
    assert look_like_counts((-lines).exp())
    assert not look_like_counts(lines)
    assert not look_like_counts(lines + 0.1 * torch.randn(lines.shape))
    within = lines[..., 20:40]
    assert not look_like_counts(within)
    assert not look_like_counts(torch.zeros(1, 2, 2))


def test_zingers_and_dead_cells_leave_no_trace() -> None:
    lines = scan()
    counts, flat, dark = counts_of(lines)
    counts[0, 5, 30] = 60000
    counts[0, 20, 10] = 50000
    counts[..., 25] = 100
    flat[..., 25] = 100
    clean, zingers = without_zingers(counts)
    assert zingers == 2
    dead = dead_cells(clean, flat, dark)
    assert dead.nonzero().tolist() == [[0, 25]]
    found = without_cells(line_integrals(clean, flat, dark)[0], dead)
    assert float((found - lines).abs().max()) < 0.3 * float(lines.max())
    assert float((found - lines).abs().mean()) < 0.002


def test_a_clean_scan_has_no_zingers() -> None:
    counts = counts_of(scan())[0]
    assert without_zingers(counts)[1] == 0


def test_noise_is_estimated() -> None:
    noise = torch.randn(1, VIEWS, CELLS, generator=torch.Generator().manual_seed(0))
    assert sinogram_noise(0.05 * scan() + 0.02 * noise) == pytest.approx(0.02, rel=0.15)
    assert sinogram_noise(torch.zeros(1, 4, 3)) == 0


def test_no_array_of_the_noise_is_larger_than_the_sinogram() -> None:
    sinogram = torch.randn(2, VIEWS, CELLS, generator=torch.Generator().manual_seed(0))
    with OwnMemory() as taken:
        sinogram_noise(sinogram)
    assert 0 < max(taken.numbers) <= sinogram.numel()


def test_poisson_counts_have_the_spread_that_is_said() -> None:
    y = torch.full((1, 200, 200), 1.5)
    found = poisson_sinogram(y, 2000, torch.Generator().manual_seed(0))
    # 40,000 draws: three standard errors of a deviation are one per cent.
    assert float(found.std()) == pytest.approx(float(poisson_std(y, 2000)[0, 0, 0]), rel=0.02)
    assert bool(
        poisson_sinogram(torch.full((1, 1, 9), 60.0), 10, torch.Generator()).isfinite().all()
    )
    # An opaque ray is known as well as by one photon, as it is then counted.
    assert poisson_std(torch.tensor([60.0]), 10).item() == 1


def test_views_not_quite_half_a_turn_apart_tell_the_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a disc far from the axis moves by in 2.5° is half a cell and more."""
    y, x = torch.meshgrid(19.5 - torch.arange(40.0), torch.arange(40.0) - 19.5, indexing="ij")
    image = (torch.hypot(x - 10, y - 8) < 6).float()
    first = angles(15)
    turn = torch.cat([first, first + math.pi + math.radians(2.5)])
    lines = ParallelBeamCT((1, 40, 40), turn, CELLS, center=31.8)(image[None])
    # The centroids tell where the disc is, and not the axis.
    monkeypatch.setattr("restore.ct.center._centroid", lambda *_: (29.5, 10.0, 8.0))
    assert find_center(lines, turn).index == pytest.approx(31.8, abs=0.1)


@pytest.mark.parametrize("views", [20, VIEWS])
@pytest.mark.parametrize("center", [29.5, 32.8, 25.1])
def test_the_axis_is_found(center: float, views: int) -> None:
    found = find_center(scan(center, views), angles(views))
    assert found.index == pytest.approx(center, abs=0.5)
    assert found.improved == (found.index != 29.5)


def test_the_axis_is_found_over_a_limited_angle() -> None:
    turn = math.radians(130)
    found = find_center(scan(33.0, VIEWS, turn), angles(VIEWS, turn))
    assert found.index == pytest.approx(33, abs=0.5)


@pytest.mark.parametrize(("cells", "center"), [(40, 8.0), (40, 31.0), (48, 12.3)])
def test_the_axis_near_an_end_of_the_detector_is_found_over_a_turn(
    cells: int, center: float
) -> None:
    """Centroids of the views, which are cut off, and mirrored ones have it two cells away."""
    turn = torch.arange(90) * 2 * math.pi / 90
    y, x = torch.meshgrid(torch.linspace(-1, 1, 40), torch.linspace(-1, 1, 40), indexing="ij")
    image = ((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1).float()
    image[10:16, 22:30] = 2
    lines = ParallelBeamCT((1, 40, 40), turn, cells, center=center)(image[None])
    found = find_center(lines, turn)
    assert found.index == pytest.approx(center, abs=0.2)
    assert found.improved
    assert not found.cut
    assert find_center(lines[:, :45], turn[:45]).cut


def test_the_best_candidate_has_the_least_residual() -> None:
    residuals = center_residuals(scan(32.0), angles(), [28.0, 30.0, 32.0, 34.0])
    assert residuals.index(min(residuals)) == 2


def test_stripes_go_and_features_stay() -> None:
    views = torch.linspace(0, math.pi, 60)[:, None]
    cells = torch.arange(120.0)
    lines = (-(((cells - 60 - 25 * views.cos()) / 9) ** 2)).exp()[None]
    striped = lines.clone()
    striped[..., 52] += 0.1
    cleaned = without_stripes(striped)
    assert float((cleaned - lines)[..., 52].abs().mean()) < 0.02
    assert float((cleaned - lines).abs().mean()) < 0.003
