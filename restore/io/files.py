"""Which files are read, and what their outputs are called."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import NamedTuple

from restore.errors import InputError

_READ = (
    "png jpg jpeg jpe jfif tif tiff webp bmp gif ppm pgm pbm pnm tga jp2 avif heic heif hif ico npy"
)
PICTURE_SUFFIXES = frozenset("." + name for name in _READ.split())
"""What is taken from a folder. A file that is named itself may have any suffix."""

_KEPT = {".png": ".png", ".tif": ".tif", ".tiff": ".tiff", ".webp": ".webp", ".bmp": ".bmp"}
_KEPT[".npy"] = ".npy"


class InputFile(NamedTuple):
    """A file to restore and the folder it was found in, None when it was named itself."""

    path: Path
    folder: Path | None = None


def expand_inputs(
    inputs: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = False,
    suffixes: Collection[str] = PICTURE_SUFFIXES,
    made_suffixes: Collection[str] = (),
    whole: Callable[[Path], bool] | None = None,
) -> list[InputFile]:
    """Files as they are, folders as the picture files in them, sorted by name.

    A missing file stays in the list: reading it fails, and the others are still restored. So does,
    among several inputs, a folder without any picture.

    Args:
        inputs: files and folders; what is named twice is taken once.
        recursive: also the folders inside folders.
        suffixes: what counts in a folder, in lower case. Hidden files do not.
        made_suffixes: ``_denoise``, say: files of a folder that an earlier run has written
            (``NAME_denoise.png``, ``NAME_denoise_0.png``, ``NAME_denoise_std.png``) are left out.
        whole: tells a folder that is one input, a series of slices, say.

    Raises:
        InputError: the only input is a folder without any such file.
    """
    named = list(inputs)
    tails = "|".join(re.escape(tail) for tail in made_suffixes if tail)
    ours = re.compile(rf".*({tails})(_\d+|_std)?") if tails else None
    found: list[InputFile] = []
    for name in named:
        path = Path(name)
        if not _is_folder(path) or (whole is not None and whole(path)):
            found.append(InputFile(path))
            continue
        inside = sorted(path.rglob("*") if recursive else path.iterdir())
        files = [
            InputFile(file, path)
            for file in inside
            if file.suffix.lower() in suffixes
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
            and not (ours and ours.fullmatch(file.stem))
            and file.is_file()
        ]
        if not files and len(named) > 1:
            files = [InputFile(path)]
        elif not files:
            deeper = "" if recursive else " (folders inside it need --recursive)"
            raise InputError(f"{path}: no picture in this folder, expected at least one{deeper}")
        found += files
    return list({file.path: file for file in found}.values())


def plan_outputs(
    inputs: Sequence[InputFile],
    verb: str,
    *,
    output: str | os.PathLike[str] | None = None,
    suffix: str | None = None,
    ext: str = "auto",
) -> list[Path]:
    """The output of each input: ``NAME_VERB.EXT``.

    Inputs whose names differ in their suffix alone, or in case besides, keep it
    (``NAME_jpg_VERB.png``), since they would share an output, or the sidecar of it.

    Args:
        inputs: of `expand_inputs`.
        verb: ``denoise``.
        output: a file (it has a suffix and is no folder; one input only) or a folder, in which
            the folders of a recursive search are kept. None: beside the input.
        suffix: instead of ``_VERB``.
        ext: ``png``, ``jpg``, ``tif``, ``npy``; ``auto`` keeps the input's where it can be written
            without loss and gives PNG otherwise (so after a JPEG).

    Raises:
        InputError: one output file for several inputs, the standard output, or a suffix that
            names a folder.
    """
    if output is not None and os.fspath(output) == "-":
        raise InputError("--output -: pictures go into files; expected a file or a folder")
    tail = f"_{verb}" if suffix is None else suffix
    if "/" in tail or os.sep in tail:
        raise InputError(f"--suffix {tail}: names a folder; expected the end of a file's name")
    as_file = output is not None and is_file_name(output)
    if as_file and len(inputs) > 1:
        raise InputError(f"{output}: one output file for {len(inputs)} inputs, expected a folder")
    if as_file:
        return [Path(str(output))]
    stems = Counter(folded(source.path.with_suffix("")) for source in inputs)
    outputs = []
    for source in inputs:
        path = source.path
        alone = not path.suffix or stems[folded(path.with_suffix(""))] == 1
        name = path.stem if alone else f"{path.stem}_{path.suffix[1:]}"
        outputs.append(_folder(source, output) / f"{name}{tail}{_extension(path, ext)}")
    return outputs


def _real_names(paths: Iterable[Path]) -> Iterator[str]:
    """Where files are; of BART's pairs, which have several names, both files."""
    from restore.io.bart import bart_pair, is_bart

    for path in paths:
        yield from map(os.path.realpath, bart_pair(path) if is_bart(path) else (path,))


