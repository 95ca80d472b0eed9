from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from restore.errors import InputError
from restore.io.files import (
    InputFile,
    check_written,
    expand_inputs,
    may_write,
    numbered,
    plan_outputs,
    sidecar_path,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for name in ("b.jpg", "a.png", "note.txt", ".hidden.png", "deep/c.tif", ".git/d.png"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "folder.png").mkdir()
    return root


def names(files: list[InputFile], root: Path) -> list[str]:
    return [file.path.relative_to(root).as_posix() for file in files]


def test_folders_are_expanded(folder: Path) -> None:
    assert names(expand_inputs([folder]), folder) == ["a.png", "b.jpg"]
    assert names(expand_inputs([folder], recursive=True), folder) == [
        "a.png",
        "b.jpg",
        "deep/c.tif",
    ]


def test_named_files_are_taken_as_they_are(folder: Path) -> None:
    given = [folder / "note.txt", folder / "missing.png"]
    assert expand_inputs(given) == [InputFile(path) for path in given]


def test_twice_is_once(folder: Path) -> None:
    assert len(expand_inputs([folder / "a.png", folder, folder / "a.png"])) == 2


def test_own_suffixes(folder: Path) -> None:
    assert names(expand_inputs([folder], suffixes={".txt"}), folder) == ["note.txt"]


def test_outputs_of_an_earlier_run_are_left_out(folder: Path) -> None:
    for name in ("a_denoise.png", "a_denoise_0.png", "a_denoise_12.png", "a_denoise_std.png"):
        (folder / name).touch()
    (folder / "my_denoise_photo.png").touch()
    found = names(expand_inputs([folder], made_suffixes=["_denoise"]), folder)
    assert found == ["a.png", "b.jpg", "my_denoise_photo.png"]
    # One that is named is wanted.
    assert len(expand_inputs([folder / "a_denoise.png"], made_suffixes=["_denoise"])) == 1


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png").touch()
    with pytest.raises(InputError, match=r"no picture in this folder.*--recursive"):
        expand_inputs([tmp_path])
    with pytest.raises(InputError, match=r"no picture in this folder, expected at least one$"):
        expand_inputs([tmp_path], suffixes={".h5"}, recursive=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.jpg", "x_denoise.png"),
        ("x.JPEG", "x_denoise.png"),
        ("x.png", "x_denoise.png"),
        ("x.TIFF", "x_denoise.tiff"),
        ("x.tif", "x_denoise.tif"),
        ("x.webp", "x_denoise.webp"),
        ("x.bmp", "x_denoise.bmp"),
        ("x.gif", "x_denoise.png"),
        ("x.npy", "x_denoise.npy"),
        ("x.y.png", "x.y_denoise.png"),
        ("x", "x_denoise.png"),
    ],
)
def test_beside_the_input(name: str, expected: str) -> None:
    assert plan_outputs([InputFile(Path("in") / name)], "denoise") == [Path("in") / expected]


def test_extension_and_suffix() -> None:
    source = [InputFile(Path("in/x.png"))]
    assert plan_outputs(source, "denoise", ext="jpg") == [Path("in/x_denoise.jpg")]
    assert plan_outputs(source, "denoise", suffix="-clean") == [Path("in/x-clean.png")]
    assert plan_outputs(source, "denoise", suffix="", output="out") == [Path("out/x.png")]


def test_output_file(tmp_path: Path) -> None:
    source = InputFile(Path("in/x.png"))
    assert plan_outputs([source], "denoise", output="out/y.jpg") == [Path("out/y.jpg")]
    with pytest.raises(
        InputError, match=r"y\.jpg: one output file for 2 inputs, expected a folder"
    ):
        plan_outputs([source, InputFile(Path("z.png"))], "denoise", output="out/y.jpg")
    (tmp_path / "v1.5").mkdir()
    found = plan_outputs([source], "denoise", output=tmp_path / "v1.5")
    assert found == [tmp_path / "v1.5" / "x_denoise.png"]
    assert plan_outputs([source], "denoise", output="new.d/") == [Path("new.d/x_denoise.png")]


def test_folders_are_kept_below_the_output_folder(folder: Path) -> None:
    found = expand_inputs([folder], recursive=True)
    out = plan_outputs(found, "denoise", output="out")
    expected = ["out/a_denoise.png", "out/b_denoise.png", "out/deep/c_denoise.tif"]
    assert [path.as_posix() for path in out] == expected


def test_names_that_differ_in_their_suffix_alone_keep_it() -> None:
    sources = [InputFile(Path("in") / name) for name in ("x.png", "X.JPG", "x", "y.jpg")]
    out = plan_outputs(sources, "denoise")
    expected = ["x_png_denoise.png", "X_JPG_denoise.png", "x_denoise.png", "y_denoise.png"]
    assert [path.name for path in out] == expected


def test_two_inputs_with_one_output() -> None:
    with pytest.raises(InputError, match=r"b/x\.png: its output o/x\.png is that of a/x\.png too"):
        check_written([("a/x.png", Path("o/x.png")), ("b/x.png", Path("o/x.png"))], [])


def test_names_that_a_disk_takes_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of Windows and macOS tell no case apart."""

    def disk(name_of: Callable[[str], str]) -> None:
        def lexists(path: Path) -> bool:
            folder = Path(path).parent
            found = folder.iterdir() if folder.is_dir() else ()
            return name_of(Path(path).name) in {name_of(file.name) for file in found}

        monkeypatch.setattr(os.path, "lexists", lexists)

    cases = [("a/IMG.png", tmp_path / "o" / "IMG.png"), ("b/img.png", tmp_path / "o" / "img.png")]
    accents = [("a.png", tmp_path / "\u00e9.png"), ("b.png", tmp_path / "e\u0301.png")]
    disk(str)
    check_written([*cases, *accents], [tmp_path / "o" / "Img.PNG"])
    disk(str.casefold)
    check_written([cases[0], accents[0]], [tmp_path / "Img.PNG"])
    for twice in (cases, accents):
        with pytest.raises(InputError, match=r"its output .* is that of a.* too"):
            check_written(twice, [])
    with pytest.raises(InputError, match=r"its output .*IMG\.png is an input"):
        check_written(cases, [tmp_path / "o" / "Img.PNG"])


def test_never_onto_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    (tmp_path / "link.png").symlink_to("x.png")
    for read, written in (("x.png", "x.png"), ("link.png", "x.png"), ("x.png", "link.png")):
        with pytest.raises(InputError, match=rf"a\.png: its output .*{written} is an input"):
            check_written([("a.png", tmp_path / written)], [tmp_path / read])
    check_written([("a.png", tmp_path / "y.png")], [tmp_path / "x.png"])


def test_existing_outputs(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert may_write(path)
    path.touch()
    with pytest.raises(InputError, match=r"a\.png: exists already, expected --overwrite or"):
        may_write(path)
    assert may_write(path, overwrite=True)
    assert not may_write(path, skip_existing=True)
    with pytest.raises(InputError, match="expected a name that can be used"):
        may_write(tmp_path / ("a" * 300))


def test_names_beside_the_output() -> None:
    output = Path("out/x.y_denoise.png")
    assert sidecar_path(output) == Path("out/x.y_denoise.json")
    assert [path.name for path in numbered(output, 2)] == ["x.y_denoise_0.png", "x.y_denoise_1.png"]
