"""The guided, variational and particle methods by name, with the bundled model."""

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("method", "options", "evaluations"),
    [
        ("pigdm", ("--steps", 2), 2),
        ("dps", ("--steps", 2), 2),
        ("daps", ("--steps", 2, "--set", "ode_steps=2"), 4),
        ("reddiff", ("--steps", 2), 2),
        ("tds", ("--steps", 2, "--particles", 3), 6),
        ("mcgdiff", ("--steps", 2, "--particles", 3), 6),
    ],
)
def test_restores_from_the_classical_estimate(restore, photo, method, options, evaluations):
    done = restore(
        "super-resolve", photo, "--scale", 2, "-m", method, "--average", 1, *options, "--json"
    )
    assert done.code == 0
    (record,) = done.records
    assert (record["method"], record["evaluations"]) == (method, evaluations)
    sidecar = json.loads(Path(record["sidecar"]).read_text())
    assert sidecar["parameters"]["sigma_max"] == 0.3
    if "--particles" in options:
        assert sidecar["parameters"]["particles"] == 3


def test_particles_are_refused_where_there_are_none(restore, photo):
    done = restore("super-resolve", photo, "--scale", 2, "-m", "ddrm", "--particles", 3)
    assert done.code == 2
    assert "particles" in done.err
