"""Options that every restoring verb has, written once.

Each default is None, so that a value given on the command line can be told from one that is not:
the order is command line, then `--config`, then the verb's default.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

Inputs = Annotated[
    list[Path],
    # One that cannot be read fails when it is read, as any other bad one, and stops no other.
    typer.Argument(help="Pictures, or folders of them.", metavar="INPUT", readable=False),
]


# The sections of the help.
_METHOD = functools.partial(typer.Option, rich_help_panel="Method")
_SAMPLES = functools.partial(typer.Option, rich_help_panel="Samples")
_FILES = functools.partial(typer.Option, rich_help_panel="Files")
_CHECKS = functools.partial(typer.Option, rich_help_panel="Checks and reports")
_MACHINE = functools.partial(typer.Option, rich_help_panel="Machine")


@dataclass(frozen=True)
class CommonOptions:
    """The common options of the restoring verbs, as given."""

    sigma: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|auto",
            help="Noise of the input, a standard deviation; `auto` estimates it, the default of "
            "denoise and deblur. [default of the others: rounding]",
        ),
    ] = None
    sigma_range: Annotated[
        str | None, typer.Option(metavar="0-1|0-255", help="Scale of --sigma. [default: 0-1]")
    ] = None
    method: Annotated[
        str | None,
        _METHOD("-m", "--method", metavar="NAME", help="Listed by `restore methods`."),
    ] = None
    model: Annotated[
        str | None,
        _METHOD(
            "-n",
            "--model",
            metavar="NAME|PATH",
            help="A bundled model (`restore models list`), or the path of another.",
        ),
    ] = None
    fast: Annotated[bool, _METHOD("--fast", help="Quicker, with fewer network evaluations.")] = (
        False
    )
    best: Annotated[bool, _METHOD("--best", help="Better, with more network evaluations.")] = False
    steps: Annotated[int | None, _METHOD(min=1, help="Sampling steps.")] = None
    eta: Annotated[
        float | None, _METHOD(help="Share of the noise drawn afresh at each step, 0 to 1.")
    ] = None
    particles: Annotated[
        int | None, _METHOD(min=1, help="Particles for each sample of `tds` and `mcgdiff`.")
    ] = None
    set_: Annotated[
        list[str] | None,
        _METHOD("--set", metavar="NAME=VALUE", help="Any other parameter of the method."),
    ] = None
    init: Annotated[
        Path | None,
        _METHOD(
            help="A picture of the result's size to start from, instead of the classical estimate.",
        ),
    ] = None
    seed: Annotated[int | None, _METHOD(min=0, help="Of the random numbers. [default: 0]")] = None
    samples: Annotated[
        int | None,
        _SAMPLES(min=1, help="Write so many samples, NAME_0, NAME_1, …, and their mean."),
    ] = None
    average: Annotated[
        int | None, _SAMPLES(min=1, help="Write only the mean of so many samples.")
    ] = None
    save_std: Annotated[
        bool,
        _SAMPLES(
            "--save-std",
            help="With --samples: also write their standard deviation, NAME_std.png and .npy. "
            "It depends on the method: DDRM's is 0.4 to 1 times the true posterior's.",
        ),
    ] = False
    batch_size: Annotated[int | None, _SAMPLES(min=1, help="Samples drawn at the same time.")] = (
        None
    )
    # As text: a path loses the slash by which `new.v2/` is a folder.
    output: Annotated[
        str | None,
        _FILES(
            "-o",
            "--output",
            metavar="PATH",
            help="A file, if it has a suffix and there is one input; else a folder. "
            "[default: beside the input]",
        ),
    ] = None
    ext: Annotated[
        str | None,
        _FILES(metavar="auto|png|jpg|tif|npy", help="Format of the output. [default: auto]"),
    ] = None
    suffix: Annotated[
        str | None, _FILES(help="What is added to the input's name. [default: _VERB]")
    ] = None
    quality: Annotated[
        int | None,
        _FILES(
            min=1,
            max=100,
            help="Quality of a JPEG output. [default: the input's own tables, else 95] "
            "Makes WebP lossy.",
        ),
    ] = None
    recursive: Annotated[
        bool, _FILES("--recursive", help="Take folders with all that lies below them.")
    ] = False
    overwrite: Annotated[bool, _FILES("--overwrite", help="Replace existing outputs.")] = False
    skip_existing: Annotated[
        bool, _FILES("--skip-existing", help="Skip inputs whose output exists.")
    ] = False
    config: Annotated[
        Path | None,
        _FILES(help="Read options from a sidecar, which repeats its run, or from other JSON."),
    ] = None
    reference: Annotated[
        Path | None, _CHECKS(help="The true picture, against which the result is scored.")
    ] = None
    simulate: Annotated[
        bool,
        _CHECKS(
            "--simulate",
            help="The input is clean: degrade it, write NAME_degraded, restore that, score it.",
        ),
    ] = False
    report: Annotated[
        Path | None,
        _CHECKS(metavar="FILE.html", help="Write one self-contained page of pictures and figures."),
    ] = None
    dry_run: Annotated[
        bool, _CHECKS("--dry-run", help="Check everything and say what would be done.")
    ] = False
    json: Annotated[bool, _CHECKS("--json", help="One JSON object a line on stdout.")] = False
    quiet: Annotated[bool, _CHECKS("--quiet", help="Print errors only.")] = False
    debug: Annotated[bool, _CHECKS("--debug", help="Show the traceback of an error.")] = False
    device: Annotated[
        str | None, _MACHINE(metavar="auto|cpu|cuda|cuda:N|mps", help="[default: auto]")
    ] = None
    dtype: Annotated[
        str | None,
        _MACHINE(
            metavar="auto|fp32|fp16|bf16",
            help="Precision of the network. [default: auto, bf16 where the processor multiplies "
            "in it]",
        ),
    ] = None
    tile: Annotated[
        int | None,
        _MACHINE(min=64, help="Denoise in blended tiles of this side, to bound memory."),
    ] = None

    def given(self) -> dict[str, Any]:
        """What was given on the command line, by option name."""
        values = {f.name.rstrip("_"): getattr(self, f.name) for f in fields(self)}
        # By identity: 0 is a seed, and an eta, though it equals False.
        return {n: v for n, v in values.items() if not (v is None or v is False or v == [])}


def with_common_options(
    verb: Callable[..., None], changes: Mapping[str, Mapping[str, Any]] | None = None
) -> Callable[..., None]:
    """Give a verb the common options: it takes its own and `common`.

    Args:
        verb: the command.
        changes: what typer is told otherwise of an option of this verb, by the option's name, such
            as another ``help``.
    """
    hints = get_type_hints(CommonOptions, include_extras=True)
    for name, change in (changes or {}).items():
        kind, option = get_args(hints[name])
        option = copy.copy(option)
        for key, value in change.items():
            setattr(option, key, value)
        hints[name] = Annotated[kind, option]
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
