"""`restore train FOLDER`: train a prior like the bundled ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore.cli.console import print_line, progress_bar, run_command, without_bar
from restore.errors import InputError, counted

if TYPE_CHECKING:
    from restore.training.recipe import Recipe
    from restore.training.trainer import Progress


def train(
    folder: Annotated[Path, typer.Argument(help="Pictures to learn from, in it or below it.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the run; a run in it is resumed.")
    ] = Path("model"),
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", help="A recipe.json, of a run or your own.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Length of the run; a larger one than before continues a finished run."
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures in each step.")] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, max=3, help="1 (grey) or 3 (colour).")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the random numbers.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model, for its card.")] = None,
    domain: Annotated[
        str | None, typer.Option(help="What the pictures show, for the card (photo).")
    ] = None,
    training_data: Annotated[
        str | None, typer.Option(help="Where the pictures come from, for the card.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of weights and pictures, for the card (not stated).")
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps")] = "auto",
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="fp32|bf16",
            help="Precision; bf16 is faster where the processor multiplies in it.",
        ),
    ] = None,
    checkpoint_seconds: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds between checkpoints, the most that an interruption loses."
        ),
    ] = 60.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a model on a folder of pictures.

    The recipe is that of the bundled models. The run can be stopped at any moment; the same command
    continues it. The output folder is then a model: restore denoise PICTURE -n FOLDER.
    """

    def body() -> int:
        from restore.tasks.device import choose_device
        from restore.training.export import export_model
        from restore.training.folder import RunFolder
        from restore.training.trainer import Trainer

        changes = {
            "steps": steps, "batch_size": batch_size, "channels": channels, "seed": seed,
            "name": name, "dtype": dtype,
        }  # fmt: skip
        if output.exists() and not output.is_dir():
            raise InputError(f"{output}: is a file, expected a folder for the model")
        run = RunFolder(output)
        there = run.recipe()
        recipe = _recipe(recipe_file, there, changes)
        said = {} if there is None else _said_of_run(output)
        with run.held(), progress_bar(visible=not quiet) as progress:
            bar = progress.add_task("training", total=recipe.steps, note="")

            def show(state: Progress) -> None:
                progress.update(bar, completed=state.step)
                if state.psnr:
                    levels = ", ".join(f"{p:.2f} dB at σ {s}" for s, p in state.psnr.items())
                    progress.update(bar, note=levels)
                    if progress.disable and not quiet:
                        typer.echo(f"step {state.step}: loss {state.loss:.4f}, {levels}", err=True)

            def warn(line: str) -> None:
                if not quiet:
                    with without_bar(progress):
                        print_line(line, err=True)

            trainer = Trainer(
                recipe, folder, output, choose_device(device), show, checkpoint_seconds, warn
            )
            trainer.run()
            found = f"{counted(trainer.pictures_used, 'picture')} in {folder.resolve().name}"
            card = export_model(
                trainer,
                output,
                domain=domain or said.get("domain", "photo"),
                training_data=training_data or said.get("training_data", found),
                licence=licence or said.get("licence", "not stated"),
            )
        if not quiet:
            print_line(
                f"{output}: {card.parameters / 1e6:.2f} M parameters after {recipe.steps} steps"
            )
        return 0

    run_command(body, debug=debug)


def _said_of_run(output: Path) -> dict[str, str]:
    """What the card of a run that goes on says of the pictures."""
    from restore.prior.checkpoints.card import parsed
    from restore.prior.models import CARD, Card

    if not (output / CARD).exists():
        return {}
    card = parsed(Card, output / CARD, "a model card")
    return card.model_dump(include={"domain", "training_data", "licence"})


def _recipe(path: Path | None, there: Recipe | None, changes: dict[str, Any]) -> Recipe:
    """A recipe from a file, else of the run that is there, else our own; with changes."""
    from pydantic import ValidationError

    from restore.training.recipe import Recipe

    given = {name: value for name, value in changes.items() if value is not None}
    base = Recipe.load(path) if path else there or Recipe()
    try:
        recipe = Recipe.model_validate(base.model_dump() | given)
    except ValidationError as error:
        raise Recipe.refused(str(path or "recipe"), error) from None
    if recipe.channels not in (1, 3):
        raise InputError(f"--channels {recipe.channels}: expected 1 (grey) or 3 (colour)")
    return recipe
