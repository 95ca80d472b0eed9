"""The verbs of the command `restore`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from restore.cli.batch import batch
from restore.cli.compare import compare
from restore.cli.console import USAGE_ERROR, print_error, told
from restore.cli.ct import ct
from restore.cli.doctor import doctor
from restore.cli.interpolate import interpolate
from restore.cli.likelihood import likelihood
from restore.cli.methods import methods
from restore.cli.models import app as models
from restore.cli.mri import mri
from restore.cli.options import CommonOptions, Inputs, with_common_options
from restore.cli.restoring import run_verb
from restore.cli.sample import sample
from restore.cli.sections import Sectioned, examples
from restore.cli.serve import serve
from restore.cli.train import train

app = typer.Typer(
    name="restore",
    help="Restore pictures, MRI and CT with a diffusion prior: what was measured is kept, what is "
    "missing is filled in by a model of what pictures look like. Offline, on a CPU or a GPU.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
)
command = functools.partial(app.command, cls=Sectioned)

SHRINK = (
    "How the small picture was made: by which filter, or by which blur of the large picture "
    "(KERNEL as in `restore deblur`, in pixels of the result) before a bicubic shrink."
)


@command(
    epilog=examples(
        "restore inpaint scratched.png --mask scratched_mask.png",
        "restore inpaint scratched.png --mask scratched_mask.png --samples 4 --save-std -o out/",
    )
)
@with_common_options
def inpaint(
    inputs: Inputs,
    *,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="White (or grey above 50 %) is filled. [default: the transparent part of the "
            "picture]"
        ),
    ] = None,
    common: CommonOptions,
) -> None:
    """Fill a hole in a picture.

    Every pixel outside the hole keeps its value, bit for bit.
    """
    run_verb("inpaint", inputs, common, lambda: {"mask": mask})


@command(
    epilog=examples(
        "restore super-resolve small.png --scale 4",
        "restore super-resolve small.png --size 640x480 --fast -o large.png",
    )
)
@with_common_options
def super_resolve(
    inputs: Inputs,
    *,
    scale: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="How many times larger. [default: 4]")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WIDTHxHEIGHT", help="Size of the result, instead of --scale."),
    ] = None,
    kernel: Annotated[
        str | None, typer.Option(metavar="bicubic|box|bilinear|lanczos|KERNEL", help=SHRINK)
    ] = None,
    common: CommonOptions,
) -> None:
    """Enlarge a picture.

    The result is a picture whose antialiased shrink is the input.
    """

    def own() -> dict[str, Any]:
        from restore.tasks.settings import parse_scale, parse_size

        return {
            "scale": None if scale is None else parse_scale(scale),
            "size": None if size is None else parse_size(size),
            "kernel": kernel,
        }

    run_verb("super-resolve", inputs, common, own)


@command(
    epilog=examples(
        "restore denoise noisy.png --sigma 25 --sigma-range 0-255",
        "restore denoise noisy.png --samples 8 --save-std -o out/",
    )
)
@with_common_options
def denoise(inputs: Inputs, *, common: CommonOptions) -> None:
    """Remove noise.

    The result is the posterior mean; --samples draws from the posterior instead. Without --sigma
    the noise level is estimated and printed.
    """
    run_verb("denoise", inputs, common, dict)


@command(
    epilog=examples(
        "restore colorize grey.png",
        "restore colorize grey.png --hints strokes.png -o coloured.png",
    )
)
@with_common_options
def colorize(
    inputs: Inputs,
    *,
    hints: Annotated[
        Path | None,
        typer.Option(
            help="Coloured strokes on a transparent ground, of the picture's size; only their hue "
            "and saturation count."
        ),
    ] = None,
    common: CommonOptions,
) -> None:
    """Colour a grey picture.

    The luma is kept to within 1/255; a colour picture is first reduced to its luma. Say with
    --hints what colour things are: the bundled model knows small patches of photographs, which do
    not tell a green shirt from a red one, so without hints the result stays close to grey.
    """
    run_verb("colorize", inputs, common, lambda: {"hints": hints})


@command(
    epilog=examples(
        "restore deblur blurred.png --kernel motion:15,30",
        "restore deblur blurred.png --kernel motion:15,30 --sigma 0.01 --fast -o sharp.png",
    )
)
@with_common_options
def deblur(
    inputs: Inputs,
    *,
    kernel: Annotated[
        str | None,
        typer.Option(
            metavar="gaussian:SIGMA|box:N|motion:LENGTH,ANGLE|disk:RADIUS|FILE",
            help="The blur, in pixels; the angle in degrees, counter-clockwise from the "
            "horizontal. FILE is a small picture or a .npy, divided by its sum.",
        ),
    ] = None,
    border: Annotated[
        str | None,
        typer.Option(
            metavar="valid|reflect|replicate|zero|circular",
            help="What lies beyond the border: nothing known (valid), or the picture continued. "
            "[default: valid]",
        ),
    ] = None,
    common: CommonOptions,
) -> None:
    """Undo a known blur.

    The result is a picture that, blurred again, is the input up to its noise. Without --sigma the
    noise level is estimated and printed.
    """
    run_verb("deblur", inputs, common, lambda: {"kernel": kernel, "border": border})


@command(
    epilog=examples(
        "restore dejpeg photo.jpg",
        "restore dejpeg photo.png --simulate --quality 20 -o restored.png",
    )
)
@with_common_options
def dejpeg(inputs: Inputs, *, common: CommonOptions) -> None:
    """Remove JPEG artefacts from a picture.

    Reads the quantisation tables and coefficients of the file itself. Each coefficient says to half
    a step what was in the picture, and the result stays within these intervals. If a picture was
    saved several times, the last tables count, and what was lost earlier stays lost. Greyscale,
    YCbCr and RGB, baseline and progressive; the output is a PNG. With --simulate the picture is
    first written as a JPEG of --quality (10).
    """
    run_verb("dejpeg", inputs, common, dict)


command(
    epilog=examples(
        "restore mri brain.npy --acceleration 4",
        "restore mri brain.npy --acceleration 4 --samples 8 --save-std -o out/brain.nii",
    )
)(mri)
command(
    epilog=examples(
        "restore ct scan.npy --angles 0:180:90",
        "restore ct slice.dcm --simulate --views 45 -o slice_ct.dcm",
    )
)(ct)
command(
    epilog=examples(
        "restore sample --guide photo.png -o drawn.png",
        "restore sample --grid 4x4 --sampler dpm-solver --steps 20 -o grid.png",
    )
)(sample)
command(
    epilog=examples(
        "restore interpolate one.png other.png --frames 9 -o strip.png",
        "restore interpolate one.png other.png --size 64x64 -o way.gif",
    )
)(interpolate)
command(
    epilog=examples(
        "restore likelihood photo.png", "restore likelihood *.png --crop 32 --draws 8 --json"
    )
)(likelihood)
command(
    epilog=examples(
        "restore compare photo.png --task super-resolve --scale 4 -m ddrm -m pigdm -m bicubic",
        "restore compare --exact -m ddrm -m ddrm-cg --operator blur --sigma 0.05",
    )
)(compare)
command(
    epilog=examples(
        "restore train pictures/ -o my-model --steps 20000",
        "restore train pictures/ -o my-model --channels 1 --batch-size 8",
    )
)(train)
command(epilog=examples("restore serve", "restore serve --host 0.0.0.0 --max-upload 20"))(serve)
command(epilog=examples("restore methods", "restore methods --json"))(methods)
command(epilog=examples("restore doctor", "restore doctor --json"))(doctor)
RESTORING = (inpaint, super_resolve, denoise, colorize, deblur, dejpeg, mri, ct)
many = typer.Typer(callback=batch, no_args_is_help=True, rich_markup_mode=None)
many.registered_commands += [c for c in app.registered_commands if c.callback in RESTORING]
app.add_typer(
    many,
    name="batch",
    epilog=examples(
        "restore batch denoise scans/ -o out/ --recursive",
        "restore batch --workers 4 super-resolve small/ --scale 4 -o large/ --skip-existing",
    ),
)
app.add_typer(
    models, name="models", epilog=examples("restore models list", "restore models info photo")
)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True)
    ] = False,
) -> None:
    """Global options."""
    if show:
        from restore import __version__

        typer.echo(f"restore {__version__}")
        raise typer.Exit


def run() -> None:
    """Run the command line."""
    try:
        app()
    except OSError as error:  # the help, or the version, that cannot be written
        print_error(told(error))
        sys.exit(USAGE_ERROR)
