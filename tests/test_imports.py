"""What is imported when: start-up stays light, and some modules never come in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("operators", "restore", "examples")
    for path in (ROOT / folder).rglob("*.py")
)
EVERY_MODULE = """
import importlib, pkgutil, operators, restore
for package in (operators, restore):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a new interpreter has loaded after running the code."""
    report = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["restore", "restore.cli.app"])
def test_start_up_is_light(module: str) -> None:
    heavy = {"torch", "numpy", "scipy", "skimage", "PIL", "pydantic", "pydicom", "odl", "jpeglib"}
    assert not heavy & loaded_by(f"import {module}")


def test_operators_need_torch_and_numpy_only() -> None:
    loaded = loaded_by("import operators")
    assert "torch" in loaded
    assert not {"restore", "PIL", "scipy", "skimage", "odl", "pydantic"} & loaded


def test_public_names_are_listed_before_they_are_loaded() -> None:
    code = "import restore; assert set(restore.__all__) <= set(dir(restore))"
    assert "torch" not in loaded_by(code)


def test_torchvision_is_never_imported() -> None:
    loaded = loaded_by(EVERY_MODULE)
    assert "restore" in loaded
    assert "torchvision" not in loaded


def imports_and_calls(path: Path) -> tuple[set[str], list[ast.Call]]:
    """Top-level names that a source file imports anywhere, and its calls."""
    imports: set[str] = set()
    calls = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imports |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imports.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call):
            calls.append(node)
    return imports, calls


def test_sources_never_unpickle_nor_use_torchvision() -> None:
    assert len(SOURCES) > 20
    for path in SOURCES:
        imports, calls = imports_and_calls(path)
        assert not {"torchvision", "pickle", "dill", "joblib", "shelve"} & imports, path
        for call in calls:
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert keywords.get("allow_pickle", "False") == "False", path
            if ast.unparse(call.func) == "torch.load":
                assert keywords.get("weights_only") == "True", path
