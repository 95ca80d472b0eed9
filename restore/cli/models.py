"""`restore models list|info|check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore.cli.console import print_error, run_command

if TYPE_CHECKING:
    from restore.prior.models import Model

app = typer.Typer(help="List and check the models.", rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="A JSON object a line.")]
Name = Annotated[str, typer.Argument(help="A bundled model's name, or the path of a model.")]


@app.command("list")
def list_models(json_lines: Json = False) -> None:
    """List the bundled models."""

    def body() -> int:
        from restore.prior.models import bundled_models

        models = bundled_models().values()
        if json_lines:
            for model in models:
                typer.echo(json.dumps(_row(model)))
            return 0
        from rich.console import Console
        from rich.table import Table

        table = Table("name", "domain", "channels", "parameters", "size", "sha256")
        for model in models:
            card = model.card
            size = f"{model.bytes / 1e6:.1f} MB"
            parameters = f"{card.parameters / 1e6:.2f} M"
            table.add_row(
                card.name, card.domain, str(card.channels), parameters, size, card.sha256[:12]
            )
        Console().print(table)
        return 0

    run_command(body)


@app.command("info")
def info(name: Name, json_lines: Json = False) -> None:
    """Say what a model is: data, licence, recipe, figures."""

    def body() -> int:
        from restore.prior.models import find_model

        model = find_model(name)
        if json_lines:
            content = model.card.model_dump(mode="json")
            typer.echo(json.dumps(content | {"bytes": model.bytes, "path": str(model.folder)}))
            return 0
        card = model.card
        lines = {
            "name": card.name,
            "path": model.folder,
            "domain": f"{card.domain}, {card.channels} channels",
            "size": f"{card.parameters / 1e6:.2f} M parameters, {model.bytes / 1e6:.1f} MB",
            "sha256": card.sha256,
            "noise levels": f"{card.sigma_min:g} to {card.sigma_max:g} of a [0, 1] picture",
            "network": f"{card.network.family}, widths {card.network.widths}",
            "trained on": card.training_data,
            "licence": card.licence,
        }
        for key, value in lines.items():
            typer.echo(f"{key + ':':14}{value}")
        if card.denoising:
            typer.echo("denoising:    PSNR in dB at σ of 255")
            for level, row in card.denoising.items():
                figures = ", ".join(f"{who} {psnr:.2f}" for who, psnr in row.items())
                typer.echo(f"  σ = {level:>3}:    {figures}")
        return 0

    run_command(body)


@app.command("check")
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all bundled.")] = None,
    json_lines: Json = False,
) -> None:
    """Load models and check their hash; exit code 1 where one is damaged."""

    def body() -> int:
        from restore.errors import InputError
        from restore.prior.models import bundled_models, load_prior

        failed = 0
        for name in names or list(bundled_models()):
            error = None
            try:
                load_prior(name)
            except InputError as found:
                error = str(found)
                failed += 1
            if json_lines:
                typer.echo(json.dumps({"name": name, "ok": error is None, "error": error}))
            elif error is None:
                typer.echo(f"{name}: whole, and it loads")
            else:
                print_error(error)
        return 1 if failed else 0

    run_command(body)


def _row(model: Model) -> dict[str, Any]:
    card = model.card
    return {
        "name": card.name,
        "domain": card.domain,
        "channels": card.channels,
        "parameters": card.parameters,
        "bytes": model.bytes,
        "sha256": card.sha256,
    }
