"""A few hundred damaged CT scans; `benchmarks/fuzz.py --sinograms` runs thousands."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

from fuzz_mutations import mutated
from fuzz_sinograms import sinogram_outcome, sinogram_seeds


def test_seeds_are_read_whole_and_damaged_ones_end_as_one_line(tmp_path: Path) -> None:
    made = sinogram_seeds()
    for name, data in made.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert sinogram_outcome(path) == "read", name
    names = sorted(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(200):
            name = names[number % len(names)]
            path = tmp_path / name
            rng = random.Random(f"sinogram {number}")
            path.write_bytes(mutated(rng, made[name], list(made.values())))
            sinogram_outcome(path)
