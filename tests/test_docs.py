"""The examples of the README and of the documentation run as printed.

In each page, in order and in one folder that holds the sample files (at a quarter of their size, to
be quick): every ``python`` block is executed (the blocks of a page share their names), and of every
``console`` block the lines that begin with ``$ restore``. A block after ``<!-- no-run -->`` is left
out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

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


def run(page: str, name: str, folder: Path) -> None:
    """Run the examples of a page in a folder.

    Raises:
        AssertionError: if a command fails; names the page and the line.
    """
    scripts = sysconfig.get_path("scripts")
    environment = os.environ | {"PATH": scripts + os.pathsep + os.environ["PATH"], "COLUMNS": "100"}
    names: dict[str, Any] = {"__name__": "__main__"}
    for example in examples(page):
        if example.kind == "python":
            source = "\n" * (example.line - 1) + example.text
            exec(compile(source, name, "exec"), names)
            continue
        done = subprocess.run(
            ["bash", "-ec", example.text],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (
            f"{name}:{example.line}: {example.text}\n{done.stdout}{done.stderr}"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_samples(tmp_path)
    monkeypatch.chdir(tmp_path)
    run(page.read_text(encoding="utf-8"), page.name, tmp_path)


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


@pytest.mark.parametrize(
    "broken", ["```console\n$ restore no-such-verb\n```\n", "```python\nassert False\n```\n"]
)
def test_a_broken_example_fails(broken: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        run(broken, "page", tmp_path)


def test_each_verb_is_documented() -> None:
    from typer.main import get_command

    from restore.cli.app import app

    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    verbs = get_command(app).commands  # type: ignore[attr-defined]
    assert set(verbs) == set(re.findall(r"^## `([\w-]+)`$", page, re.MULTILINE))


def test_each_method_is_documented() -> None:
    import restore

    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert set(restore.methods()) <= set(re.findall(r"^\| `([\w-]+)`", page, re.MULTILINE))
