"""`restore train FOLDER`: train a prior like the bundled ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore.cli.console import progress_bar, run_command

if TYPE_CHECKING:
    from restore.training.trainer import Progress


def train(
    folder: Annotated[Path, typer.Argument(help="Pictures to learn from, at any depth.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Run folder; a run in it is resumed.")
    ] = Path("model"),
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", help="recipe.json of a run, or one's own.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Length of the run; more than before goes on with a finished one."
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    channels: Annotated[int | None, typer.Option(min=1, max=3, help="1 or 3.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model.")] = None,
    domain: Annotated[str, typer.Option(help="What the pictures are of.")] = "photo",
    training_data: Annotated[
        str | None, typer.Option(help="Where the pictures came from, for the card.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of weights and pictures.")] = "not stated",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps")] = "auto",
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="fp32|bf16", help="bf16: faster where the processor multiplies in it."
        ),
    ] = None,
    checkpoint_seconds: Annotated[
        float, typer.Option(min=0, help="At most so long is lost when the run is interrupted.")
    ] = 60.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a model on a folder of pictures.

    The recipe is that of the bundled models. The run can be stopped at any moment and goes on when
    the same command is given again. The output folder is then a model: restore denoise PICTURE -n
    FOLDER.
    """

    def body() -> int:
        from restore.tasks.device import choose_device
        from restore.training.export import export_model
        from restore.training.trainer import Trainer

        changes = {
            "steps": steps, "batch_size": batch_size, "channels": channels, "seed": seed,
            "name": name, "dtype": dtype,
        }  # fmt: skip
        recipe = _recipe(recipe_file or _recipe_of_run(output), changes)
        with progress_bar(visible=not quiet) as progress:
            bar = progress.add_task("training", total=recipe.steps, note="")

            def show(state: Progress) -> None:
                progress.update(bar, completed=state.step)
                if state.psnr:
                    levels = ", ".join(f"{p:.2f} dB at σ {s}" for s, p in state.psnr.items())
                    progress.update(bar, note=levels)
                    if not quiet and not progress.console.is_terminal:
                        typer.echo(f"step {state.step}: loss {state.loss:.4f}, {levels}", err=True)

            def warn(line: str) -> None:
                if not quiet:
                    typer.echo(line, err=True)

            trainer = Trainer(
                recipe, folder, output, choose_device(device), show, checkpoint_seconds, warn
            )
            trainer.run()
        described = training_data or f"{trainer.pictures_used} pictures in {folder.resolve().name}"
        card = export_model(
            trainer, output, domain=domain, training_data=described, licence=licence
        )
        if not quiet:
            typer.echo(
                f"{output}: {card.parameters / 1e6:.2f} M parameters after {recipe.steps} steps"
            )
        return 0

    run_command(body, debug=debug)


def _recipe_of_run(output: Path) -> Path | None:
    path = output / "recipe.json"
    return path if path.exists() else None


def _recipe(path: Path | None, changes: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    from restore.errors import InputError
    from restore.training.recipe import Recipe

    given = {name: value for name, value in changes.items() if value is not None}
    base = Recipe.load(path) if path else Recipe()
    try:
        recipe = Recipe.model_validate(base.model_dump() | given)
    except ValidationError as error:
        raise Recipe.refused(str(path or "recipe"), error) from None
    if recipe.channels not in (1, 3):
        raise InputError(f"--channels {recipe.channels}: expected 1 (grey) or 3 (colour)")
    return recipe
