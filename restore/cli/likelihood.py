"""`restore likelihood`: how probable a model finds pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from restore.cli.console import (
    SOME_FAILED,
    print_error,
    print_line,
    progress_bar,
    run_command,
    without_bar,
)
from restore.errors import InputError, counted


def likelihood(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Pictures.", readable=False)],
    *,
    model: Annotated[
        str, typer.Option("-n", "--model", help="A bundled model, or the path of another.")
    ] = "photo",
    crop: Annotated[
        int, typer.Option(min=0, help="Use only the centre, a square of this side; 0 for all.")
    ] = 64,
    draws: Annotated[
        int, typer.Option(min=1, help="Draws of noise and probes; their spread gives the error.")
    ] = 4,
    trace: Annotated[
        str,
        typer.Option(
            metavar="rademacher|gaussian|exact", help="Probes of the trace, or the exact trace."
        ),
    ] = "rademacher",
    tolerance: Annotated[
        float, typer.Option(min=1e-9, max=0.1, help="Error of a step of the solver.")
    ] = 1e-3,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Say how likely a model finds pictures, in bits per dimension.

    The less, the more probable. Pictures unlike the model's own tend to need more bits, but smooth
    ones need few whatever they show: compare pictures of one kind only.
    """

    def body() -> int:
        from restore.sde.likelihood import Trace
        from restore.tasks.likelihood import likelihood
        from restore.tasks.opened import OpenModel

        if trace not in ("rademacher", "gaussian", "exact"):
            raise InputError(f"--trace {trace}: expected rademacher, gaussian or exact")
        opened = OpenModel.load(model, device, "fp32")
        failed: list[str] = []
        with progress_bar(visible=not (quiet or as_json)) as progress:
            for source in files:
                bar = progress.add_task(source.name, total=None, note="")
                try:
                    record = likelihood(
                        source, opened,
                        trace=cast(Trace, trace), draws=draws, crop=crop, seed=seed,
                        tolerance=tolerance,
                        on_step=lambda step, total, x_hat: progress.advance(bar),  # noqa: ARG005, B023
                    )  # fmt: skip
                except InputError as error:
                    if as_json:
                        typer.echo(json.dumps({"input": str(source), "error": str(error)}))
                    if len(files) == 1:
                        raise
                    failed.append(str(error))
                else:
                    with without_bar(progress):
                        _print(record, as_json)
                progress.remove_task(bar)
        for message in failed:
            print_error(message)
        return SOME_FAILED if failed else 0

    run_command(body, debug=debug)


def _print(record: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(record, allow_nan=False))
        return
    error = record["standard_error"]
    spread = "" if error is None else f" ± {error:.3f}"
    width, height = record["picture"]
    part = "" if [record["width"], record["height"]] == [width, height] else f" of {width}x{height}"
    print_line(
        f"{record['input']}: {record['bits_per_dim']:.3f}{spread} bits/dim  "
        f"({record['width']}x{record['height']}{part}, "
        f"{counted(record['evaluations'], 'evaluation')}, {record['seconds']:.1f} s)"
    )
