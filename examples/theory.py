"""Draw the figures of the chapter on the theory: `python examples/theory.py [--short]`."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from theory_figures import (
    denoising,
    forward,
    likelihood,
    neural_ode,
    parameterisations,
    reverse,
    sampling,
    score_matching,
)
from theory_figures.chart import write

FIGURES = {
    "forward": forward.figure,
    "reverse": reverse.figure,
    "score-matching": score_matching.figure,
    "denoising": denoising.figure,
    "parameterisations": parameterisations.figure,
    "sampling": sampling.figure,
    "neural-ode": neural_ode.figure,
    "likelihood": likelihood.figure,
}
PAGES = Path(__file__).parents[1] / "docs" / "images" / "theory"


def main() -> None:
    """Write one SVG for each page; the short ones go to a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=FIGURES, help="one figure; default: all")
    parser.add_argument("--short", action="store_true", help="a few seconds, coarse figures")
    parser.add_argument("-o", "--output", type=Path, help="folder; default: that of the pages")
    options = parser.parse_args()
    temporary = tempfile.TemporaryDirectory()
    folder = options.output or (Path(temporary.name) if options.short else PAGES)
    folder.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else FIGURES:
        begin = time.perf_counter()
        torch.manual_seed(0)
        write(folder / f"{name}.svg", FIGURES[name](options.short))
        print(f"{folder / name}.svg: {time.perf_counter() - begin:.1f} s", flush=True)
    temporary.cleanup()


if __name__ == "__main__":
    main()
