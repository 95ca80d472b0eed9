"""The entry point: what is in order before anything else is imported."""

import os
import subprocess
import sys

import pytest

INTERRUPTED_IMPORT = """
import sys

class Finder:
    def find_spec(self, name, *rest):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
from restore.cli.main import main
main()
"""
WAITING = """
import os, sys
from restore.cli.main import main
sys.argv = ["restore", "--version"]
try:
    main()
finally:
    print(os.environ.get("GOMP_SPINCOUNT"))
"""


def test_ctrl_c_during_the_imports():
    done = subprocess.run(
        (sys.executable, "-c", INTERRUPTED_IMPORT), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_threads_wait_as_the_user_has_it(given, expected):
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {n: v for n, v in os.environ.items() if n not in names} | given
    done = subprocess.run(
        (sys.executable, "-c", WAITING), env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == expected
