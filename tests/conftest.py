"""Options and fixtures of all tests."""

from __future__ import annotations

import functools
import gc
import os
import random

import numpy as np
import pytest
import torch
import typer.testing
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="torch device that the tests run on")


def pytest_configure() -> None:
    # The tensors are small: a second thread costs more in waiting than it computes.
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the commands that tests run
    # The command of an app is put together once and not at each of its two thousand runs.
    typer.testing._get_command = functools.cache(typer.testing._get_command)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The longest ones first: at the end one process would work and the others wait.
    items.sort(key=lambda item: item.path.name != "test_docs.py")


def pytest_collection_finish() -> None:
    # What is there by now stays; collecting garbage, as every row of a comparison does, need not
    # look through it.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.config.getoption("--device"))


@pytest.fixture(autouse=True)
def seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
