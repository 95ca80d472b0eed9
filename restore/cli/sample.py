"""`restore sample`: pictures drawn from the prior, along a guide or without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from restore.cli.console import print_line, progress_bar, run_command
from restore.cli.options import CommonOptions, with_common_options
from restore.cli.restoring import check_single, run_verb
from restore.errors import InputError, counted

ALONE = frozenset(
    {"output", "model", "steps", "eta", "set", "seed", "batch_size", "device", "dtype", "config",
     "overwrite", "quiet", "json", "debug"}
)  # fmt: skip
"""The common options that serve pictures without a guide."""


@with_common_options
def sample(
    *,
    guide: Annotated[
        Path | None,
        typer.Option(help="A picture whose low frequencies the result shares."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            help="Size of the result. [default: the guide's, or 64x64 for each picture of a grid]",
        ),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMNSxROWS", help="Without a guide: so many pictures, in one file."
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Without a guide: heun, dpm-solver, ddim, ode, ancestral, reverse-diffusion, "
            "euler-maruyama or predictor-corrector. [default: heun]",
        ),
    ] = None,
    common: CommonOptions,
) -> None:
    """Draw pictures from the model, along a guide or alone.

    The result has the low frequencies of the guide: both look the same when shrunk by a factor
    (--set factor=8). The model draws the rest, differently for each --seed. With --grid instead of
    a guide the model draws everything. This is no restoration: nothing is measured.
    """
    if guide is None:
        run_command(lambda: _alone(size, grid, sampler, common), debug=common.debug)
        return

    def own() -> dict[str, Any]:
        from restore.tasks.settings import parse_size

        for name, value in (("grid", grid), ("sampler", sampler)):
            if value is not None:
                raise InputError(f"--{name} {value}: not with --guide; expected one of them")
        return {"size": size and parse_size(size)}

    run_verb("sample", [guide], common, own)


def _alone(size: str | None, grid: str | None, sampler: str | None, common: CommonOptions) -> int:
    given = common.given()
    if common.config is not None:
        from restore.tasks.sidecar import guide_of

        if (guide := guide_of(common.config)) is not None:
            raise InputError(f"{common.config}: of a run with a guide, expected --guide {guide}")
    if grid is None and common.config is None:
        raise InputError("sample: expected --guide PICTURE, or --grid COLUMNSxROWS without one")
    for name in given:
        if name not in ALONE:
            option = name.replace("_", "-")
            raise InputError(f"--{option}: not without --guide; expected it with one")

    from restore.io.picture import output_format
    from restore.tasks.grid import GridSampler, GridSettings, parse_grid
    from restore.tasks.settings import parse_size, resolve_settings

    own = {
        "size": size and parse_size(size), "grid": grid and parse_grid(grid), "sampler": sampler,
    }  # fmt: skip
    given |= {name: value for name, value in own.items() if value is not None}
    settings = resolve_settings(given, common.config, "sample", GridSettings)
    output = Path(common.output or "sample.png")
    output_format(output)
    check_single(output, overwrite=common.overwrite)
    maker = GridSampler(settings)
    with progress_bar(visible=not (common.quiet or common.json)) as progress:
        bar = progress.add_task("sample", total=None, note="")

        def show(step: int, total: int, x_hat: object) -> None:  # noqa: ARG001
            progress.update(bar, completed=step, total=total)

        record = maker.write(output, show)
    if common.json:
        typer.echo(json.dumps(record, allow_nan=False))
    elif not common.quiet:
        print_line(
            f"{output}  {counted(record['pictures'], 'picture')}, {record['sampler']}, "
            f"{counted(record['evaluations'], 'evaluation')} each, {record['seconds']:.1f} s"
        )
    return 0
