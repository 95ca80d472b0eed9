"""Methods against the exact posterior of mixture priors: docs/benchmarks/exact_posterior*.md.

    python -m benchmarks.exact_posterior [METHOD...] [--prior far|three|told|gaussian] [--quick]

Every method at 20 and 100 evaluations of the denoiser and at its published budget, where it is
defined (--quick leaves that out). The figures are kept beside the page, so that methods can be
measured one at a time; METHOD may be a peer's, `benchmarks.peers.deepinv:DDRM`.
`restore compare --exact` gives any row of it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from restore.methods import Method, methods
from restore.methods.registry import find_method
from restore.solve import misfit
from restore.tasks.exact import (
    NOISES,
    OFFSET,
    OPERATOR_TEXT,
    OPERATORS,
    PRIORS,
    TOLD,
    WEIGHTS,
    ExactProblem,
    ExactRow,
)

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
MEASUREMENTS, SAMPLES = 6, 150
BUDGETS = (20, 100)

HEADER = """# Methods against the exact posterior: prior `{prior}`

Made by `python -m benchmarks.exact_posterior --prior {prior}`; `restore compare --exact` gives any
row of it.

The prior is {text}, on pictures of 8×8 (in colour 3×8×8) with correlated pixels: standard deviation
0.2, exponential correlation of length 2 pixels. {weights}For a linear measurement with Gaussian
noise the posterior has a closed form (`restore.GaussianMixture.posterior`). Each row has {samples}
samples for each of {measurements} measurements; the numbers are means over the measurements:

- **evaluations** of the denoiser for a sample: 20, 100, and the method's published budget (the
  last only where there is an SVD);
- **mean error**: root-mean-square error of the samples' mean, in standard deviations of the prior,
  ± its standard error over the measurements;
- **std observed**, **std null**: geometric mean of the ratio of the samples' standard deviation to
  the exact one, over the directions that the operator measures and over those that it does not.
  1 is right, below 1 is too certain. Noiseless measured directions have none (–);
- **sliced W2**: Wasserstein-2 distance to as many exact samples over 64 random directions, in
  standard deviations of the prior;
- **weight**: share of the samples in the first component;{weight_error}
- **residual**: root mean square of A x - y over what is measured, divided by the noise where there
  is some.

The row "exact" is the exact sampler with the same scores: the floor that {samples} samples allow.
`pnp` and `reddiff` give one estimate and have no spread. A method that does not fit a problem, or
is not defined with so few evaluations, has no row there. The methods of deepinv and azula, and the
authors' own code with its own levels, run on the same problems through `benchmarks.peers`.
{said}"""
SAID = {
    "far": """
What the table says:

- All methods meet noiseless measurements, except `dps`, `diffpir` and `reddiff`, which come close.
- `snips` and `scoresde` with their own budgets (2501 and 2000 evaluations) have the right spread
  within 3 per cent, in what is measured and in what is not.
- `snips` has 0.94 to 0.97 of the spread where y is noisy and 0.98 to 1.00 elsewhere at 100
  evaluations, and 0.85 to 0.93 and 0.93 to 1.01 at 20.
- With noise, `pigdm`, `ccdf`, `ddrm-cg` and `diffpir` have about the right spread at 100
  evaluations (`ilvr` is a tenth too narrow where y is noisy), and more evaluations bring `ddrm-cg`
  and `pigdm` closer. `daps` has 0.8 of it where y is noisy and 0.9 elsewhere, also at its own
  budget (1000): its steps are long.
- `scoresde` at 100 evaluations has the right spread of what is not measured (0.99 to 1.02), and
  0.75 to 0.88 of it where y is noisy (0.97 to 1.04 without an SVD, where its predictor has all
  evaluations); with 20 evaluations (ten levels) 0.6 to 1.1.
