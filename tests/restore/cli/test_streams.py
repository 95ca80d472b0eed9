"""Standard output that is full, or that cannot say a file's name."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from restore.cli.main import main; main()")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    [("models", "list", "--json"), ("--version",), ("--help",), ("denoise", "--help")],
)
def test_a_full_standard_output_is_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            (*COMMAND, *arguments), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "standard output: no space left on device\n"


def test_a_name_that_no_terminal_can_show(tmp_path, photo):
    """The bytes of a name need not be UTF-8."""
    source = os.fsencode(tmp_path) + b"/\xff.png"
    try:
        os.rename(photo, source)  # noqa: PTH104
    except OSError:
        pytest.skip("this disk takes names in UTF-8 alone")
    done = subprocess.run((*COMMAND, "denoise", source, "--sigma", "0.05"), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\udcff_denoise.png" in done.stdout
    assert (tmp_path / "\udcff_denoise.png").exists()


def test_a_name_of_several_lines_is_told_in_one(tmp_path, photo):
    """Nor do the letters of a name steer the terminal."""
    odd = photo.rename(tmp_path / "new\nline\x1b[2K.png")
    bad = tmp_path / "bad\n.png"
    bad.write_text("none")
    command = (*COMMAND, "denoise", str(odd), str(bad), "--sigma", "0.05")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == len(done.stderr.splitlines()) == 1
    assert "new\\nline\\x1b[2K_denoise.png" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def on_terminal(*arguments: object, terminal: str = "xterm") -> tuple[int, bytes]:
    """Exit code of a command on a terminal, and what it sends there."""
    pty = pytest.importorskip("pty")
    command = (*COMMAND, *map(str, arguments))
    environment = os.environ | {"TERM": terminal}
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 2**16):
                shown += piece
        except OSError:  # Linux says so at the end
            pass
    os.close(ours)
    return running.returncode, shown


def screen(shown: bytes) -> list[str]:
    """The lines that stay on a terminal, of any width."""
    lines, row, column = [""], 0, 0
    for up, clear, control, text in re.findall(
        r"\x1b\[(\d+)A|\x1b\[(2K)|\x1b\[[?\d;]*[a-zA-Z]|([\r\n])|([^\r\n\x1b]+)", shown.decode()
    ):
        if up:
            row -= int(up)
        elif clear:
            lines[row] = ""
        elif control == "\r":
            column = 0
        elif control:
            row += 1
            lines += [""] * (row == len(lines))
        else:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    return [line for line in lines if line.strip()]


def test_results_of_several_inputs_stay_on_the_terminal(tmp_path, photo):
    """The bars of the run and of its input are taken away, and nothing but them."""
    other = shutil.copy(photo, tmp_path / "other.png")
    options = ("--sigma", "0.05", "-m", "ddrm", "--steps", 3)
    code, shown = on_terminal("denoise", photo, other, *options)
    assert code == 0
    assert "2/2" in shown.decode()
    assert [line.split(" -> ")[0] for line in screen(shown)] == [str(photo), str(other)]


def test_likelihoods_stand_on_lines_of_their_own(tmp_path, photo):
    other = shutil.copy(photo, tmp_path / "other.png")
    options = ("--crop", 8, "--draws", 1, "--tolerance", 0.1)
    code, shown = on_terminal("likelihood", photo, other, *options)
    assert code == 0
    assert [line.split(": ")[0] for line in screen(shown)] == [str(photo), str(other)]


@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
def test_what_training_tells_stands_on_lines_of_its_own(tmp_path, photo, terminal):
    """Of pictures that are left out, and where there is no bar how far it is."""
    (tmp_path / "bad.png").write_text("none")
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"widths": [8], "blocks": [1], "steps": 2, "batch_size": 1, "patch": 16}')
    arguments = ("train", tmp_path, "-o", tmp_path / "run", "--recipe", recipe)
    code, shown = on_terminal(*arguments, terminal=terminal)
    assert code == 0
    told, *steps, result = screen(shown)
    assert [step[:6] for step in steps] == (["step 2"] if terminal == "dumb" else [])
    assert told.startswith(f"{tmp_path}/bad.png: not a picture")
    assert result.startswith(f"{tmp_path}/run: ")


@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
def test_a_result_stands_on_a_line_of_its_own(photo, terminal):
    """On a terminal the bar is taken away before; one that cannot move its cursor gets none."""
    code, shown = on_terminal(
        "denoise", photo, "--sigma", "0.05", "-m", "ddrm", "--steps", 3, terminal=terminal
    )
    assert code == 0
    before, result = shown.split(str(photo).encode(), 1)
    assert b"consistent with the input" in result
    # Nothing, or the line was emptied and the cursor put at its beginning.
    assert before == b"" if terminal == "dumb" else before.endswith(b"\x1b[2K")
