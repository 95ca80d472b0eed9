"""Standard output that is full, or that cannot say a file's name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from restore.cli.app import main; main()")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            (*COMMAND, "models", "list", "--json"), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "standard output: no space left on device\n"


def test_a_name_that_no_terminal_can_show(tmp_path, photo):
    """The bytes of a name need not be UTF-8."""
    source = os.fsencode(tmp_path) + b"/\xff.png"
    os.rename(photo, source)  # noqa: PTH104
    done = subprocess.run((*COMMAND, "denoise", source, "--sigma", "0.05"), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\udcff_denoise.png" in done.stdout
    assert (tmp_path / "\udcff_denoise.png").exists()
