"""Standard output that is full, or that cannot say a file's name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from restore.cli.app import main; main()")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            (*COMMAND, "models", "list", "--json"), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "standard output: no space left on device\n"


def test_a_name_that_the_terminal_cannot_show(tmp_path, photo):
    source = photo.rename(tmp_path / "schön.png")
    command = (*COMMAND, "denoise", str(source), "--sigma", "0.05")
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "sch\\xf6n_denoise.png" in done.stdout
    assert (tmp_path / "schön_denoise.png").exists()
