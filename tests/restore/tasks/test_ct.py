"""Problems that `restore ct` makes of what it reads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from restore.tasks.ct import CT
from restore.tasks.ct_settings import CtSettings

CPU = torch.device("cpu")


@pytest.mark.parametrize("photons", [None, 3e3])
def test_conjugate_gradients_give_the_mean_of_a_gaussian_image(
    tmp_path: Path, photons: float | None
) -> None:
    """Of pixels of standard deviation 0.2 around 0, in units in which the image is about 1."""
    y, x = np.mgrid[-1:1:20j, -1:1:18j]
    np.save(tmp_path / "image.npy", 0.05 * (x**2 + y**2 < 0.7) * (1 + 0.3 * np.cos(6 * x)))
    noise = {"sigma": 0.1} if photons is None else {"photons": photons}
    settings = CtSettings(simulate=True, views=15, **noise)
    scan = CT.measure(tmp_path / "image.npy", settings, CPU, tmp_path / "sinogram.npy")
    problem = scan.problem
    domain = problem.operator.domain
    pixels = torch.eye(domain.numel).reshape(-1, *domain.shape)
    matrix = problem.operator(pixels).flatten(1).double().T
    information = matrix.T @ matrix / problem.noise_std**2 + torch.eye(len(pixels)) / 0.2**2
    seen = matrix.T @ problem.y.double().flatten() / problem.noise_std**2
    mean = torch.linalg.solve(information, seen).reshape(1, *domain.shape)
    found = scan.classical["cg"]()
    assert float((found - mean).norm()) < 1e-3 * float(mean.norm())
    if photons is not None:  # so that the residual is in units of y
        lines = torch.from_numpy(np.load(tmp_path / "sinogram.npy")) / scan.unit
        weights = (problem.y[0, 0] / lines)[lines != 0]
        assert float(weights.square().mean()) == pytest.approx(1, rel=1e-3)
        assert float(weights.std()) > 0.1


@pytest.mark.parametrize(("method", "iterations"), [("sirt", 100), ("tv", 200)])
def test_what_takes_long_tells_how_far_it_is(tmp_path: Path, method: str, iterations: int) -> None:
    np.save(tmp_path / "image.npy", 0.05 * np.ones((6, 6)))
    settings = CtSettings(simulate=True, views=4, sigma=0.01)
    scan = CT.measure(tmp_path / "image.npy", settings, CPU, tmp_path / "sinogram.npy")
    seen: list[tuple[int, int]] = []

    def on_step(step: int, total: int, x: torch.Tensor) -> None:
        assert x.shape == (1, 1, 6, 6)
        seen.append((step, total))

    found = scan.classical[method](on_step)
    told = iterations - (method == "sirt")  # its last step is the result
    assert seen == [(i, iterations) for i in range(1, told + 1)]
    assert scan.classical[method](on_step) is found
    assert len(seen) == told
