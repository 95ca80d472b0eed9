"""HaarPSI against piq 0.8.0 (values of make_haarpsi.py)."""

from __future__ import annotations

import json
from pathlib import Path

import haarpsi_cases
import pytest

from restore.metrics import haarpsi

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "haarpsi.json").read_text())


CASES = haarpsi_cases.cases()


def test_every_case_is_stored() -> None:
    assert CASES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("key", EXPECTED)
def test_agrees_with_piq(key: str) -> None:
    assert haarpsi(*CASES[key]) == pytest.approx(EXPECTED[key], abs=1e-5)
