"""The methods' authors' own code on our operators, measurements, denoisers and noise.

    mkdir FOLDER; cd FOLDER
    git clone https://github.com/bahjat-kawar/ddrm
    git clone https://github.com/bahjat-kawar/snips_torch
    git clone https://github.com/wyhuai/DDNM
    git clone https://github.com/DPS2022/diffusion-posterior-sampling
    AUTHORS=FOLDER restore compare --exact --operator mask --sigma 0.05 -m ddrm \
        -m benchmarks.peers.authors:DDRM

the last line run in this repository, which holds none of that code. Nothing else need be installed:
what the files import and the samplers do not use (torchvision, cv2 …) is an empty module for them,
and tqdm, which shows progress, a list. While a sampler runs, `torch.randn_like` gives our
noise and `.to("cuda")` means the device of the measurement.
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from benchmarks.peers import Peer
from benchmarks.peers.svd_basis import Basis
from restore.errors import InputError
from restore.methods import StepCallback
from restore.methods.snips import SNIPS as OurSNIPS
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import geometric, linear_beta_levels, linear_betas
from restore.problem import Problem

VARIABLE = "AUTHORS"
TIMESTEPS = 1000
DPS_CODE = "DPS2022/diffusion-posterior-sampling"
# SNIPS's matrices have the side of the picture's values: a few of 4096² are 64 MiB each.
MOST_VALUES = 4096
# What the files import and the samplers do not use.
STUBS = (
    *("tqdm", "tqdm.auto", "cv2", "torchvision", "torchvision.utils"),
    *("matplotlib", "matplotlib.pyplot", "motionblur", "motionblur.motionblur"),
)


def author_file(repository: str, name: str) -> Path:
    """A file of a clone in the folder that the environment variable AUTHORS names.

    Raises:
        InputError: if the variable is not set, or the folder or the file is not there.
    """
    address = f"a clone of https://github.com/{repository}"
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise InputError(f"{VARIABLE} is not set; expected a folder with {address}")
    clone = Path(folder) / repository.split("/")[1]
    if not (clone / name).is_file():
        found = f"found {', '.join(_listed(Path(folder)))}"
        raise InputError(f"{VARIABLE}={folder}: {found}; expected {clone / name}, of {address}")
    return clone / name


def _listed(folder: Path) -> list[str]:
    if not folder.is_dir():
        return ["no such folder"]
    return sorted(path.name for path in folder.iterdir()) or ["an empty folder"]


class _Silent(list[Any]):
    """tqdm's progress bar, which shows nothing."""

    def __init__(self, iterable: Iterable[Any], **_: Any) -> None:
        super().__init__(iterable)

    def set_postfix(self, *_: Any, **__: Any) -> None: ...


def load(repository: str, name: str) -> Any:
    """A file of a clone as a module (several of them have a package of the same name)."""
    return _imported(author_file(repository, name), name)


