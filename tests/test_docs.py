"""The examples of the README and of the documentation run as printed.

In each page, in order and in one folder that holds the sample files (at a quarter of their size, to
be quick): every ``python`` block is executed (the blocks of a page share their names), and of every
``console`` block the lines that begin with ``$ restore``. A block after ``<!-- no-run -->`` is left
out. The README's commands are run by a shell, the others in this process, which is quicker: torch
is there already.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from typer.testing import CliRunner

from restore.cli.app import app

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "data" / "samples"
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
]
BLOCK = re.compile(
    r"^(?P<skip><!-- no-run -->\n+)?```(?P<kind>python|console)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\$ (restore (?:.*\\\n)*.*)$", re.MULTILINE)


class Example(NamedTuple):
    """What to run, and the line of the page where it stands."""

    kind: str
    text: str
    line: int


def examples(page: str) -> Iterator[Example]:
    """The examples of a page that are to run."""
    for block in BLOCK.finditer(page):
        start = page.count("\n", 0, block.start("text")) + 1
        if block["skip"]:
            continue
        if block["kind"] == "python":
            yield Example("python", block["text"], start)
            continue
        for command in COMMAND.finditer(block["text"]):
            line = start + block["text"].count("\n", 0, command.start())
            yield Example("console", command[1], line)


def write_samples(folder: Path) -> None:
    """The sample pictures at a quarter of their size; a mask keeps its thinnest scratches.

    The scans are as they are.
    """
    for path in [*SAMPLES.glob("*.h5"), *SAMPLES.glob("*.dcm")]:
        shutil.copy(path, folder)
    for path in SAMPLES.glob("*.png"):
        with Image.open(path) as picture:
            reduced = picture.reduce(4)
        if path.stem.endswith("_mask"):
            reduced = reduced.point(lambda level: 255 if level else 0)
        reduced.save(folder / path.name)


def by_shell(command: str) -> tuple[int, str]:
    """The exit code and the output of a command, run as a user does."""
    done = subprocess.run(
        ["bash", "-ec", command], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def in_process(command: str) -> tuple[int, str]:
    """Likewise of a line that begins with restore."""
    program, *arguments = shlex.split(command.replace("\\\n", " "))
    assert program == "restore"
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, f"{done.output}{done.exception or ''}"


def run(page: str, name: str, command: Callable[[str], tuple[int, str]] = in_process) -> None:
    """Run the examples of a page in the current folder.

    Raises:
        AssertionError: if a command fails; names the page and the line.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for example in examples(page):
        if example.kind == "python":
            source = "\n" * (example.line - 1) + example.text
            exec(compile(source, name, "exec"), names)
            continue
        code, output = command(example.text)
        assert code == 0, f"{name}:{example.line}: {example.text}\n{output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_samples(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=os.pathsep)
    command = by_shell if page.name == "README.md" else in_process
    run(page.read_text(encoding="utf-8"), page.name, command)


def test_readme_has_examples() -> None:
    kinds = {example.kind for example in examples((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert kinds == {"python", "console"}


PAGE = """\
```console
$ restore --help
$ ls nowhere
```

<!-- no-run -->
```console
$ restore no-such-verb
```

```python
value = 1
```
"""


def test_examples_are_found_with_their_lines() -> None:
    assert list(examples(PAGE)) == [
        Example("console", "restore --help", 2),
        Example("python", "value = 1\n", 12),
    ]


@pytest.mark.parametrize("command", [by_shell, in_process])
@pytest.mark.parametrize(
    "broken", ["```console\n$ restore no-such-verb\n```\n", "```python\nassert False\n```\n"]
)
def test_a_broken_example_fails(
    broken: str, command: Callable[[str], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=os.pathsep)
    with pytest.raises(AssertionError):
        run(broken, "page", command)


def test_each_verb_is_documented() -> None:
    from typer.main import get_command

    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    verbs = get_command(app).commands  # type: ignore[attr-defined]
    assert set(verbs) == set(re.findall(r"^## `([\w-]+)`$", page, re.MULTILINE))


def test_each_method_is_documented() -> None:
    import restore

    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert set(restore.methods()) <= set(re.findall(r"^\| `([\w-]+)`", page, re.MULTILINE))
