"""Write diffpir.npz: runs of the authors' DiffPIR loops on an analytic denoiser.

    git clone https://github.com/yuanzhi-zhu/DiffPIR
    python tests/reference/make_diffpir.py DiffPIR

The stored file is from commit 111d26e8cf11965c1777a8a664b08dfa3ef78f1e. The loops stand in the
`main` of two scripts that load data and weights, so their statements (the levels, the weights ρ,
the timesteps, the loop) are taken out of the clone's files and executed; none of them is here. What
surrounds them:

- the variables that the scripts set before, with our pictures, the schedule in double precision;
- `utils_model.model_fn` is the shared denoiser;
- `torch.randn_like` gives stored noise pictures for the draws that count: of the two of a step the
  first is multiplied by `eta` = 0;
- the start is ours, noise around the centre of the data (theirs around the measurement).

The loops end with an evaluation of the network whose result they drop, so the state before it is
the last that is compared. The vectors are stored in single precision.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from ddrm_cases import SHAPE, alphas_bar, epsilon
from diffpir_cases import CASES, KEPT, STEPS, Case, operator
from torch import Tensor

T = 1000
SCRIPTS = {"deblur": "main_ddpir_deblur.py", "inpaint": "main_ddpir_inpainting.py"}
ASSIGNED = {"sigmas", "sigma_ks", "rhos", "(rhos, sigmas, sigma_ks)"}
LOOPS = {"range(num_train_timesteps)", "range(len(seq))"}


def statements(script: Path) -> list[ast.stmt]:
    """The statements of a script's `main` that make the levels and the loop over them."""
    tree = ast.parse(script.read_text())
    (main,) = (node for node in tree.body if getattr(node, "name", "") == "main")

    def wanted(node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign):
            return ast.unparse(node.targets[0]) in ASSIGNED
        if isinstance(node, ast.If):
            return "skip_type" in ast.unparse(node.test)
        return isinstance(node, ast.For) and ast.unparse(node.iter) in LOOPS

    body = next(
        node.body
        for node in ast.walk(main)
        if isinstance(node, ast.For)
        and any(isinstance(inner, ast.For) and wanted(inner) for inner in node.body)
    )
    return [node for node in body if wanted(node)]


def module(path: Path) -> Any:
    """A file of the clone as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def find_nearest(clone: Path) -> Any:
    """Their function of that name; its module needs more than is here."""
    tree = ast.parse((clone / "utils" / "utils_model.py").read_text())
    (found,) = (node for node in tree.body if getattr(node, "name", "") == "find_nearest")
    names: dict[str, Any] = {"np": np}
    exec(compile(ast.Module([found], []), "utils_model.py", "exec"), names)
    return names["find_nearest"]


def run(clone: Path, case: Case, noise: Tensor, y: Tensor) -> list[Tensor]:
    """The states in picture units; the first is the start."""
    bar = alphas_bar()
    seen: list[Tensor] = []
    nearest = find_nearest(clone)

    def model_fn(x: Tensor, noise_level: Any, **_: Any) -> Tensor:
        level = bar[nearest(((1 - bar) / bar).sqrt(), noise_level / 255)]
        seen.append((x / level.sqrt() + 1) / 2)
        return (x - (1 - level).sqrt() * epsilon(x, level)) / level.sqrt()

    names: dict[str, Any] = {
        "np": np,
        "torch": torch,
        "utils_model": SimpleNamespace(find_nearest=nearest, model_fn=model_fn),
        "num_train_timesteps": T,
        "iter_num": STEPS,
        "iter_num_U": 1,
        "skip_type": "quad",
        "skip": T // STEPS,
        "model_out_type": "pred_xstart",
        "model_output_type": "pred_xstart",
        "generate_mode": "DiffPIR",
        "sub_1_analytic": True,
        "guidance_scale": 1.0,
        "noise_model_t": 0,
        "t_start": T - 1,
        "eta": 0.0,
        "zeta": case.zeta,
        "lambda_": case.weight,
        "sigma": max(0.001, case.noise_std),
        "betas": 1 - bar / torch.cat([torch.ones(1), bar[:-1]]),
        "alphas_cumprod": bar,
        "sqrt_alphas_cumprod": bar.sqrt(),
        "sqrt_1m_alphas_cumprod": (1 - bar).sqrt(),
        "reduced_alpha_cumprod": ((1 - bar) / bar).sqrt(),
        "device": "cpu",
        "model": None,
        "diffusion": None,
        "ddim_sample": False,
        "save_progressive": False,
        "progress_seq": [],
        "x": (1 - bar[-1]).sqrt() * noise[:1],
    }
    ours = operator(case.operator)
    if case.operator == "inpaint":
        mask = ours(torch.ones(1, *SHAPE))
        names |= {"mask": mask, "y": (2 * y - 1) * mask}
    else:
        # Its kernel: the picture of a point, around the centre.
        point = torch.zeros(1, *SHAPE)
        point[:, :, 4, 4] = 1
        solver = module(clone / "utils" / "utils_sisr.py")
        kernel = ours(point)[:, :1, 3:6, 3:6]
        names |= {"sr": solver, "sf": 1, "y": y}
        names |= dict(
            zip(("FB", "FBC", "F2B", "FBFy"), solver.pre_calculate(y, kernel, 1), strict=True)
        )
    draw, original = count(), torch.randn_like

    def randn_like(like: Tensor) -> Tensor:
        step, second = divmod(next(draw), 2)
        return noise[1 + step][None] if second else torch.zeros_like(like)

    torch.randn_like = randn_like
    script = clone / SCRIPTS[case.operator]
    try:
        exec(compile(ast.Module(statements(script), []), script.name, "exec"), names)
    finally:
        torch.randn_like = original
    return seen


def main(clone: Path) -> None:
    torch.set_default_dtype(torch.float64)
    generator = torch.Generator().manual_seed(10)
    noise = torch.randn(STEPS, *SHAPE, generator=generator).float()
    truth = torch.rand(1, *SHAPE, generator=generator)
    arrays = {"noise": noise.numpy()}
    for case in CASES:
        y = operator(case.operator)(truth)
        y = (y + case.noise_std * torch.randn(y.shape, generator=generator)).float()
        states = run(clone, case, noise.double(), y.double())
        assert len(states) == STEPS
        arrays[f"{case.key}/y"] = y.numpy()
        arrays[f"{case.key}/x"] = torch.cat([states[k] for k in KEPT]).float().numpy()
    np.savez_compressed(Path(__file__).with_name("diffpir.npz"), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
