r"""Other code's methods on our operators, measurements and denoisers, for comparison.

Each adapter is a `Method`, so that it can stand wherever one of ours can:

    pip install --no-deps --target FOLDER torchvision==0.28.0 deepinv==0.5.0 azula==0.11.1 gdown \
        natsort tqdm einops h5py matplotlib contourpy cycler fonttools kiwisolver pyparsing \
        python-dateutil six
    PYTHONPATH=FOLDER restore compare --exact --operator mask --sigma 0.05 -m ddrm \
        -m benchmarks.peers.deepinv:DDRM -m benchmarks.peers.azula:MMPS

run in this repository. FOLDER is their own: nothing of it becomes a dependency. Their random
numbers are torch's own, seeded by ours: a run can be repeated, but not batch by batch.

The code of the methods' authors, from clones of their repositories: `benchmarks.peers.authors`.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from restore.methods import Method, StepCallback
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.problem import Problem

# torchvision's compiled operations do not load beside the CPU build of torch. Kept alive here.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _operation in ("nms", "qnms"):
    _LIBRARY.define(_operation + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


@dataclass(frozen=True)
class Peer(Method):
    """Other code's method. A subclass says in `_sample` how it is called."""

    steps: int = 100

    # Whether it differentiates one norm of the whole batch, so that pictures depend on each other.
    alone: ClassVar[bool] = False

    @abstractmethod
    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        """One sample for each measurement, with the random numbers of `_random`."""

    def _random(self, problem: Problem, noise: Noise) -> AbstractContextManager[None]:
        """Within it the random numbers come from ours: torch's own, seeded by them."""
        torch.manual_seed(int(noise(problem.y).abs().sum().double() * 1e6) % 2**31)
        return nullcontext()

    def __call__(
        self,
        problem: Problem,
        prior: Denoiser,
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """One sample for each measurement.

        Raises:
            ValueError: if it takes one picture at a time and there are more.
        """
        if self.alone and problem.batch != 1:
            raise ValueError(f"{self.title} takes one picture at a time: --batch-size 1")
        with self._random(problem, noise):
            return self._sample(problem, prior, on_step)
