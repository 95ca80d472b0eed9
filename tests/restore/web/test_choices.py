"""What a visitor chose is what the verb gets."""

from __future__ import annotations

from restore.prior.models import bundled_models
from restore.tasks.settings import Settings
from restore.web.choices import model_names, settings_of
from restore.web.service import Service


def test_all_that_is_chosen_counts(service):
    of_its_own = Service(service.store, device="cpu", models=("own.pt",))
    common = {"preset": "fast", "method": "ddrm", "model": "own.pt", "sigma": " 0.1 "}
    common |= {"steps": 3.0, "seed": "7", "samples": 2}
    settings = settings_of(of_its_own, "denoise", Settings, common, {"mask": None})
    assert (settings.preset, settings.method, settings.model) == ("fast", "ddrm", "own.pt")
    assert (settings.sigma, settings.parameters) == (0.1, {"steps": 3})
    assert (settings.seed, settings.samples, settings.save_std) == (7, 2, True)
    assert (settings.device, settings.mask) == ("cpu", None)


def test_models_are_offered_that_fit_and_those_of_the_server(service):
    of_its_own = Service(service.store, models=("own.pt",))
    for channels in (1, 3, None):
        fit = [n for n, m in bundled_models().items() if channels in (None, m.card.channels)]
        assert model_names(of_its_own, channels) == ["automatic", *fit, "own.pt"]
