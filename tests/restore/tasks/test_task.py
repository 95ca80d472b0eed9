import dataclasses

import pytest
import torch

from operators import Downsample, Identity
from restore.errors import InputError
from restore.methods.registry import methods
from restore.problem import Problem
from restore.tasks.device import choose_device, choose_dtype
from restore.tasks.registry import TASKS
from restore.tasks.task import PROJECTIONS, consistent

ROUNDING = 1 / (255 * 12**0.5)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_presets_name_methods_that_serve_the_verb_and_their_parameters(task):
    assert set(task.presets) == {"fast", "default", "best"}
    others = (task.sampling, task.averaging, *filter(None, [task.without_svd]))
    for preset in (*task.presets.values(), *others):
        method = methods()[preset.method]
        assert task.name in method.tasks
        fields = {f.name for f in dataclasses.fields(method)}
        assert set(preset.parameters) | set(task.tuned.get(preset.method, {})) <= fields
        assert preset.average >= 1


def test_a_rounded_measurement_is_met_within_the_range_of_a_picture():
    generator = torch.Generator().manual_seed(0)
    operator = Downsample((1, 32, 32), 4)
    truth = torch.rand(1, 1, 32, 32, generator=generator)
    y = (operator(truth).clamp(0, 1) * 255).round() / 255
    estimate = (truth + 0.05 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    x = consistent(Problem(operator, y, ROUNDING), estimate, 0.02)
    assert (operator(estimate) - y).abs().max() > 0.01
    assert (operator(x) - y).abs().max() < 1e-3
    assert 0 <= x.min() <= x.max() <= 1


def test_a_noisy_measurement_changes_little():
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(1, 1, 16, 16, generator=generator)
    x = torch.full((1, 1, 16, 16), 0.5)
    moved = consistent(Problem(Identity((1, 16, 16)), y, 0.5), x, 0.02)
    assert (moved - x).abs().max() < 0.01


def test_each_projection_is_the_mean_between_estimate_and_measurement():
    """x - y is multiplied by ρ/(1 + ρ), ρ = (σ_y/level)², each time."""
    y = 0.4 + 0.2 * torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    x = torch.full((1, 1, 16, 16), 0.5)
    moved = consistent(Problem(Identity((1, 16, 16)), y, 0.1), x, 0.02)
    torch.testing.assert_close(moved, y + (25 / 26) ** PROJECTIONS * (x - y))


def test_an_absent_device_is_refused():
    with pytest.raises(InputError, match=r"--device xpu: not here; expected one of auto, cpu"):
        choose_device("xpu")
    assert choose_device("cpu") == torch.device("cpu")


def test_the_precision_is_float32_where_nothing_speaks_for_another(monkeypatch):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"amx_bf16": True})
    assert choose_dtype("auto", torch.device("cpu")) == "bf16"
    assert choose_dtype("auto", torch.device("cuda")) == "fp32"
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    assert choose_dtype("auto", torch.device("cpu")) == "fp32"
    assert choose_dtype("fp16", torch.device("cpu")) == "fp16"
    monkeypatch.delattr("torch.cpu.get_capabilities")
    assert choose_dtype("auto", torch.device("cpu")) == "fp32"
