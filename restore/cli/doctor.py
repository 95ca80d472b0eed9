"""`restore doctor`: does everything work here?"""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from restore.cli.console import run_command

PACKAGES = ("score-restore", "torch", "numpy", "scipy", "scikit-image", "pillow", "safetensors")


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check that everything works here.

    Shows versions, devices and models, and runs a short self-test; exit code 1 if it fails.
    """

    def body() -> int:
        report = _examine()
        if as_json:
            typer.echo(json.dumps(report))
        else:
            _print(report)
        return 0 if report["ok"] else 1

    run_command(body)


def _examine() -> dict[str, Any]:
    import platform
    from importlib.metadata import version

    import torch

    from restore.prior.models import bundled_models

    models = {
        name: model.actual_sha256() == model.card.sha256 for name, model in bundled_models().items()
    }
    self_test = _self_test()
    return {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "devices": {
            "cpu": f"{torch.get_num_threads()} threads",
            "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
            "mps": torch.backends.mps.is_available(),
        },
        "models": models,
        "self_test": self_test,
        "ok": bool(models) and all(models.values()) and self_test["ok"],
    }


def _self_test() -> dict[str, Any]:
    """Denoise and enlarge a small synthetic picture with the bundled model."""
    import torch

    from operators import Downsample
    from restore.prior.models import load_prior
    from restore.problem import Problem
    from restore.solve import solve

    began = time.perf_counter()
    ramp = torch.linspace(0.2, 0.8, 64)
    clean = (ramp[:, None] * 0.5 + ramp * 0.5).expand(1, 3, 64, 64)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    prior = load_prior()
    gain = float((noisy - clean).square().mean() / (prior(noisy, 0.1) - clean).square().mean())
    shrink = Downsample((3, 64, 64), 4)
    measured = shrink(clean.contiguous())
    restored = solve(Problem(shrink, measured), prior, steps=4, sigma_max=1.0)[0]
    residual = float((shrink(restored) - measured).abs().max())
    return {
        "denoising_gain": gain,
        "residual": residual,
        "seconds": time.perf_counter() - began,
        "ok": gain > 10 and residual < 1e-3,
    }


def _print(report: dict[str, Any]) -> None:
    typer.echo(f"python        {report['python']}")
    for name, found in report["versions"].items():
        typer.echo(f"{name:14}{found}")
    devices = report["devices"]
    typer.echo(f"cpu           {devices['cpu']}")
    typer.echo(f"cuda          {', '.join(devices['cuda']) or 'none'}")
    typer.echo(f"mps           {'yes' if devices['mps'] else 'no'}")
    for name, whole in report["models"].items():
        typer.echo(f"model {name:8}{'whole' if whole else 'DAMAGED: its hash is not its card’s'}")
    test = report["self_test"]
    verdict = "passed" if test["ok"] else "FAILED"
    typer.echo(
        f"self-test     {verdict} in {test['seconds']:.1f} s: "
        f"noise power ÷ {test['denoising_gain']:.0f}, |A x − y| ≤ {test['residual']:.1e}"
    )
