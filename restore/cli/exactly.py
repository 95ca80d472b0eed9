"""How `restore compare --exact` runs: methods against exact posteriors, without pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from restore.cli.comparing import parameters_of
from restore.cli.console import SOME_FAILED, print_error, progress_bar, without_bar
from restore.cli.figures import Shown, evaluations_of, print_table, write_csv
from restore.errors import FAILURES, InputError, in_one_line
from restore.report.columns import Column
from restore.tasks.settings import parse_sigma

if TYPE_CHECKING:
    from restore.methods.base import Method
    from restore.tasks.exact import ExactProblem

SAMPLES = 250
COLUMNS = {
    "steps": Column("evaluations", "{:.0f}"),
    "mean_error": Column("mean error", "{:.3f}"),
    "std_ratio_observed": Column("std observed", "{:.3f}"),
    "std_ratio_null": Column("std null", "{:.3f}"),
    "sliced_w2": Column("sliced W2", "{:.3f}"),
    "weight": Column("weight", "{:.3f}"),
    "weight_error": Column("its error", "{:.3f}"),
    "residual": Column("residual", "{:.2g}"),
}

Row = dict[str, Any]


def compare_exactly(
    shown: Shown,
    *,
    names: Sequence[str],
    operators: Sequence[str],
    sigmas: Sequence[str],
    sigma_range: str,
    prior: str,
    steps: int | None,
    nfe: str | None,
    samples: int | None,
    parameters: Sequence[str],
    seed: int,
) -> int:
    """Compare with exact posteriors; returns the exit code.

    Raises:
        InputError: one line that names the option.
    """
    from restore.methods.registry import methods
    from restore.solve import misfit
    from restore.tasks.exact import NOISES, OPERATORS, PRIORS, ExactProblem
    from restore.tasks.plan import check_own

    for operator in operators:
        if operator not in OPERATORS:
            raise InputError(f"--operator {operator}: expected one of {', '.join(OPERATORS)}")
    if prior not in PRIORS:
        raise InputError(f"--prior {prior}: expected one of {', '.join(PRIORS)}")
    if steps is not None and nfe is not None:
        raise InputError("--steps and --nfe: expected one of them")
    shown.check()
    levels = [parse_sigma(text, sigma_range) for text in sigmas]
    if "auto" in levels:
        raise InputError("--sigma auto: nothing to estimate; expected a level with --exact")
    noises = [float(level) for level in levels] or NOISES
    own = parameters_of(parameters)
    budget = evaluations_of(nfe, own)
    chosen = {name: _method(name, steps, budget, own.get(name, {})) for name in names or methods()}
    for name, values in own.items():
        check_own(name, values, names or tuple(methods()))

    problems = [
        ExactProblem(name, noise, prior) for name in operators or OPERATORS for noise in noises
    ]
    single = [problem.repeated(1) for problem in problems]

    def fits(method: Method | type[Method]) -> bool:
        return any(misfit(method, problem) is None for problem in single)

    missing = [
        name
        for name in names
        if not (isinstance(method := chosen[name], Exception) or fits(method))
    ]
    if missing:
        fit = [name for name, cls in methods().items() if fits(cls)]
        raise InputError(
            f"--method {', '.join(missing)}: fits none of these problems; expected one of "
            f"{', '.join(fit)}"
        )
    rows = _compared(problems, chosen, samples or SAMPLES, seed, shown, named=bool(names))
    if shown.csv is not None:
        write_csv(shown.csv, rows)
    if not (shown.json_lines or shown.quiet):
        good = [row for row in rows if "error" not in row]
        # Where y does not tell the components apart the posterior's share is that of "exact".
        columns = {key: COLUMNS[key] for key in COLUMNS if key != "weight_error" or prior == "told"}
        print_table(good, ("operator", "noise_std", "method"), columns)
    return SOME_FAILED if any("error" in row for row in rows) else 0


def _compared(
    problems: Sequence[ExactProblem],
    chosen: Mapping[str, Method | TypeError | ValueError],
    samples: int,
    seed: int,
    shown: Shown,
    *,
    named: bool,
) -> list[Row]:
    """Every row, told of as it is made; of methods that were `named` also why one does not fit."""
    rows: list[Row] = []
    with progress_bar(visible=not (shown.quiet or shown.json_lines)) as progress:
        bar = progress.add_task("methods", total=len(problems) * len(chosen), note="")
        for problem in problems:
            name, noise_std = problem.name, problem.noise_std
            rows.append(problem.exact(samples).as_dict())
            for row in _rows(problem, chosen, samples, seed):
                progress.update(bar, advance=1, note=f"{name} {noise_std:g}")
                if isinstance(row, str):
                    if named and not shown.quiet:
                        with without_bar(progress):
                            print_error(f"{name}, noise {noise_std:g}: {row}")
                    continue
                rows.append(row)
                if shown.json_lines:
                    typer.echo(json.dumps(row))
                elif "error" in row:
                    failed = f"{name}, noise {noise_std:g}: {row['method']}: {row['error']}"
                    with without_bar(progress):
                        print_error(failed)
    return rows


def _method(
    name: str, steps: int | None, budget: int | None, parameters: Mapping[str, Any]
) -> Method | TypeError | ValueError:
    """The method with its steps and parameters, or why it cannot have them.

    Raises:
        InputError: if there is no such method.
    """
    from restore.methods.registry import find_method
    from restore.solve import made_method

    try:
        cls = find_method(name)
    except ValueError as error:
        raise InputError(f"--method {name}: {error}") from error
    given = dict(parameters) if steps is None else {"steps": steps, **parameters}
    try:
        method = made_method(cls, given)
        return method if "steps" in given or budget is None else method.within(budget)
    except (TypeError, ValueError) as error:
        return error


def _rows(
    problem: ExactProblem,
    chosen: Mapping[str, Method | TypeError | ValueError],
    samples: int,
    seed: int,
) -> Iterator[Row | str]:
    """A row for each method, with `error` where it failed; where it does not fit, why."""
    from restore.solve import misfit

    for name, method in chosen.items():
        failed = {"method": name, "operator": problem.name, "noise_std": problem.noise_std}
        if isinstance(method, TypeError | ValueError):
            yield failed | {"error": in_one_line(method)}
            continue
        if (unfit := misfit(method, problem.repeated(1))) is not None:
            yield f"{name} needs {unfit}"
            continue
        try:
            row = problem.run(method, samples, seed=seed).as_dict() | {"method": name}
            if not math.isfinite(row["mean_error"]):
                raise ArithmeticError("the samples have values that are not finite")
        except (Exception, SystemExit) as error:  # whatever it is, the other methods go on
            FAILURES.debug("%s: %s failed", problem.name, name, exc_info=error)
            yield failed | {"error": in_one_line(error)}
        else:
            yield row
