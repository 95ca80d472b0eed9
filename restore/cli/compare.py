"""`restore compare`: methods side by side, on pictures or against exact posteriors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restore.cli.console import run_command
from restore.errors import InputError


def compare(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(help="Clean pictures, or folders of them.", metavar="INPUT", readable=False),
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="VERB", help="The verb whose methods are compared.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--method",
            metavar="NAME",
            help="A method or a classical method; repeat for more. [default: all that fit]",
        ),
    ] = None,
    nfe: Annotated[
        str | None,
        typer.Option(
            metavar="N|own",
            help="At most so many network evaluations a sample; `own` for each method's own "
            "number. [default: 100]",
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Samples by each method. [default: 1]")
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=1, help="Use only the centre of each picture, a square of this side."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Use only the first so many pictures.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="The true picture; the input is then a measurement.")
    ] = None,
    simulate: Annotated[
        bool | None,
        typer.Option(
            "--simulate/--measured",
            help="Whether the inputs are clean, to be degraded and scored, or measurements. "
            "[default: --simulate, unless there is a --reference]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for pictures and figures; an interrupted comparison continues there.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write one self-contained page of all pictures and figures."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write the rows as a table.")
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on stdout.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("-n", "--model", help="A bundled model, or the path of another.")
    ] = None,
    sigma: Annotated[
        list[str] | None,
        typer.Option(help="Noise of the measurement. With --exact: repeat for several."),
    ] = None,
    sigma_range: Annotated[
        str, typer.Option(metavar="0-1|0-255", help="Scale of --sigma.")
    ] = "0-1",
    mask: Annotated[Path | None, typer.Option(help="Mask of inpaint.")] = None,
    scale: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Scale of super-resolve.")
    ] = None,
    kernel: Annotated[str | None, typer.Option(help="Kernel of super-resolve and deblur.")] = None,
    border: Annotated[str | None, typer.Option(help="Border of deblur.")] = None,
    hints: Annotated[Path | None, typer.Option(help="Hints of colorize.")] = None,
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="JPEG quality of dejpeg.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="METHOD.NAME=VALUE", help="A parameter of one method."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the random numbers. [default: 0]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Samples drawn at the same time.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps", help="[default: auto]")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="auto|fp32|fp16|bf16", help="[default: auto]")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Take folders with all that lies below them.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew in --output.")] = False,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Without pictures: compare samples with the exact posterior of a mixture.",
        ),
    ] = False,
    operator: Annotated[
        list[str] | None,
        typer.Option(
            help="With --exact: mask, downsample, blur, hadamard, colorize or masked-blur; repeat "
            "for several. [default: all]"
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="far|three|told|gaussian", help="With --exact: the mixture. [default: far]"
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="With --exact: steps of each method.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Compare methods on the same problems, with the same model, seed and budget.

    Clean pictures are degraded as the verb's options say, restored by every method, and scored:
    PSNR of the samples' mean and of one sample, SSIM, HaarPSI, how well A x fits y, the share of
    true pixels within the samples' 90 % interval (with --samples), network evaluations, seconds and
    peak memory.
    """

    def body() -> int:
        from restore.cli.comparing import compare_pictures
        from restore.cli.exactly import compare_exactly
        from restore.cli.figures import Shown

        shown = Shown(report=report, csv=csv, json_lines=json_lines, quiet=quiet)
        if exact:
            of_pictures = {
                "INPUT": inputs or None, "--task": task, "--crop": crop, "--count": count,
                "--reference": reference, "--simulate": simulate or None,
                "--measured": simulate is False or None, "--output": output, "--report": report,
                "--model": model, "--mask": mask, "--scale": scale, "--kernel": kernel,
                "--border": border, "--hints": hints, "--quality": quality,
                "--batch-size": batch_size, "--device": device, "--dtype": dtype,
                "--recursive": recursive or None, "--overwrite": overwrite or None,
            }  # fmt: skip
            if found := [name for name, value in of_pictures.items() if value is not None]:
                raise InputError(
                    f"--exact: has problems and a prior of its own; expected no {', '.join(found)}"
                )
            return compare_exactly(
                shown, names=method or [], operators=operator or [], sigmas=sigma or [],
                sigma_range=sigma_range, prior=prior or "far", steps=steps, nfe=nfe,
                samples=samples, parameters=set_ or [], seed=seed or 0,
            )  # fmt: skip
        for name, value in (("--operator", operator), ("--prior", prior), ("--steps", steps)):
            if value:
                raise InputError(f"{name}: only with --exact")
        if len(sigma or ()) > 1:
            raise InputError("--sigma: given several times; expected one level (or --exact)")
        if simulate and reference is not None:
            raise InputError("--simulate: the inputs are clean, so expected no --reference")
        clean = reference is None if simulate is None else simulate
        given = {
            "sigma": sigma[0] if sigma else None, "sigma_range": sigma_range, "model": model,
            "mask": mask, "scale": scale, "kernel": kernel, "border": border,
            "hints": hints, "quality": quality, "seed": seed, "batch_size": batch_size,
            "device": device, "dtype": dtype, "reference": reference, "simulate": clean or None,
        }  # fmt: skip
        return compare_pictures(
            shown, inputs or [], task, given, names=method or [], nfe=nfe, samples=samples,
            crop=crop, count=count, parameters=set_ or [], recursive=recursive, folder=output,
            overwrite=overwrite,
        )  # fmt: skip

    run_command(body, debug=debug)
