"""Real JPEGs of odd kinds, where they are at hand: each is restored or refused by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from restore.cli.app import app
from restore.io.picture import read_picture

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "jpeg"
REFUSED = {
    "arithmetic_coded": "arithmetic coding",
    "cmyk": "CMYK colours",
    "ycck_restart": "YCCK colours",
}


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_same.py").write_text("def same(x, sigma):\n    return x\n")
    sys.path.append(str(folder))
    yield "own_same:same"
    sys.path.remove(str(folder))
    sys.modules.pop("own_same", None)


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no real pictures at {FOLDER}")
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jpg")), ids=lambda path: path.stem)
def test_dejpeg(path, prior, tmp_path):
    out = tmp_path / "out.png"
    done = CliRunner().invoke(
        app, ["dejpeg", str(path), "-n", prior, "--steps", "1", "--average", "1", "-o", str(out)]
    )
    if path.stem in REFUSED:
        assert done.exit_code == 2
        assert done.stderr.count("\n") == 1
        assert path.name in done.stderr
        assert REFUSED[path.stem] in done.stderr
        assert not out.exists()
        return
    assert done.exit_code == 0, done.stderr
    before, after = read_picture(path), read_picture(out)
    assert after.pixels.shape == before.pixels.shape
    assert after.metadata.icc == before.metadata.icc
