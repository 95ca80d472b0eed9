from __future__ import annotations

import dataclasses
import math
from typing import get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor

import operators
import restore
from restore.methods import DDRM
from restore.prior.denoiser import Denoiser, FunctionDenoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import solve

SHAPE = (3, 64, 48)


class Half(Denoiser):
    """Each row by itself, bit for bit."""

    channels = 3
    sigma_min, sigma_max = 0.01, 50.0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return 0.25 + x / 2


OPERATORS = {
    "mask": lambda: operators.Mask(torch.rand(64, 48) > 0.5, SHAPE),
    "masks": lambda: operators.Mask(torch.rand(3, 1, 64, 48) > 0.5, SHAPE),
    "downsample": lambda: operators.Downsample(SHAPE, 4),
    "colorize": lambda: operators.Colorize(SHAPE),
    "blur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.5)),
    "blur-zero": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.5), "zero"),
    "blur-circular": lambda: operators.Blur(SHAPE, operators.disk_kernel(2.0), "circular"),
    "hadamard": lambda: operators.Hadamard(SHAPE, 0.25),
}


def _problem(name: str = "downsample", noise_std: float = 0.05) -> Problem:
    operator = OPERATORS[name]()
    y = operator(torch.rand(3, *SHAPE))
    return Problem(operator, y + noise_std * torch.randn_like(y), noise_std)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_batch_size_changes_no_bit(name):
    problem = _problem(name)
    reference = solve(problem, Half(), samples=2, steps=2)
    assert reference.shape == (2, 3, *SHAPE)
    for batch_size in (1, 4):
        x = solve(problem, Half(), samples=2, steps=2, batch_size=batch_size)
        assert torch.equal(x, reference), batch_size


@pytest.mark.parametrize("method", ["ddrm", "snips", "ccdf"])
def test_of_no_pictures_there_are_none(method):
    operator = OPERATORS["downsample"]()
    problem = Problem(operator, torch.zeros(0, *operator.codomain.shape))
    assert solve(problem, Half(), method, steps=2, samples=2).shape == (2, 0, *SHAPE)


def test_a_sample_depends_on_seed_and_index_only():
    problem = _problem()
    two, four = (solve(problem, Half(), samples=count, steps=3) for count in (2, 4))
    assert torch.equal(two, four[:2])
    assert torch.equal(two, solve(problem, Half(), samples=2, steps=3, seed=0))
    other = solve(problem, Half(), samples=2, steps=3, seed=1)
    rows = torch.cat([two, other]).flatten(0, 1).flatten(1)
    assert torch.cdist(rows, rows).add(1e9 * torch.eye(len(rows))).min() > 1


def test_samples_of_a_picture_share_the_svd_of_its_own_operator(monkeypatch):
    """Of a slice in eight coils it takes half a minute."""
    made, plain = [], operators.SenseMRI._factorise

    def watched(self):
        made.append(self.batch_shape)
        return plain(self)

    monkeypatch.setattr(operators.SenseMRI, "_factorise", watched)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 1, 3, 8, 6, generator=generator, dtype=torch.complex64)
    operator = operators.SenseMRI(maps, torch.tensor([[1.0, 0, 1, 1, 0, 1]]))
    y = operator(torch.randn(2, 1, 8, 6, generator=generator, dtype=torch.complex64))
    prior, problem = FunctionDenoiser(lambda x, _sigma: 0.5 * x), Problem(operator, y, 0.1)
    x = solve(problem, prior, "diffpir", samples=3, steps=2, batch_size=1)
    assert made == [(1,), (1,)]
    solve(problem, prior, "ddrm", samples=3, steps=2, batch_size=1)  # looks whether there is one
    assert made[2:] == [(1,)] * 3
    alone = solve(problem, prior, "diffpir", samples=1, steps=2, batch_size=1)
    assert x.shape == (3, 2, 1, 8, 6)
    assert torch.equal(x[0], alone[0])
    assert not torch.equal(x[1], x[0])


def test_steps_are_counted_over_all_batches():
    problem, seen = _problem(), []

    def on_step(step: int, total: int, x_hat: Tensor) -> None:
        seen.append((step, total, tuple(x_hat.shape)))

    solve(problem, Half(), samples=2, steps=3, batch_size=4, on_step=on_step)
    sizes = [4, 4, 4, 2, 2, 2]
    assert seen == [(step, 6, (size, *SHAPE)) for step, size in enumerate(sizes, 1)]


def test_an_exception_ends_the_run():
    calls = []

    def on_step(step: int, total: int, x_hat: Tensor) -> None:
        calls.append(step)
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve(_problem(), Half(), on_step=on_step)
    assert calls == [1, 2]