- With 20 evaluations, four levels, `daps` is up to three times too wide where y is noisy.
- `ddrm` (and `ddnm`, which with noise is the same) is too certain of what was measured with noise,
  the more so the more steps it takes, and on small singular values its mean drifts away. deepinv's
  also has √2 times less noise, and is more certain still.
- `ccdf` starts in the middle of the two components and cannot recover their weights.
- `reddiff` and `dps` do not model the noise and fit it; `reddiff` finds one mode.
- At its published budget `dps` (1000) has the right spread in the null space and a hundredth to a
  quarter of it where there is noise.
- `tds` and `mcgdiff` have 16 particles, so at 100 evaluations only 6 levels, far too few. With
  their own 100 levels (1600 evaluations) `tds` has 0.95 to 1.03 of the spread, in measured and
  unmeasured directions, and `mcgdiff` 0.92 to 1.00.
- azula's `mmps`, which uses the Jacobian of the denoiser as covariance, is the best in the table
  per evaluation, but each evaluation costs several times as much.
""",
    "told": """
What the table says, over the problems with noise:

- All methods that replace, project or pull x towards y at each level choose between the components
  while x is noisy, guided more by the prior than by y, and keep to that choice: the share of a
  component is off by 0.23 to 0.31 on average, however many steps they take, and the mean by 0.3 to
  0.4 standard deviations of the prior (0.7 for `daps` with four levels). `scoresde` with 2000
  evaluations, 1000 of them Langevin steps, is off by 0.17 and 0.2. `pnp` finds one component.
- `snips` with `variant=paper` improves slowly as its annealing slows: `theta` 80 instead of 9.1
  takes 0.25 to 0.17 at the same 2501 evaluations (60 samples, where there is an SVD).
- `pigdm`, whose guidance goes through the Jacobian of the denoiser, is off by 0.12 to 0.13.
- `tds` with 16 particles and 100 levels (1600 evaluations) matches the posterior: its shares are
  off by 0.02, like those of as many exact samples, and its means by 0.06 standard deviations.
  `mcgdiff` with as many is off by 0.18: its particles are drawn to y, and too few remain to choose
  from.
- `dps` at 1000 evaluations is off by 0.08, with a tenth of the spread.

So the spread of samples shows what is left open within one alternative. Between distant
alternatives that y itself tells apart, trust a particle sampler.
""",
}
WEIGHT_ERROR = """ **its error**: how far that is from the
  posterior's share, averaged over the measurements;"""
SPREADS = {
    "std_ratio_observed": "std observed",
    "std_ratio_null": "std null",
    "sliced_w2": "sliced W2",
    "weight": "weight",
}
TEXTS = {
    "gaussian": "one Gaussian",
    "three": "a mixture of three Gaussians",
    "far": "a mixture of two distant Gaussians",
    "told": "a mixture of two Gaussians that a measurement partly tells apart",
}


def budgets(cls: type[Method], *, published: bool) -> Iterator[Method]:
    """The method with each budget that it is defined for, and as published."""
    for evaluations in BUDGETS:
        try:
            yield cls().within(evaluations)
        except ValueError:
            continue
    if published:
        yield cls()


def measure(name: str, prior: str, *, quick: bool) -> list[dict[str, Any]]:
    """All rows of a method; of the exact sampler where that is its name."""
    rows = []
    for operator in OPERATORS:
        for noise_std in NOISES:
            problem = ExactProblem(operator, noise_std, prior, MEASUREMENTS)
            if name == "exact":
                rows.append(problem.exact(SAMPLES))
            elif misfit(find_method(name), problem.repeated(1)) is None:
                # By conjugate gradients a thousand steps take hours.
                published = not quick and problem.operator.svd_or_none() is not None
                rows += runs(problem, budgets(find_method(name), published=published))
    return [row.as_dict() for row in rows]


