"""`restore sample`: a picture drawn from the prior along a guide."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from restore.cli.options import CommonOptions, with_common_options
from restore.cli.restoring import run_verb


@with_common_options
def sample(
    *,
    guide: Annotated[
        Path,
        typer.Option(help="A picture, whose low frequencies the result shares."),
    ],
    size: Annotated[
        str | None,
        typer.Option(metavar="WIDTHxHEIGHT", help="Size of the result. [default: the guide's]"),
    ] = None,
    common: CommonOptions,
) -> None:
    """Draw a picture that shares the low frequencies of a guide.

    The guide says what the result looks like when it is shrunk by a factor (--set factor=8) and
    enlarged again, and the model draws the rest, another one for each --seed. Not a restoration:
    nothing is measured.
    """

    def own() -> dict[str, Any]:
        from restore.tasks.settings import parse_size

        return {"size": size and parse_size(size)}

    run_verb("sample", [guide], common, own)