def test_no_gradient_is_kept():
    class Trainable(Half):
        weight = torch.ones((), requires_grad=True)

        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return self.weight * x / 2

    assert not solve(_problem(), Trainable(), steps=2).requires_grad


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (lambda x: x.double(), r"denoiser: its output is torch\.float64; expected torch\.float32"),
        (lambda x: x[:1], r"denoiser: its output is \[1, 3, 64, 48\]; expected \[3, 3, 64, 48\]"),
        (lambda x: x.detach().numpy(), "denoiser: its output is of type ndarray"),
    ],
)
@pytest.mark.parametrize("method", ["ddrm", "pnp", "daps", "dps"])
def test_a_denoiser_of_ones_own_that_is_at_fault_is_named(method, output, text):
    class Own(Half):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return output(x)

    with pytest.raises(ValueError, match=text):
        solve(_problem(), Own(), method, steps=2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_refuses_a_result_that_is_not_finite(bad):
    problem = _problem()
    start = torch.full((3, *SHAPE), bad)
    with pytest.raises(ValueError, match="pnp: its result holds NaN or infinity"):
        solve(problem, Half(), "pnp", steps=2, start=start, sigma_max=0.5)


def test_takes_a_method_of_ones_own():
    problem = _problem()
    method = DDRM(steps=3, eta=1.0)
    assert torch.equal(solve(problem, Half(), method), solve(problem, Half(), steps=3, eta=1.0))
    with pytest.raises(ValueError, match="object"):
        solve(problem, Half(), method, steps=3)


@pytest.mark.parametrize("shape", [(1, *SHAPE), SHAPE, (3, 1, 64, 48)])
def test_refuses_the_result_of_a_method_of_ones_own_that_is_no_batch_of_pictures(shape):
    class Own(DDRM):
        def __call__(self, problem, prior, **kwargs):
            return torch.zeros(shape)

    text = rf"ddrm: its result is \[{shape[0]}, .*\] of .*; expected \[3"
    with pytest.raises(ValueError, match=text):
        solve(_problem(), Half(), Own())


def test_hyperparameters_of_ones_own_may_be_annotated_with_types():
    own = dataclasses.make_dataclass("Own", [("extra", int, 3)], bases=(DDRM,), frozen=True)
    with pytest.raises(ValueError, match="extra is 'x'; it must be a whole number"):
        solve(_problem(), Half(), own, extra="x")


def test_takes_the_class_of_a_method():
    problem = _problem()
    found = solve(problem, Half(), restore.methods()["ddrm"], steps=3)
    assert torch.equal(found, solve(problem, Half(), "ddrm", steps=3))

    class Sure(DDRM):
        """Of the same name, and another method."""

        def __call__(self, problem, prior, **kwargs):
            return torch.full((problem.batch, *SHAPE), 0.5)

    assert bool((solve(problem, Half(), Sure, steps=3) == 0.5).all())
    with pytest.raises(ValueError, match="ddrm has no hyperparameter 'stepz'"):
        solve(problem, Half(), Sure, stepz=3)


def test_particles_and_imaginary_parts_fill_a_batch_too():
    rows = []

    class Counted(Half):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            rows.append(x.shape[0])
            return super().__call__(x, sigma)

    solve(_problem(), Counted(), "mcgdiff", samples=30, steps=2, particles=16)
    assert 2**17 < max(rows) * 64 * 48 <= 2**18

    rows.clear()
    scan = operators.CartesianMRI(torch.ones(64, 64, dtype=torch.bool), (1, 64, 64))
    y = torch.ones(1, *scan.codomain.shape, dtype=torch.complex64)
    grey = type("Grey", (Counted,), {"channels": 1})
    solve(Problem(scan, y, 0.05), grey(), samples=40, steps=1)
    assert max(rows) * 64 * 64 == 2**18


@pytest.mark.parametrize("method", ["ccdf", "ilvr", "scoresde", "ddrm-cg", "pigdm", "daps", "pnp"])
def test_a_noiseless_measurement_without_svd_is_restored(method):
    """Conjugate gradients reach what these ask of them, however weak the measured directions."""
    operator = operators.Blur((3, 24, 20), operators.motion_kernel(5, 0.5))
    y = operator(torch.rand(1, 3, 24, 20, generator=torch.Generator().manual_seed(0)))
    prior = GaussianMixture([1.0], torch.full((1, 3, 24, 20), 0.5), 0.2, sigma_max=5.0)
    x = solve(Problem(operator, y), prior, method, steps=4)[0]
    assert (operator(x) - y).abs().max() < 5e-3


def test_double_precision():
    operator = OPERATORS["blur"]()
    x = torch.rand(1, *SHAPE)
    single = solve(Problem(operator, operator(x), 0.05), Half(), steps=5)
    double = operator.to(dtype=torch.float64)
    exact = solve(Problem(double, double(x.double()), 0.05), Half(), steps=5)
    assert exact.dtype == torch.float64
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"method": "drdm"}, "no method 'drdm'; expected one of ddrm, pnp.*did you mean ddrm"),
        ({"method": "quantum"}, "no method 'quantum'; expected one of [^;]*$"),
        ({"etab": 1.0}, "ddrm has no hyperparameter 'etab'; .*did you mean eta_b"),
        ({"eta": 1.5}, "eta is 1.5"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": None}, "steps is None; it must be a whole number"),
        ({"steps": np.float32(3)}, "steps is of type float32; it must be a whole number"),
        ({"steps": torch.tensor(3)}, "steps is of type Tensor; it must be a whole number"),
        ({"eta": None}, "eta is None; it must be a number"),
        ({"start": np.zeros((1, *SHAPE)), "sigma_max": 1.0}, "start is of type ndarray; .* tensor"),
        ({"samples": 0}, "samples is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"samples": 1.5}, "samples is 1.5; it must be a whole number"),
        ({"batch_size": 2.0}, "batch_size is 2.0; it must be a whole number"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": None}, "seed is None; it must be a whole number"),
    ],
)
def test_refuses(arguments, text):
    with pytest.raises(ValueError, match=text):
        solve(_problem(), Half(), **arguments)


def test_takes_the_numbers_of_numpy():
    problem = _problem()
    plain = solve(problem, Half(), steps=3, eta=0.5)
    theirs = {"steps": np.int64(3), "eta": np.float32(0.5), "seed": np.uint8(0)}
    assert torch.equal(solve(problem, Half(), samples=np.int32(1), **theirs), plain)


def test_refuses_what_does_not_fit():
    matrix_free = operators.Blur(SHAPE, operators.motion_kernel(9, 0.5))
    problem = Problem(matrix_free, torch.zeros(1, *SHAPE))
    with pytest.raises(ValueError, match=r"ddrm needs a fast SVD, which Blur.* methods that fit: "):
        solve(problem, Half())
    grey = operators.Downsample((1, 64, 64), 4)
    with pytest.raises(ValueError, match=r"prior has 3 channels; the picture has 1"):
        solve(Problem(grey, torch.zeros(1, 1, 16, 16)), Half())
    y = torch.full((1, 3, 16, 12), float("nan"))
    with pytest.raises(ValueError, match="finite"):
        solve(Problem(OPERATORS["downsample"](), y), Half())


def test_refuses_a_prior_that_is_only_a_function():
    with pytest.raises(TypeError, match=r"type function; expected .*FunctionDenoiser"):
        solve(_problem(), lambda x, sigma: x / 2)
    assert solve(_problem(), FunctionDenoiser(lambda x, sigma: x / 2)).shape == (1, 3, *SHAPE)


class NoiselessOnly:
    name, title, reference, needs, noise, tasks = "noiseless", "", "", (), False, ()


def test_refuses_noise_where_a_method_has_no_model_of_it():
    with pytest.raises(ValueError, match=r"noiseless needs noise_std = 0; .*: ddrm, pnp"):
        solve(_problem(), Half(), NoiselessOnly())


def test_methods_are_registered_once_with_what_the_command_line_prints():
    known = restore.methods()
    assert {"ddrm", "pnp"} <= set(known)
    for name, cls in known.items():
        assert cls.name == name
        assert cls.title
        assert cls.reference
        assert set(cls.needs) <= {"svd", "adjoint", "gradient", "intervals"}
        assert isinstance(cls.noise, bool)
        assert cls.tasks
        assert dataclasses.is_dataclass(cls)
        assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(cls))
        assert get_type_hints(cls)
    with pytest.raises(dataclasses.FrozenInstanceError):
        DDRM().eta = 0.5


def test_the_public_names_stay_functions_in_any_order_of_imports():
    for _ in range(2):
        assert restore.methods()["ddrm"] is DDRM
        assert restore.solve(_problem(), Half(), steps=1).shape == (1, 3, *SHAPE)
    assert restore.GaussianMixture is GaussianMixture


@pytest.mark.parametrize(
    ("result", "text"),
    [(None, "its result is of type NoneType"), (torch.ones(3, *SHAPE) * 1j, "of torch.complex64")],
)
def test_refuses_results_that_are_no_pictures(result, text):
    class Own(DDRM):
        def __call__(self, problem, prior, **kwargs):
            return result

    with pytest.raises(ValueError, match=f"ddrm: .*{text}"):
        solve(_problem(), Half(), Own())


@pytest.mark.parametrize("method", [None, 3, object()])
def test_refuses_what_is_no_method(method):
    with pytest.raises(ValueError, match=r"the method is of type \w+; expected a name"):
        solve(_problem(), Half(), method)
