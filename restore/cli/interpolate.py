"""`restore interpolate`: the way between two pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from restore.cli.console import print_line, progress_bar, run_command
from restore.cli.restoring import check_single
from restore.errors import counted


def interpolate(
    first: Annotated[Path, typer.Argument(metavar="A", help="A picture.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another, of the same size.")],
    *,
    frames: Annotated[
        int, typer.Option(min=2, max=999, help="Number of frames, A and B included.")
    ] = 9,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="A strip of the frames, or an animation (.gif). [default: A_B_interpolate.png]",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("-n", "--model", help="A bundled model, or the path of another.")
    ] = "photo",
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Resize both pictures to this.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=1e-9, max=0.1, help="Error of a step of the solver.")
    ] = 1e-4,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps")] = "auto",
    dtype: Annotated[str, typer.Option(metavar="auto|fp32|fp16|bf16")] = "fp32",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing output.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Draw the way from one picture to another.

    Both become latents of the model's probability-flow ODE; the points between them are decoded
    again. The first and the last frame are A and B, up to the error of the solver.
    """

    def body() -> int:
        from restore.tasks.interpolate import check_output, interpolate
        from restore.tasks.opened import OpenModel
        from restore.tasks.settings import parse_size

        target = output or first.with_name(f"{first.stem}_{second.stem}_interpolate.png")
        check_output(target)
        check_single(target, read=[first, second], overwrite=overwrite)
        shape = parse_size(size) if size else None
        opened = OpenModel.load(model, device, dtype)
        with progress_bar(visible=not (quiet or as_json)) as progress:
            bar = progress.add_task("evaluations", total=None, note="")
            record = interpolate(
                first, second, target, opened,
                frames=frames, size=shape, tolerance=tolerance,
                on_step=lambda step, total, x_hat: progress.advance(bar),  # noqa: ARG005
            )  # fmt: skip
        if as_json:
            typer.echo(json.dumps(record, allow_nan=False))
        elif not quiet:
            print_line(
                f"{first}, {second} -> {target}  {frames} frames of "
                f"{record['width']}x{record['height']}, "
                f"{counted(record['evaluations'], 'evaluation')}, {record['seconds']:.1f} s; "
                f"A and B come back within {max(record['round_trip_rms']):.2g} (rms)"
            )
        return 0

    run_command(body, debug=debug)
