"""What fuzzing found once, a sample of new damage, and two files that jpeglib must not see."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path

import pytest
from fuzz_mutations import mutated
from fuzz_readers import outcome
from fuzz_seeds import SIZE, seeds
from PIL import Image

from restore.errors import InputError
from restore.io.jpeg_blocks import read_coefficients
from restore.io.picture import read_picture

CORPUS = sorted(f for f in (Path(__file__).parent / "corpus").iterdir() if f.suffix != ".md")


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_found_once(
    tmp_path: Path, file: Path, number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / file.name
    path.write_bytes(file.read_bytes())
    outcome(path, SIZE, number)
    assert capfd.readouterr() == ("", "")


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) >= 15


@pytest.mark.parametrize("name", sorted(n for n in seeds() if not n.startswith("real_")))
def test_seed_is_read_whole_and_damaged(tmp_path: Path, name: str) -> None:
    made = seeds()
    path = tmp_path / name
    path.write_bytes(made[name])
    assert outcome(path, SIZE) == "read" or name == "cmyk.jpg"
    rng = random.Random(name)
    for number in range(12):
        path.write_bytes(mutated(rng, made[name], list(made.values())))
        outcome(path, SIZE, number)


def _jpeg() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((40, 24), 90).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def test_a_header_that_claims_65500_pixels_a_side_is_refused(tmp_path: Path) -> None:
    data = bytearray(_jpeg())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 65500, 65500)
    path = tmp_path / "huge.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError, match="expected a smaller picture"):
        read_coefficients(path)


def test_a_cut_jpeg_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    data = _jpeg()
    path = tmp_path / "cut.jpg"
    for length in range(0, len(data) - 2, 29):
        path.write_bytes(data[:length])
        with pytest.raises(InputError):
            read_picture(path)
        with pytest.raises(InputError):
            read_coefficients(path)
