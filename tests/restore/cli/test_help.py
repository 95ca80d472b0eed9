"""What `--help` shows: sections, options that a verb has, and examples that can be copied."""

import pytest

from restore.cli import app as commands
from restore.tasks.ct import CT
from restore.tasks.mri import MRI

VERBS = [
    command.callback.__name__.replace("_", "-") for command in commands.app.registered_commands
]
OF_MODELS = [f"models {command.name}" for command in commands.models.registered_commands]


def sections(text):
    """The lines under each heading of a help text."""
    found, lines = {}, []
    for line in text.splitlines():
        if line.endswith(":") and line.strip()[0].isupper():
            lines = found.setdefault(line.strip(), [])
        else:
            lines.append(line)
    return found


@pytest.fixture
def shown(restore, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *words: restore(*words, "--help").out


@pytest.mark.parametrize("verb", [*VERBS, "batch", "models", *OF_MODELS])
def test_ends_with_two_examples_each_on_a_line(shown, verb):
    examples = sections(shown(*verb.split()))["Examples:"]
    assert len(examples) == 2
    assert all(line.strip().startswith(f"restore {verb}") for line in examples)


def test_options_stand_in_sections(shown):
    found = sections(shown("inpaint"))
    assert any("--mask" in line for line in found["Options:"])
    assert any("--method" in line for line in found["Method:"])
    assert any("--output" in line for line in found["Files:"])
    assert any("--device" in line for line in found["Machine:"])


@pytest.mark.parametrize(("verb", "task"), [("mri", MRI), ("ct", CT)])
def test_a_scan_has_its_own_formats_and_no_options_of_pictures(shown, verb, task):
    text = shown(verb)
    formats = [suffix.lstrip(".") for suffix in task.suffixes if suffix != ".tiff"]
    assert f"--ext {'|'.join(formats)}" in text
    assert not any(option in text for option in ("--quality", "--init", "--sigma-range"))
