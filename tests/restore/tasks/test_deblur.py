import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from pretended import DEVICE, accelerator

from operators import Blur, gaussian_kernel, motion_kernel
from restore.io.picture import read_picture, write_picture
from restore.problem import Problem
from restore.tasks import baselines
from restore.tasks.baselines import wiener
from restore.tasks.deblur import Deblur
from restore.tasks.initial import started_from
from restore.tasks.settings import Settings

CPU = torch.device("cpu")


def texture(height: int, width: int) -> torch.Tensor:
    """A picture [1, 3, height, width] with the spectrum that photographs have."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.fft.fftfreq(height)[:, None].square()
    frequency = (rows + torch.fft.rfftfreq(width).square()).sqrt().clamp_min(1 / height)
    noise = torch.randn(1, 3, height, width, generator=generator)
    x = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency, s=(height, width))
    return (0.5 + 0.15 * (x - x.mean()) / x.std()).clamp(0, 1)


def error(x: torch.Tensor, truth: torch.Tensor) -> float:
    return float((x - truth).square().mean().sqrt())


@pytest.mark.parametrize("border", ["valid", "reflect", "zero", "circular"])
@pytest.mark.parametrize("kernel", [gaussian_kernel(1.5), motion_kernel(9, 0.5)])
def test_wiener_undoes_a_blur_with_any_border(kernel, border):
    truth = texture(60, 70)
    operator = Blur(tuple(truth.shape[1:]), kernel, border)
    clean = operator(truth)
    y = clean + 0.005 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    x = wiener(Problem(operator, y, 0.005), kernel)
    assert error(operator(x), y) < 0.01
    inner = (..., slice(12, -12), slice(12, -12))
    blurred = Blur(tuple(truth.shape[1:]), kernel, "reflect")(truth)
    assert error(x[inner], truth[inner]) < 0.85 * error(blurred[inner], truth[inner])


def test_wiener_is_the_gaussian_mean_of_a_periodic_picture():
    """Where the border is circular the filter is the solution in closed form."""
    kernel, noise = gaussian_kernel(1.0), 0.02
    y = texture(24, 32)
    operator = Blur(tuple(y.shape[1:]), kernel, "circular")
    x = wiener(Problem(operator, y, noise), kernel)
    delta = torch.zeros_like(y)
    delta[..., 0, 0] = 1
    transfer = torch.fft.fft2(operator(delta))
    rows, columns = torch.fft.fftfreq(24)[:, None], torch.fft.fftfreq(32)
    frequency = (rows.square() + columns.square()).clamp_min(1 / 32**2)
    power = y.var((-2, -1)).mean() / frequency / (1 / frequency).mean()
    mean = y.mean((-2, -1), keepdim=True)
    filtered = transfer.conj() * torch.fft.fft2(y - mean)
    filtered = filtered / (transfer.abs().square() + noise**2 / power)
    torch.testing.assert_close(x, mean + torch.fft.ifft2(filtered).real, atol=1e-3, rtol=0)


def test_wiener_gives_up_detail_rather_than_its_end(monkeypatch):
    """A deep blur without noise takes more iterations than there are: it is damped, not refused."""
    kernel = motion_kernel(21, 0.7)
    operator = Blur((1, 32, 32), kernel, "zero")
    y = operator(texture(32, 32)[:, :1])
    monkeypatch.setattr(baselines, "WIENER_ITERATIONS", 20)
    x = wiener(Problem(operator, y), kernel)
    assert bool(torch.isfinite(x).all())
    assert error(operator(x), y) < 0.05


@pytest.mark.parametrize("border", ["zero", "valid"])
def test_wiener_gives_up_detail_on_an_accelerator_too(monkeypatch, border):
    kernel = motion_kernel(21, 0.7)
    operator = Blur((1, 32, 32), kernel, border)
    y = operator(texture(32, 32)[:, :1])
    monkeypatch.setattr(baselines, "WIENER_ITERATIONS", 5)
    x = wiener(Problem(operator, y), kernel)
    with accelerator(monkeypatch):
        there = Blur((1, 32, 32), kernel, border, device=DEVICE)
        found = wiener(Problem(there, y.to(DEVICE)), kernel).cpu()
    torch.testing.assert_close(found, x, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kernel", ["gaussian:1.2", "motion:7,20"])
def test_valid_measures_a_canvas_and_writes_its_middle(tmp_path, kernel):
    write_picture(tmp_path / "p.png", texture(30, 40)[0].numpy())
    picture = read_picture(tmp_path / "p.png")
    task, settings = Deblur(), Settings(kernel=kernel, sigma=0.01)
    measurement = task.measure(picture, settings, CPU)
    operator = measurement.problem.operator
    assert operator.codomain.shape == (3, 30, 40)
    x = torch.rand(1, *operator.domain.shape, generator=torch.Generator().manual_seed(0))
    written = measurement.finish(x)
    assert written.shape == (1, 3, 30, 40)
    inside = measurement.written
    assert inside.operator.domain.shape == (3, 30, 40)
    # What the written picture measures is a part of what the canvas does, and y likewise.
    whole, part = operator(x), inside.operator(written)
    top, left = ((a - b) // 2 for a, b in zip(whole.shape[2:], part.shape[2:], strict=True))
    window = (..., slice(top, top + part.shape[2]), slice(left, left + part.shape[3]))
    torch.testing.assert_close(whole[window], part)
    assert torch.equal(measurement.problem.y[window], inside.y)
    # A start that is given is of the written picture, too.
    started = started_from(tmp_path / "p.png", picture, measurement).start
    assert torch.equal(measurement.finish(started)[0], torch.from_numpy(picture.pixels))
    assert torch.equal(started[..., 0, :], measurement.start[..., 0, :])


@pytest.mark.parametrize("border", ["valid", "reflect", "circular"])
def test_a_simulated_picture_is_the_blurred_one(tmp_path, border):
    write_picture(tmp_path / "p.png", texture(30, 40)[0].numpy())
    picture = read_picture(tmp_path / "p.png")
    settings = Settings(kernel="gaussian:1", border=border)
    y, same = Deblur().degrade(picture, settings)
    assert same == settings
    mode = {"circular": "wrap"}.get(border, "reflect")
    expected = [scipy.ndimage.gaussian_filter(c, 1.0, mode=mode) for c in picture.pixels]
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-5)
    noisy, _ = Deblur().degrade(picture, settings.model_copy(update={"sigma": 0.1}))
    assert math.isclose(float((noisy - y).std()), 0.1, rel_tol=0.05)


@pytest.mark.parametrize(("kernel", "rounding"), [("gaussian:0.3", True), ("gaussian:1", False)])
def test_texture_is_not_taken_for_noise_where_the_blur_leaves_it(tmp_path, kernel, rounding):
    write_picture(tmp_path / "p.png", texture(30, 40)[0].numpy())
    picture = read_picture(tmp_path / "p.png")
    measurement = Deblur().measure(picture, Settings(kernel=kernel), CPU)
    assert (measurement.problem.noise_std == picture.rounding_std) == rounding
    assert any("noise not estimated" in note for note in measurement.notes) == rounding
    told = Deblur().measure(picture, Settings(kernel=kernel, sigma=0.02), CPU)
    assert told.problem.noise_std == 0.02
