"""The samplers: their order on a Gaussian whose solution is known, their contract, devices."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from plain_denoisers import Half
from sde_problems import HIGH, MEAN, STD, exact_end, exact_law, gaussian, law, levels, mixture
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from restore.noise import NoiseSource
from restore.prior.counted import Counted
from restore.prior.gaussian_mixture import GaussianMixture
from restore.sde import find_sampler, samplers
from restore.sde.samplers.adaptive import AdaptiveODE
from restore.sde.samplers.base import SteppedSampler
from restore.sde.samplers.deterministic import DDIM, Heun
from restore.sde.samplers.stochastic import Langevin

ALL = list(samplers().values())
FIXED = [sampler for sampler in ALL if issubclass(sampler, SteppedSampler)]


def _name(sampler) -> str:
    return sampler.name


def _of_steps(sampler, steps):
    return sampler(steps=steps) if sampler in FIXED else sampler()


class TestOrder:
    @pytest.mark.parametrize("sampler", [s for s in FIXED if not s.random], ids=_name)
    def test_of_the_solution(self, sampler):
        """Error at the end of the ODE when the steps are halved."""
        start = torch.tensor([-14.0, 3.0, 11.0], dtype=torch.float64).reshape(-1, 1, 1, 1)
        errors = []
        for steps in (80, 160, 320):
            end = sampler().descend(gaussian(), start, levels(steps), noise=torch.randn_like)
            errors.append(float((end - exact_end(start)).abs().max()))
        for coarse, fine in pairwise(errors):
            assert math.log2(coarse / fine) == pytest.approx(sampler.order, abs=0.15)

    @pytest.mark.parametrize("sampler", [s for s in FIXED if s.random and s.order], ids=_name)
    def test_of_the_law(self, sampler):
        """Error of the variance, exact without sampling, when the steps are halved.

        Not down to σ = 0, where the first order of Euler–Maruyama cancels for a Gaussian.
        """
        mean, variance = exact_law(0.5)
        errors = []
        for steps in (100, 200, 400):
            found = law(sampler(), levels(steps, 0.5))
            assert found[0] == pytest.approx(mean, abs=1e-3)
            errors.append(abs(found[1] - variance))
        for coarse, fine in pairwise(errors):
            assert math.log2(coarse / fine) == pytest.approx(sampler.order, abs=0.15)

    def test_ancestral_is_ddim_with_fresh_noise(self):
        one = law(find_sampler("ancestral")(), levels(20))
        assert law(DDIM(eta=1.0), levels(20)) == pytest.approx(one)

    def test_adaptive_error_follows_the_tolerance(self):
        start = torch.tensor([-14.0, 3.0, 11.0], dtype=torch.float64).reshape(-1, 1, 1, 1)
        calls, errors = [], []
        for tolerance in (1e-3, 1e-5, 1e-7):
            prior = Counted(gaussian())
            sampler = AdaptiveODE(rtol=tolerance, atol=tolerance)
            end = sampler.descend(prior, start, levels(2), noise=torch.randn_like)
            errors.append(float((end - exact_end(start)).abs().max()))
            calls.append(prior.calls)
            assert errors[-1] < 20 * tolerance
        assert calls == sorted(calls)
        assert errors[2] < errors[1] < errors[0]

    @pytest.mark.parametrize("corrector", ["langevin", "langevin-paper"])
    @pytest.mark.parametrize(("side", "snr"), [(4, 0.2), (16, 0.2), (16, 0.4)])
    def test_langevin_error_is_of_its_own_step(self, side, snr, corrector):
        """The variance against what the number of pixels and r make of it.

        That of the law, and with the paper's steps (1 + 2/d)²/(1 - r²).

        The predictor errs by 1 %; 20000 numbers, 5 standard errors are 5 % (false alarm 6e-7).
        """
        size = side**2
        means = torch.full((1, 1, side, side), MEAN, dtype=torch.float64)
        prior = GaussianMixture([1.0], means, STD)
        like = torch.empty(20480 // size, 1, side, side, dtype=torch.float64)
        x = MEAN + math.hypot(STD, HIGH) * torch.randn_like(like)
        sampler = Langevin(snr=snr, corrector=corrector)
        end = sampler.descend(prior, x, levels(400), noise=torch.randn_like)
        expected = (1 + 2 / size) ** 2 / (1 - snr**2) if corrector == "langevin-paper" else 1
        assert float(end.var()) / exact_law()[1] == pytest.approx(expected, rel=0.06)


class TestContract:
    @pytest.mark.parametrize("sampler", ALL, ids=_name)
    def test_draws_from_the_prior(self, sampler):
        """1000 samples of a mixture of two clusters: weight and mean of the first pixel.

        Weight within 5 standard errors (0.0145 each; false alarm 6e-7); Langevin bias 0.02.
        """
        means = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
        prior = GaussianMixture([0.3, 0.7], means.contiguous(), 0.2, sigma_min=0.01, sigma_max=20.0)
        steps = {"euler-maruyama": 150, "predictor-corrector": 100}.get(sampler.name, 40)
        x = _of_steps(sampler, steps)(prior, torch.empty(1000, 1, 2, 2), noise=torch.randn_like)
        assert x.dtype == torch.float32
        share = float((x.mean((1, 2, 3)) > 0).float().mean())
        assert share == pytest.approx(0.7, abs=0.0725 + 0.02)
        near = x[x.mean((1, 2, 3)) > 0]
        assert float(near.mean()) == pytest.approx(1.0, abs=0.05)
        # Langevin steps widen: this picture has four pixels.
        most = 0.32 if sampler is Langevin else 0.25
        assert 0.12 < float((near - near.mean()).std()) < most

    @pytest.mark.parametrize("sampler", ALL, ids=_name)
    def test_calls_on_step_for_each_evaluation(self, sampler):
        prior = Counted(mixture())
        seen = []
        _of_steps(sampler, 9)(
            prior,
            torch.empty(1, 3, 2, 2, dtype=torch.float64),
            noise=NoiseSource(0),
            on_step=lambda step, total, x_hat: seen.append((step, total, x_hat.shape)),
        )
        assert [step for step, _, _ in seen] == list(range(1, prior.calls + 1))
        assert seen[-1][1] == prior.calls
        assert {shape for _, _, shape in seen} == {(1, 3, 2, 2)}

    @pytest.mark.parametrize("sampler", FIXED, ids=_name)
    def test_a_sample_does_not_depend_on_its_batch(self, sampler):
        prior, like = mixture(), torch.empty(1, 3, 2, 2, dtype=torch.float64)
        alone = sampler(steps=9)(prior, like, noise=NoiseSource(3, [(1, 0)]))
        source = NoiseSource(3, [(0, 0), (1, 0), (2, 0)])
        together = sampler(steps=9)(prior, like.expand(3, -1, -1, -1), noise=source)
        torch.testing.assert_close(alone[0], together[1], rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(("churn", "factor"), [(2.25, 1.25), (6.0, math.sqrt(2))])
    def test_churn_raises_the_level_by_its_share_of_a_step(self, churn, factor):
        """γ = min(S_churn/steps, √2 - 1), of 9 steps."""
        asked = []

        def prior(x, sigma):
            asked.append(float(sigma))
            return 0.5 * x

        x = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
        Heun(churn=churn).descend(prior, x, levels(8), noise=torch.randn_like)
        assert asked[::2] == pytest.approx([factor * sigma for sigma in levels(8)[:-1]])

    def test_churn_adds_noise_and_keeps_the_law(self):
        churned = Heun(churn=40.0, churn_noise=1.0)
        mean, variance = law(churned, levels(200))
        assert variance == pytest.approx(exact_law()[1], rel=2e-3)
        assert mean == pytest.approx(exact_law()[0], abs=1e-3)
        x = torch.full((1, 1, 1, 1), 5.0, dtype=torch.float64)
        ends = [churned.descend(gaussian(), x, levels(5), noise=NoiseSource(s)) for s in (0, 1)]
        assert not torch.equal(*ends)
        still = Heun(churn=40.0, churn_noise=0.0)
        ends = [still.descend(gaussian(), x, levels(5), noise=NoiseSource(s)) for s in (0, 1)]
        assert torch.equal(*ends)
        quiet = Heun(churn=40.0, churn_max=0.0)
        ends = [quiet.descend(gaussian(), x, levels(5), noise=NoiseSource(s)) for s in (0, 1)]
        assert torch.equal(*ends)

    @pytest.mark.parametrize(
        ("make", "part"),
        [
            (lambda: Heun(steps=0), "steps is 0"),
            (lambda: Heun(churn=-1.0), "churn is -1"),
            (lambda: DDIM(eta=2.0), "eta is 2"),
            (lambda: Langevin(snr=0.0), "snr is 0"),
            (lambda: find_sampler("huen"), "did you mean heun"),
        ],
    )
    def test_refuses(self, make, part):
        with pytest.raises(ValueError, match=part):
            make()


def _on_a_fake_card(sampler, prior) -> Tensor:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the loop copies to the CPU")

    with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True):
        patch.setattr(Tensor, "cpu", refuse)
        like = torch.empty(2, 3, 8, 8, device="cuda")
        return sampler(prior, like, noise=torch.randn_like)


class TestDevice:
    @pytest.mark.parametrize(
        "sampler", [*(s(steps=3) for s in FIXED), Heun(steps=3, churn=2.0)], ids=_name
    )
    def test_no_host_round_trip(self, sampler):
        x = _on_a_fake_card(sampler, Half())
        assert x.device.type == "cuda"
        assert x.shape == (2, 3, 8, 8)

    @pytest.mark.parametrize("slip", [lambda x: x * float(x.mean()), lambda x: x.cpu()])
    def test_of_the_test(self, slip):
        class Slip(Half):
            def __call__(self, x, sigma):
                return slip(x)

        with pytest.raises(Exception, match=r"(?i)scalar|data.dependent|device|cpu"):
            _on_a_fake_card(Heun(steps=3), Slip())