@cache
def _imported(path: Path, name: str) -> Any:
    stubs = {stub: ModuleType(stub) for stub in STUBS}
    for stub, module in stubs.items():
        parent, _, child = stub.rpartition(".")
        if parent:
            setattr(stubs[parent], child, module)
    for stub in ("tqdm", "tqdm.auto"):
        vars(stubs[stub])["tqdm"] = _Silent
    vars(stubs["motionblur.motionblur"])["Kernel"] = object
    vars(stubs["torchvision"])["torch"] = torch
    clone = path.parents[name.count("/")]
    before = dict(sys.modules)
    sys.modules.update(stubs)
    sys.path.insert(0, str(clone))
    try:
        return import_module(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    finally:
        sys.path.remove(str(clone))
        for known in [*sys.modules]:
            if known not in before and _of(sys.modules[known], clone, stubs.values()):
                del sys.modules[known]
        sys.modules.update({stub: before[stub] for stub in stubs if stub in before})


def _of(module: ModuleType, clone: Path, stubs: Collection[ModuleType]) -> bool:
    """Whether a module is of a clone, or stands for one that it imports."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
    return module in stubs or any(place and clone in Path(place).parents for place in places)


@contextmanager
def our_noise(noise: Noise, device: torch.device) -> Iterator[None]:
    """Within it `torch.randn_like` draws from `noise`, and `.to("cuda")` goes to `device`."""
    randn_like, move = torch.randn_like, Tensor.to

    def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return move(self, *((device,) if args == ("cuda",) else args), **kwargs)

    torch.randn_like, Tensor.to = noise, to  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        torch.randn_like, Tensor.to = randn_like, move  # type: ignore[method-assign]


def network(
    prior: Denoiser,
    steps: int,
    on_step: StepCallback | None,
    to_picture: Callable[[Tensor], Tensor] = lambda x: x,
    from_picture: Callable[[Tensor], Tensor] = lambda x: x,
) -> Callable[[Tensor, Tensor], Tensor]:
    """ε(x, t) of the DDPM schedule in [-1, 1] from D(x, σ); pictures may be in a basis."""
    sigmas = linear_beta_levels(TIMESTEPS)
    done = 0

    def epsilon(x: Tensor, t: Tensor) -> Tensor:
        nonlocal done
        sigma = sigmas[int(t[0])]
        # x = √ᾱ (x₀ + 2σ ε), with 2σ = √((1 - ᾱ)/ᾱ).
        picture = to_picture(x) * math.sqrt(1 + 4 * sigma**2) / 2 + 0.5
        x_hat = prior(picture, sigma)
        done += 1
        if on_step is not None:
            on_step(done, steps, x_hat.detach())
        return from_picture((picture - x_hat) / sigma)

    return epsilon


def _betas(problem: Problem) -> Tensor:
    return torch.tensor(linear_betas(TIMESTEPS), device=problem.y.device)


def _centred(problem: Problem) -> Tensor:
    """2y - A 1: the measurement of a picture in [-1, 1]."""
    one = torch.ones((1, *problem.operator.domain.shape), device=problem.y.device)
    return 2 * problem.y - problem.operator(one)


def _begin(problem: Problem) -> Tensor:
    shape = (problem.batch, *problem.operator.domain.shape)
    return torch.randn_like(torch.empty(shape, device=problem.y.device))


@dataclass(frozen=True)
class Authors(Peer):
    """Code of a method's authors, which runs with our noise (`our_noise`)."""

    needs: ClassVar[tuple[str, ...]] = ("svd",)

    def _random(self, problem: Problem, noise: Noise) -> AbstractContextManager[None]:
        return our_noise(noise, problem.y.device)


@dataclass(frozen=True)
class OnTimesteps(Authors):
    """One that runs on the timesteps of the DDPM schedule."""

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= TIMESTEPS:
            raise ValueError(f"steps is {self.steps}; the schedule has {TIMESTEPS} timesteps")


@dataclass(frozen=True)
class DDRM(OnTimesteps):
    """Their `efficient_generalized_steps`, on the timesteps of the DDPM schedule.

    Noiseless, its last step takes x̂ itself, so that A x = y holds only nearly.
    """

    steps: int = 20
    eta: float = 0.85
    eta_b: float = 1.0

    name: ClassVar[str] = "authors:ddrm"
    title: ClassVar[str] = "DDRM of its authors"
    reference: ClassVar[str] = "https://github.com/bahjat-kawar/ddrm"

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        code = load("bahjat-kawar/ddrm", "functions/denoising.py")
        timesteps = range(0, TIMESTEPS, TIMESTEPS // self.steps)
        states, _ = code.efficient_generalized_steps(
            _begin(problem),
            timesteps,
            network(prior, len(timesteps), on_step),
            _betas(problem),
            Basis(problem.operator),
            _centred(problem),
            2 * problem.noise_std,
            etaB=self.eta_b,
            etaA=self.eta,
            etaC=self.eta,
        )
        return (states[-1].to(problem.y) + 1) / 2


@dataclass(frozen=True)
class DDNM(OnTimesteps):
    """Their DDNM, and DDNM+ where there is noise.

    It runs on coefficients Vᵀx, where every operator is the one of theirs that keeps some values
    and drops the others, with its singular values: a turn of white noise is white noise, and so it
    is the same method for operators that they have no class for.
    """

    eta: float = 0.85

    name: ClassVar[str] = "authors:ddnm"
    title: ClassVar[str] = "DDNM of its authors"
    reference: ClassVar[str] = "https://github.com/wyhuai/DDNM"

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        code = load("wyhuai/DDNM", "functions/svd_ddnm.py")
        classes = load("wyhuai/DDNM", "functions/svd_operators.py")
        basis, device = Basis(problem.operator), problem.y.device
        shape, size = problem.operator.domain.shape, problem.operator.domain.numel
        s = basis.singulars()
        # A picture of one pixel with as many channels as there are coefficients.
        kept = classes.Inpainting(size, 1, torch.arange(len(s), size, device=device), device)
        kept._singulars = s
        epsilon = network(
            prior,
            self.steps,
            on_step,
            lambda x: basis.V(x).unflatten(1, shape),
            lambda x: basis.Vt(x)[..., None, None],
        )
        config = SimpleNamespace(
            diffusion=SimpleNamespace(num_diffusion_timesteps=TIMESTEPS),
            time_travel=SimpleNamespace(T_sampling=self.steps, travel_length=1, travel_repeat=1),
        )
        noisy = (2 * problem.noise_std,) if problem.noise_std else ()
        sampler = code.ddnm_plus_diffusion if noisy else code.ddnm_diffusion
        (x,), _ = sampler(
            _begin(problem).flatten(1)[..., None, None],
            epsilon,
            _betas(problem),
            self.eta,
            kept,
            basis.Ut(_centred(problem)),
            *noisy,
            config=config,
        )
        return (basis.V(x.to(problem.y)).unflatten(1, shape) + 1) / 2


def dps_sampler(timesteps: str, *, clip: bool) -> Any:
    """The sampler of DPS's authors on so many timesteps (or "ddimN"), with fixed variance."""
    code = load(DPS_CODE, "guided_diffusion/gaussian_diffusion.py")
    return code.create_sampler(
        sampler="ddpm",
        steps=TIMESTEPS,
        noise_schedule="linear",
        model_mean_type="epsilon",
        model_var_type="fixed_small",
        dynamic_threshold=False,
        clip_denoised=clip,
        rescale_timesteps=False,
        timestep_respacing=timesteps,
    )


@dataclass(frozen=True)
class DPS(OnTimesteps):
    """Their sampler "ddpm" with their conditioning "ps", which has no use for σ_y."""

    steps: int = 1000
    scale: float = 0.3
    clip: bool = True

    name: ClassVar[str] = "authors:dps"
    title: ClassVar[str] = "DPS of its authors"
    reference: ClassVar[str] = "https://github.com/DPS2022/diffusion-posterior-sampling"
    needs: ClassVar[tuple[str, ...]] = ("adjoint", "gradient")
    alone: ClassVar[bool] = True

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        conditions = load(DPS_CODE, "guided_diffusion/condition_methods.py")
        condition = conditions.get_conditioning_method(
            "ps",
            SimpleNamespace(forward=lambda x, **_: problem.operator(x)),
            SimpleNamespace(__name__="gaussian"),
            scale=self.scale,
        )
        with torch.enable_grad():
            x = dps_sampler(str(self.steps), clip=self.clip).p_sample_loop(
                network(prior, self.steps, on_step),
                _begin(problem),
                _centred(problem),
                condition.conditioning,
                record=False,
                save_root="",
            )
        return (x + 1) / 2


@dataclass(frozen=True)
class SNIPS(Authors):
    """Their `general_anneal_Langevin_dynamics`, whose step c σ² has our `theta` for a parameter.

    It ends at the noise of the last level. It works with matrices, so on small pictures only; and
    an operator without a null space it takes for one that measures nothing.
    """

    steps: int = 500
    inner: int = 5
    theta: float = 9.1
    sigma_min: float = 0.01

    name: ClassVar[str] = "authors:snips"
    title: ClassVar[str] = "SNIPS of its authors"
    reference: ClassVar[str] = "https://github.com/bahjat-kawar/snips_torch"

    def within(self, evaluations: int) -> Self:
        """Return the method with at most so many evaluations; as ours, without its last one."""
        ours = OurSNIPS(**dataclasses.asdict(self), variant="paper").within(evaluations + 1)
        return dataclasses.replace(self, steps=ours.steps, inner=ours.inner, theta=ours.theta)

    def _sample(self, problem: Problem, prior: Denoiser, on_step: StepCallback | None) -> Tensor:
        """One sample for each measurement.

        Raises:
            ValueError: if the picture is too large or the operator has no null space.
        """
        code = load("bahjat-kawar/snips_torch", "models/__init__.py")
        operator, device = problem.operator, problem.y.device
        shape, size = operator.domain.shape, operator.domain.numel
        if size > MOST_VALUES:
            raise ValueError(f"the authors' SNIPS has matrices: {size} values, over {MOST_VALUES}")
        if len(Basis(operator).singulars()) == size:
            raise ValueError("the authors' SNIPS needs an operator with a null space")
        low, high = max(self.sigma_min, prior.sigma_min), prior.sigma_max
        sigmas = torch.tensor(geometric(self.steps, low, high)[:-1], device=device)
        c = self.theta * math.log(high / low) / (self.inner * self.steps)
        done, total = 0, self.steps * self.inner

        def score(x: Tensor, labels: Tensor) -> Tensor:
            nonlocal done
            sigma, picture = float(sigmas[labels[0]]), x.reshape(-1, *shape)
            x_hat = prior(picture, sigma)
            done += 1
            if on_step is not None:
                on_step(done, total, x_hat)
            return ((x_hat - picture) / sigma**2).reshape(x.shape)

        # Pictures are columns [B, 1, N, 1] for it: it knows square ones of one channel only.
        code.vec_to_image = lambda vector, _: vector[..., None]
        matrix = operator(torch.eye(size, device=device).reshape(-1, *shape)).flatten(1).T
        start = prior.centre + prior.sigma_max * _begin(problem)
        (x,) = code.general_anneal_Langevin_dynamics(
            matrix.contiguous(),
            problem.y.flatten(1)[:, None],
            start.reshape(-1, 1, size, 1),
            score,
            sigmas,
            n_steps_each=self.inner,
            step_lr=c * low**2,
            final_only=True,
            sigma_0=problem.noise_std,
        )
        return x.to(problem.y).reshape(-1, *shape)
