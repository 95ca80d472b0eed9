"""`restore models list|info|add|check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore.cli.console import SOME_FAILED, print_error, print_whole, run_command
from restore.cli.sections import examples
from restore.errors import counted

if TYPE_CHECKING:
    from restore.prior.checkpoints.loader import Checkpoint
    from restore.prior.models import Model

app = typer.Typer(help="List, describe, add and check models.", rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Name = Annotated[str, typer.Argument(help="A bundled model's name, or the path of a model.")]


@app.command("list", epilog=examples("restore models list", "restore models list --json"))
def list_models(json_lines: Json = False) -> None:
    """List the bundled models."""

    def body() -> int:
        from restore.prior.models import bundled_models

        models = bundled_models().values()
        if json_lines:
            for model in models:
                typer.echo(json.dumps(_row(model)))
            return 0
        from rich.table import Table

        table = Table("name", "domain", "channels", "parameters", "size", "sha256")
        for model in models:
            card = model.card
            size = f"{model.bytes / 1e6:.1f} MB"
            parameters = f"{card.parameters / 1e6:.2f} M"
            table.add_row(
                card.name, card.domain, str(card.channels), parameters, size, card.sha256[:12]
            )
        print_whole(table)
        return 0

    run_command(body)


@app.command(
    "info", epilog=examples("restore models info photo", "restore models info edm.pt --json")
)
def info(name: Name, json_lines: Json = False) -> None:
    """Describe a model (data, licence, recipe, figures) or a checkpoint's file."""

    def body() -> int:
        from restore.prior.models import Model, find_model

        model = find_model(name)
        if not isinstance(model, Model):
            _print_checkpoint(model, json_lines)
            return 0
        if json_lines:
            content = model.card.model_dump(mode="json")
            typer.echo(json.dumps(content | {"bytes": model.bytes, "path": str(model.folder)}))
            return 0
        card = model.card
        lines = {
            "name": card.name,
            "path": model.folder,
            "domain": f"{card.domain}, {counted(card.channels, 'channel')}",
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


@app.command(
    "add",
    epilog=examples(
        "restore models add 256x256_diffusion.pt", "restore models add edm.pt --set label=207"
    ),
)
def add(
    path: Annotated[str, typer.Argument(help="A checkpoint's file, or a diffusers folder.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE that the file does not say, such as label=207."),
    ] = None,
    json_lines: Json = False,
) -> None:
    """Write a card beside a checkpoint: what it is, its hash, and what its file does not say."""

    def body() -> int:
        from restore.errors import InputError
        from restore.prior.models import Model, find_model

        model = find_model(path, dict(_setting(text) for text in settings or []))
        if isinstance(model, Model):
            raise InputError(f"{path}: has a card; expected a checkpoint without one")
        written = model.add()
        if json_lines:
            typer.echo(json.dumps({"card": str(written), **model.make_card().model_dump()}))
        else:
            typer.echo(f"{written}: written")
            _print_checkpoint(model, False)
        return 0

    run_command(body)


@app.command("check", epilog=examples("restore models check", "restore models check my-model/"))
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all bundled.")] = None,
    json_lines: Json = False,
) -> None:
    """Load models and check their hashes.

    Exit code 1 if some fail, 2 if the only one does.
    """

    def body() -> int:
        from restore.errors import InputError
        from restore.prior.models import bundled_models, load_prior

        failed, several = 0, not names or len(names) > 1
        for name in names or list(bundled_models()):
            error: InputError | None = None
            try:
                load_prior(name)
            except InputError as found:
                error = found
                failed += 1
            if json_lines:
                said = error and str(error)
                typer.echo(json.dumps({"name": name, "ok": error is None, "error": said}))
            elif error is None:
                typer.echo(f"{name}: whole, and it loads")
            elif several:
                print_error(str(error))
            if error is not None and not several:
                raise error
        return SOME_FAILED if failed else 0

    run_command(body)


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as JSON where it is such."""
    from restore.errors import InputError

    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _print_checkpoint(model: Checkpoint, json_lines: bool) -> None:
    card = model.make_card()
    if json_lines:
        content = card.model_dump(mode="json")
        typer.echo(json.dumps(content | {"bytes": model.bytes, "path": str(model.weights)}))
        return
    lines = {
        "name": card.name,
        "path": model.weights,
        "layout": card.family,
        "size": f"{card.parameters / 1e6:.2f} M parameters, {model.bytes / 1e6:.1f} MB",
        "channels": card.channels,
        "sha256": card.sha256,
        "noise levels": f"{card.sigma_min:g} to {card.sigma_max:g} of a [0, 1] picture",
        **card.facts,
        **{f"said: {key}": value for key, value in card.settings.items()},
        **{f"assumed: {key}": value for key, value in card.assumed.items()},
    }
    width = max(len(key) for key in lines) + 2
    for key, value in lines.items():
        typer.echo(f"{key + ':':{width}}{value}")


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