def runs(problem: ExactProblem, made: Iterator[Method]) -> Iterable[ExactRow]:
    """A row for each budget; a method that fails on a problem has none there."""
    done = {}
    for method in made:
        try:
            row = problem.run(method, SAMPLES)
        except (ValueError, RuntimeError) as error:
            print(f"{method.name} on {problem.name}, {problem.noise_std:g}: {error}", flush=True)
            continue
        done[row.steps] = row
    return done.values()


def page(rows: list[dict[str, Any]], prior: str) -> str:
    """The Markdown page of the rows."""
    weights, told = WEIGHTS[prior], prior == "told"
    shares = ", ".join(f"{weight:g}" for weight in weights)
    apart = (
        f"and by {TOLD:g} in its row space: a noisy measurement\nleaves "
        "the share of a component between 0 and 1, different for each measurement"
        if told
        else "so that no measurement tells them apart"
    )
    components = (
        f"Its components have the weights {shares} and differ by offsets of {OFFSET:g} (root mean "
        f"square)\nin the null space of the operator, {apart}. "
    )
    # Where y tells nothing, the posterior has the same share for each measurement.
    spreads = SPREADS | ({"weight_error": "its error"} if told else {})
    columns = ("evaluations", "mean error", *spreads.values(), "residual")
    lines = [
        HEADER.format(
            prior=prior,
            text=TEXTS[prior],
            said=SAID.get(prior, ""),
            weights=components if len(weights) > 1 else "",
            weight_error=WEIGHT_ERROR if told else "",
            samples=SAMPLES,
            measurements=MEASUREMENTS,
        )
    ]
    for operator, text in OPERATOR_TEXT.items():
        for noise_std in NOISES:
            lines.append(f"\n## {text[0].upper()}{text[1:]}, noise {noise_std:g}\n")
            lines.append(f"| | {' | '.join(columns)} |")
            lines.append(f"|---{'|---' * len(columns)}|")
            lines += [
                line(row, spreads)
                for row in rows
                if row["operator"] == operator and row["noise_std"] == noise_std
            ]
    return "\n".join(lines) + "\n"


def line(row: dict[str, Any], spreads: Iterable[str]) -> str:
    """One row of a table."""

    def number(name: str) -> str:
        return "–" if row[name] is None else f"{row[name]:.3f}"

    known = methods()
    estimate = row["method"] in known and not known[row["method"]].samples
    spread = ["–" if estimate else number(name) for name in spreads]
    error = f"{row['mean_error']:.3f} ± {row['mean_error_se']:.3f}"
    cells = [row["method"], str(row["steps"]), error, *spread, f"{row['residual']:.2g}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "methods",
        nargs="*",
        metavar="METHOD",
        default=[
            "exact",
            *(name for name, cls in methods().items() if "intervals" not in cls.needs),
        ],
    )
    parser.add_argument("--prior", choices=PRIORS, default="far")
    parser.add_argument("--quick", action="store_true", help="not the published budgets")
    given = parser.parse_args()
    torch.set_num_threads(1)
    suffix = "" if given.prior == "far" else f"_{given.prior}"
    kept_in = FOLDER / f"exact_posterior{suffix}.json"
    kept = json.loads(kept_in.read_text()) if kept_in.exists() else {}
    for name in given.methods:
        began = time.process_time()
        kept[name] = measure(name, given.prior, quick=given.quick)
        print(f"{name}: {len(kept[name])} rows, {time.process_time() - began:.0f} s", flush=True)
        ours = [known for known in ("exact", *methods()) if known in kept]
        order = [*ours, *(known for known in kept if known not in ours)]
        kept = {known: kept[known] for known in order}
        each = ",\n".join(
            f"{json.dumps(known)}: [\n" + ",\n".join(map(json.dumps, rows)) + "\n]"
            for known, rows in kept.items()
        )
        kept_in.write_text("{\n" + each + "\n}\n", encoding="utf-8")
    rows = [row for rows in kept.values() for row in rows]
    (FOLDER / f"exact_posterior{suffix}.md").write_text(page(rows, given.prior), encoding="utf-8")


if __name__ == "__main__":
    main()