def check_written(
    files: Iterable[tuple[str | os.PathLike[str], Path]],
    read: Iterable[Path],
    named_by: str = "--output, --suffix or --ext",
) -> None:
    """Refuse to write one file twice, or onto a file that is read.

    Args:
        files: what makes it (an input, an option), and the file.
        read: every file that is read.
        named_by: the options that say where a file goes.

    Raises:
        InputError: likewise.
    """
    another = f"expected another {named_by}"
    originals: dict[str, list[str]] = {}
    made: dict[str, list[tuple[str, str | os.PathLike[str]]]] = {}
    for real in _real_names(read):
        originals.setdefault(folded(real), []).append(real)
    for source, target in files:
        real = os.path.realpath(target)
        key = folded(real)
        if any(_is_one_file(real, original) for original in originals.get(key, ())):
            raise InputError(f"{source}: its output {target} is an input, {another}")
        for other, maker in made.setdefault(key, []):
            if _is_one_file(real, other):
                raise InputError(f"{source}: its output {target} is that of {maker} too, {another}")
        made[key].append((real, source))


def folded(path: str | os.PathLike[str]) -> str:
    """What names have in common that some disks (of Windows, of macOS) take for one."""
    return unicodedata.normalize("NFC", os.fspath(path)).casefold()


def _is_one_file(path: str, other: str) -> bool:
    """Whether two names that are the same when folded are those of one file."""
    if path == other:
        return True
    try:
        with NamedTemporaryFile(prefix="case", dir=_nearest_folder(Path(path))) as probe:
            return os.path.lexists(Path(probe.name).with_name(Path(probe.name).name.upper()))
    except OSError:  # nothing can be written there, which is said elsewhere
        return False


def check_place(output: Path) -> None:
    """Refuse an output where nothing can be written, before any work is done.

    Raises:
        InputError: likewise.
    """
    folder = _nearest_folder(output)
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{output}: {folder}: {reason}; expected a writable folder") from None


def may_write(path: Path, *, overwrite: bool = False, skip_existing: bool = False) -> bool:
    """Whether to make this output: False for one that exists and is to be skipped.

    Raises:
        InputError: it exists and neither overwriting nor skipping was asked for, or its name is
            none.
    """
    if not is_there(path) or overwrite:
        return True
    if skip_existing:
        return False
    raise InputError(f"{path}: exists already, expected --overwrite or --skip-existing")


def is_there(path: Path) -> bool:
    """Whether a file has this name; a link to nowhere is one too.

    Raises:
        InputError: the name cannot be used.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:  # a name that is too long, say
        raise InputError(f"{path}: {error.strerror}, expected a name that can be used") from error
    return True


def numbered(output: Path, samples: int) -> list[Path]:
    """``NAME_0.EXT`` ... of the samples whose mean is `output`."""
    return [output.with_name(f"{output.stem}_{i}{output.suffix}") for i in range(samples)]


def degraded_path(output: Path, suffix: str, extension: str) -> Path:
    """What ``--simulate`` writes beside `output`: ``NAME_degraded``.

    Args:
        output: ``NAME_VERB.EXT``.
        suffix: ``_VERB``.
        extension: ``.png``.
    """
    return output.with_name(f"{output.stem.removesuffix(suffix)}_degraded{extension}")


def std_paths(output: Path) -> tuple[Path, Path]:
    """The map of the standard deviation beside `output`: as numbers, and to look at."""
    array, shown = (output.with_name(f"{output.stem}_std{end}") for end in (".npy", ".png"))
    return array, shown


def sidecar_path(output: Path) -> Path:
    """The JSON file beside an output, ``OUTPUT-STEM.json``."""
    return output.with_suffix(".json")


def is_file_name(output: str | os.PathLike[str]) -> bool:
    """Whether what `--output` says is a file: it has a suffix, and is no folder."""
    text = os.fspath(output)
    path = Path(output)
    return bool(path.suffix) and not text.endswith(("/", os.sep)) and not _is_folder(path)


def _nearest_folder(file: Path) -> Path:
    """The folder of a file, or the first above that is there."""
    return next(parent for parent in file.absolute().parents if os.path.lexists(parent))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, say, which its reader or writer explains
        return False


def _folder(source: InputFile, output: str | os.PathLike[str] | None) -> Path:
    if output is None:
        return source.path.parent
    if source.folder is None:
        return Path(output)
    return Path(output) / source.path.parent.relative_to(source.folder)


def _extension(path: Path, ext: str) -> str:
    if ext != "auto":
        return "." + ext.lower().lstrip(".")
    return _KEPT.get(path.suffix.lower(), ".png")
