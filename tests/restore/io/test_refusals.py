"""What is no usable picture is refused in one line that names the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError
from restore.io.picture import read_picture


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.png") == "no such file, expected a picture file"


def test_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "is a folder, expected a picture file"


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert refusal(tmp_path / "a.png") == "empty file (0 bytes), expected a picture"


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, mode: str = "r") -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    (tmp_path / "a.png").touch()
    monkeypatch.setattr(Path, "open", denied)
    assert refusal(tmp_path / "a.png") == "permission denied, expected a readable file"


def test_name_too_long(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("a" * 300)) == "File name too long, expected a readable file"


@pytest.mark.parametrize("content", [b"a", b"hello, this is no picture", bytes(5000)])
def test_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    expected = "PNG, JPEG, TIFF, WebP, BMP, GIF or another format that Pillow reads"
    assert refusal(tmp_path / "a.png") == f"not a picture, expected {expected}"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_cut_anywhere(
    tmp_path: Path, smooth: np.ndarray, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A cut file is refused, or the cut took nothing that matters."""
    whole, path = tmp_path / "whole", tmp_path / "cut"
    options = {"lossless": True} if form == "WEBP" else {}
    Image.fromarray(smooth).save(whole, form, **options)
    data = whole.read_bytes()
    expected = read_picture(whole).pixels
    refused = 0
    for length in range(4, len(data) - 1, max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        try:
            pixels = read_picture(path).pixels
        except InputError:
            refused += 1
            continue
        assert np.array_equal(pixels, expected)
    assert refused > 40
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_truncated_is_called_so(tmp_path: Path, smooth: np.ndarray, form: str) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(smooth).save(path, form)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    message = refusal(path)
    assert message.startswith(f"truncated {form} (")
    assert message.endswith("), expected a complete picture")


def test_header_only(tmp_path: Path, smooth: np.ndarray) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(smooth).save(path)
    path.write_bytes(path.read_bytes()[:20])
    assert refusal(path) == "PNG that is cut or damaged in its header, expected a complete picture"


def bomb_png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">L", zlib.crc32(name + data))
        return struct.pack(">L", len(data)) + name + data + crc

    header = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def test_bomb_is_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(bomb_png(50_000, 50_000))
    monkeypatch.setattr(Image.core, "new", None)  # no memory may be asked for
    message = refusal(tmp_path / "a.png")
    assert "2500000000 pixels" in message
    assert message.endswith("expected a smaller picture")


def test_jpeg_bomb(tmp_path: Path, smooth: np.ndarray) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth).save(path)
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    path.write_bytes(data)
    assert "4290250000 pixels" in refusal(path)


def test_deep_tiff_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tifffile

    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((40, 50, 3), dtype=np.float32), photometric="rgb")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    assert refusal(path) == "50x40 pixels, expected at most 1800"


def test_between_the_limit_and_twice_it_nothing_is_said(
    tmp_path: Path, smooth: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(smooth).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", smooth.shape[0] * smooth.shape[1] - 1)
    assert read_picture(path).notes == ()


def test_integer_mode(tmp_path: Path) -> None:
    Image.new("I", (4, 4)).save(tmp_path / "a.im")
    message = refusal(tmp_path / "a.im")
    assert message == (
        "IM of Pillow's mode I, expected grey or RGB of up to 16 bits, or floating point"
    )


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 3, 5), dtype=np.float32), "array [2, 3, 5] of float32"),
        (np.zeros(7, dtype=np.float32), "array [7] of float32"),
        (np.zeros((0, 7), dtype=np.float32), "array [0, 7, 1] of float32"),
        (np.zeros((3, 3), dtype=np.complex64), "array [3, 3, 1] of complex64"),
        (np.zeros((3, 3), dtype=np.int64), "array [3, 3, 1] of int64"),
    ],
    ids=lambda value: str(getattr(value, "shape", "")),
)
def test_npy_of_other_arrays(tmp_path: Path, array: np.ndarray, found: str) -> None:
    np.save(tmp_path / "a.npy", array)
    message = refusal(tmp_path / "a.npy")
    expected = "bool, float or unsigned numbers [H, W], [H, W, 1 to 4]"
    assert message == f"{found}, expected {expected}"


def test_npy_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "Object arrays cannot be loaded" in refusal(tmp_path / "a.npy")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"text", b"PK\x03\x04"])
def test_damaged_npy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    refusal(tmp_path / "a.npy")


def test_the_error_keeps_its_cause(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path / "a.png")
    assert caught.value.__cause__ is not None
