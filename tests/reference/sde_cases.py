"""What the agreement test of the score engine and the script of its vectors share.

Nothing here is from the other repositories.
"""

from __future__ import annotations

import torch
from torch import Tensor

from restore.prior.gaussian_mixture import GaussianMixture

TIMES = (1e-3, 0.1, 0.5, 0.9, 1.0)
PROCESSES = ("VE", "VP", "SubVP")
SHAPE = (3, 4, 4)
LEVELS, SNR = 12, 0.16
PREDICTORS = (
    ("reverse-diffusion", "langevin-paper"),
    ("ancestral", "langevin-paper"),
    ("ancestral", "none"),
)
DDPM_STEPS, DDPM_AT = 100, (2, 40, 99)
FIRST_TIME = 1e-2
CHURNS = {"plain": {}, "churn": {"churn": 6.0, "churn_min": 0.05, "churn_max": 20.0,
                                 "churn_noise": 1.003}}  # fmt: skip
EDM_STEPS = 9


def prior() -> GaussianMixture:
    """Two clusters around 0, as the networks of these repositories have their data."""
    generator = torch.Generator().manual_seed(11)
    means = torch.rand(2, *SHAPE, generator=generator, dtype=torch.float64) - 0.5
    mixture = GaussianMixture([0.4, 0.6], means, [0.15, 0.3], sigma_min=0.01, sigma_max=50.0)
    mixture.centre = 0.0
    return mixture


def pictures() -> Tensor:
    """Three around the first cluster."""
    # The number type is given: the script has another default, hence other numbers.
    generator = torch.Generator().manual_seed(12)
    spread = torch.randn(3, *SHAPE, generator=generator, dtype=torch.float64)
    return prior().means[0] + 0.2 * spread
