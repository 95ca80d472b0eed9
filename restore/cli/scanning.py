"""How the verbs of scans run: as those of pictures, with their own files and settings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.cli.options import CommonOptions, with_common_options
from restore.cli.restoring import Kind
from restore.errors import InputError

if TYPE_CHECKING:
    from restore.tasks.scan import ScanTask


def with_scan_options(
    *, sigma: str, formats: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb of scans the common options that scans have; the others are not in its help.

    Args:
        sigma: the units of `--sigma`.
        formats: what `--ext` takes, the default first.
    """
    changes: dict[str, dict[str, Any]] = {
        "sigma": {"help": f"Noise of the input, a standard deviation {sigma}. [default: auto]"},
        "ext": {"metavar": formats, "help": f"[default: {formats.partition('|')[0]}]"},
        "reference": {"help": "The true image, against which the result is scored."},
        **{name: {"hidden": True} for name in ("init", "quality", "sigma_range")},
    }
    return functools.partial(with_common_options, changes=changes)


def scans(
    task: Callable[[], ScanTask[Any]],
    inputs: tuple[str, ...],
    whole: Callable[[Path], bool] | None = None,
) -> Callable[[str], Kind]:
    """The kind of a verb of scans, for `run_verb`.

    Args:
        task: gives the verb; called when the command runs, since it imports torch.
        inputs: suffixes of what counts as an input in a folder.
        whole: tells a folder that is one input.
    """

    def kind(verb: str) -> Kind:
        from restore.tasks.scanner import Scanner

        found = task()

        def check_output(path: Path) -> None:
            if path.suffix.lower() not in found.suffixes:
                raise InputError(
                    f"{path}: restore {verb} does not write {path.suffix or 'files without suffix'}"
                    f", expected one of {', '.join(found.suffixes)}"
                )

        return Kind(
            settings=found.settings,
            open=lambda settings: Scanner(found, settings),
            check_output=check_output,
            suffixes=inputs,
            degraded=lambda: ".npy",
            extension=found.suffixes[0].lstrip("."),
            whole=whole,
            besides=found.besides,
        )

    return kind


def refuse_pictures(common: CommonOptions) -> None:
    """Refuse the common options that only pictures have.

    Raises:
        InputError: likewise.
    """
    if common.init is not None:
        raise InputError("--init: for pictures, expected none for a scan")
    if common.quality is not None:
        raise InputError("--quality: of JPEG, expected none for a scan")
    if common.sigma_range is not None:
        raise InputError(
            "--sigma-range: of pictures; expected --sigma as a share of the image's 99th "
            "percentile (mri) or in line integrals (ct)"
        )


def size_of(text: str) -> tuple[int, int]:
    """N, or WIDTHxHEIGHT, as (rows, columns)."""
    from restore.tasks.settings import parse_size

    return parse_size(f"{text}x{text}" if text.isdecimal() else text)
