"""Options that every restoring verb has, written once.

Each default is None, so that a value given on the command line can be told from one that is not:
the order is command line, then `--config`, then the verb's default.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

Inputs = Annotated[
    list[Path], typer.Argument(help="Pictures, or folders of them.", metavar="INPUT")
]


@dataclass(frozen=True)
class CommonOptions:
    """The common options of the restoring verbs, as given."""

    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File (with a suffix, one input) or folder.",
        ),
    ] = None
    method: Annotated[
        str | None,
        typer.Option("-m", "--method", help="See `restore methods`."),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            "-n",
            "--model",
            help="Bundled name or path; see `restore models list`.",
        ),
    ] = None
    steps: Annotated[int | None, typer.Option(min=1, help="Sampling steps.")] = None
    eta: Annotated[
        float | None,
        typer.Option(help="Share of fresh noise a step, 0 to 1."),
    ] = None
    particles: Annotated[
        int | None, typer.Option(min=1, help="Weighted runs behind one sample of `tds`, `mcgdiff`.")
    ] = None
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Another parameter of the method.",
        ),
    ] = None
    fast: Annotated[bool, typer.Option("--fast", help="Fewer evaluations.")] = False
    best: Annotated[bool, typer.Option("--best", help="More evaluations.")] = False
    sigma: Annotated[
        str | None,
        typer.Option(
            help="Noise of the input: a standard deviation, or `auto` to estimate it; of mri a "
            "share of the image's 99th percentile, of ct in line integrals.",
        ),
    ] = None
    sigma_range: Annotated[
        str | None,
        typer.Option(
            metavar="[0-1|0-255]",
            help="Units of --sigma, of pictures. [default: 0-1]",
        ),
    ] = None
    seed: Annotated[int | None, typer.Option(min=0, help="[default: 0]")] = None
    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Write this many samples NAME_0, NAME_1, … and their mean.",
        ),
    ] = None
    average: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Samples whose mean is the one picture written without --samples.",
        ),
    ] = None
    save_std: Annotated[
        bool,
        typer.Option(
            "--save-std",
            help="With --samples: write the standard deviation as NAME_std.png and .npy. "
            "It is the method's: that of DDRM is 0.4 to 1 of the true posterior's.",
        ),
    ] = False
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples at a time.")] = None
    device: Annotated[
        str | None,
        typer.Option(metavar="auto|cpu|cuda|cuda:N|mps", help="[default: auto]"),
    ] = None
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="auto|fp32|fp16|bf16",
            help="Precision of the network; auto is bf16 on processors that multiply in it, "
            "else fp32. [default: auto]",
        ),
    ] = None
    tile: Annotated[
        int | None,
        typer.Option(
            min=64,
            help="Denoise in blended tiles of this side, to bound memory.",
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            help="Options from a file: a sidecar (repeats its run) or JSON of option names.",
        ),
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, or fail.")] = (
        False
    )
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace outputs that exist."),
    ] = False
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Leave inputs whose output exists."),
    ] = False
    recursive: Annotated[bool, typer.Option("--recursive", help="Folders at any depth.")] = False
    suffix: Annotated[
        str | None,
        typer.Option(help="End of the output's name. [default: _VERB]"),
    ] = None
    ext: Annotated[
        str | None,
        typer.Option(
            metavar="auto|png|jpg|tif|npy",
            help="Kind of output. [default: auto]",
        ),
    ] = None
    quality: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Of a JPEG output; of the simulated one with `dejpeg --simulate`. "
            "[default: the input's own tables, else 95]",
        ),
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing but errors.")] = False
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line on stdout.")] = False
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="One self-contained page with pictures and figures.",
        ),
    ] = None
    reference: Annotated[
        Path | None,
        typer.Option(help="The true picture: scores the result."),
    ] = None
    init: Annotated[
        Path | None,
        typer.Option(
            help="A picture of the result's size, from which the method starts instead of the "
            "classical estimate.",
        ),
    ] = None
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate",
            help="The input is clean: degrade it, write NAME_degraded, restore, score.",
        ),
    ] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False

    def given(self) -> dict[str, Any]:
        """What was given on the command line, by option name."""
        values = {f.name.rstrip("_"): getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, False, [])}


def with_common_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the common options: it takes its own and `common`."""
    hints = get_type_hints(CommonOptions, include_extras=True)
    shared = [
        inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name]
        )
        for f in fields(CommonOptions)
    ]
    own_hints = get_type_hints(verb, include_extras=True)
    own = [
        p.replace(annotation=own_hints[p.name])
        for p in inspect.signature(verb).parameters.values()
        if p.name != "common"
    ]

    @functools.wraps(verb)
    def command(**values: Any) -> None:
        common = CommonOptions(**{f.name: values.pop(f.name) for f in fields(CommonOptions)})
        verb(**values, common=common)

    del command.__wrapped__  # typer would look through it
    parameters = [*own, *shared]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return command
