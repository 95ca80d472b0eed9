"""The page that `benchmarks.methods` makes of its rows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

# Of which the page says what they gain over biharmonic inpainting.
GAINS = {
    "DDRM": "ddrm",
    "ScoreSDE, CCDF": "scoresde",  # which are one sampler where they start from an estimate
    "SNIPS": "snips",
    "ILVR": "ilvr",
    "`pnp`, an estimate": "pnp",
}
ESTIMATE = "pnp"

HEADER = """# Methods on photographs

Made by `python -m benchmarks.methods PICTURES`, with the model `{model}` ({sha}…), on centre
crops of pictures of BSDS500 `val`. All methods have the same operator, measurement, noise level,
denoiser and seed.

- **20**, **100**: evaluations of the denoiser for a sample. Methods that can start from an estimate
  start from the classical one with noise of σ = {levels} added; without noise in y those with an η
  take η = 1 (the added noise is then forgotten soonest). The rest is as published.
- **published**: the method's own defaults, from the prior's largest level.
- **evaluations**: of the denoiser for a sample × samples.
- **pictures**: how many; fewer where a run takes minutes each.
- **PSNR**: of the mean of the samples (or of the one estimate that a method gives). **One sample**
  can be 3 dB below the posterior mean, for no fault of its own.
- **gain**: of that PSNR over the classical estimate of the same pictures, and its standard error.
  By it rows are in order, since fewer pictures can be easier ones.
- **residual**: root mean square of A x - y of a sample.
- **dtype**: the precision in which the network multiplied, which moves a row by [a few thousandths
  of a dB](precision.md). Some processors have no bfloat16.
- **overhead**: time outside the denoiser relative to the time inside it; a gradient counts as
  outside. In float32 the network takes twice as long, and the share is half. Only the rows of 20
  evaluations with blurs and the Hadamard transform show the present state: 2 to 5 % without a
  gradient. Others were measured when [random numbers](../decisions/0017-random-numbers.md) and
  transforms took twice as long.

The sampler has one seed for all pictures; another one moves the mean of a row by up to 0.1 dB.

What is missing has not been run. Published budgets of 1000 evaluations and more, which take minutes
a picture, are on fewer pictures, and on four crops of 64×64, as are particle samplers, the methods
of deepinv 0.5 and azula 0.11 (`deepinv:…`, `azula:…`) and the authors' own code (`authors:…`).
These have the same operator, measurement, model and number of evaluations, but their own levels,
and start from noise. A crop of 64×64 gives a method less to go by than a whole picture.

- SNIPS, ScoreSDE, CCDF and DAPS leave [no more noise in x than the network is
  told](../decisions/0020-no-more-noise-than-the-network-is-told.md). With its published steps SNIPS
  came to 12 dB on 4× enlargement, and DAPS with the whole Gaussian of its algorithm to 8. SNIPS,
  ScoreSDE and CCDF [lose no texture](../decisions/0021-noise-in-two-halves.md) by what they draw
  anew, so that one sample has less PSNR than before, and the mean of many more.
- Started from an estimate, ScoreSDE is CCDF: at 256×256 their rows are equal to the last digit. On
  half of the pixels, where eight samples are drawn, CCDF was therefore run on six pictures only.
- Where the measurement is noisier than x, DDRM adds the same residual at each step. Started from an
  estimate, all its steps lie below σ = 0.2: with a noisy blur 100 of them are 6 dB worse than 20.
  Over all levels, as deepinv's runs, 100 lose 0.3 to 0.8 dB. `ddrm-cg` gains with steps.
- deepinv's DDRM needs singular vectors of the null space, so it runs on only half of the problems.

On half of the pixels, 256×256, the mean of eight samples gains over biharmonic inpainting:

| method | 20 evaluations | 100 evaluations | 100, infinitely many samples |
|---|---|---|---|
{gains}

Part of the differences is arithmetic: the mean of eight exact samples has 1 + 1/8 of the
posterior mean's squared error, 0.5 dB less PSNR. The last column is extrapolated from one sample
and eight; what is then still lacking is due to the method. What is not measured is drawn while y
still carries the noise of the level, and the ancestral steps of ILVR keep most of that. Langevin
steps in between draw it anew (ScoreSDE, CCDF, SNIPS), as DDRM with η = 1 does at each level, with
less spread than the posterior has. With noise in y, η = 1 costs DDRM 0.6 to 1.3 dB: the residual
of directions that are noisier than x is then not used.

Started from noise of the prior's largest level, σ = 50, as in **published** budgets, most methods
are worse than with 20 evaluations from an estimate: the model has learnt patches, and what it
makes of such noise the measurement holds together only in part.
"""


def page(
    kept: dict[str, Any], model: str, sha: str, problems: Mapping[str, tuple[str, str]]
) -> str:
    """The Markdown page.

    Args:
        kept: rows by `CROP/PROBLEM/PICTURE/METHOD/SETTING`.
        model: by name.
        sha: of its weights.
        problems: by name, their titles and the name of the classical estimate.
    """
    levels = "0.1 to 0.5"
    gains = "\n".join(
        f"| {title} | {gain(kept, method, 20)} | {gain(kept, method, 100)} | "
        f"{gain(kept, method, 100, unlimited=True) if method != ESTIMATE else ''} |"
        for title, method in GAINS.items()
    )
    lines = [HEADER.format(model=model, sha=sha[:12], levels=levels, gains=gains)]
    sizes = sorted({int(key.split("/")[0]) for key in kept}, reverse=True)
    for size in sizes:
        for name, (title, classical) in problems.items():
            here = {key: row for key, row in kept.items() if key.startswith(f"{size}/{name}/")}
            if here:
                lines.append(f"\n## {title}, {size}×{size}\n")
                lines += table(here, classical)
    return "\n".join(lines) + "\n"


def gain(kept: dict[str, Any], method: str, budget: int, *, unlimited: bool = False) -> str:
    """Mean PSNR above biharmonic on half of the pixels, 256×256; a dash before all are done.

    Args:
        kept: the rows.
        method: by name.
        budget: evaluations of a sample.
        unlimited: of infinitely many samples: the error of the mean of n is m + v/n.
    """

    def psnr_of(row: dict[str, Any]) -> float:
        if not unlimited:
            return float(row["psnr"])
        mean, sample = (10 ** (-row[name] / 10) for name in ("psnr", "psnr_sample"))
        n = row["samples"]
        return -10 * math.log10((n * mean - sample) / (n - 1))

    differences = [
        psnr_of(row) - kept[key.replace(f"/{method}/{budget}", "/classical/0")]["psnr"]
        for key, row in kept.items()
        if key.startswith("256/random/") and key.endswith(f"/{method}/{budget}")
    ]
    pictures = sum(key.startswith("256/random/") and "/classical/" in key for key in kept)
    if len(differences) < max(pictures, 1):
        return "–"
    return f"{statistics.fmean(differences):+.2f} dB"


def table(rows: dict[str, Any], classical: str) -> list[str]:
    """A row for each method and setting: means over its pictures, the largest gain first."""
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, row in rows.items():
        picture, method, setting = key.rsplit("/", 2)
        row = row | {"over": row.get("psnr", math.nan) - rows[f"{picture}/classical/0"]["psnr"]}
        grouped.setdefault((method, setting), []).append(row)
    found = []
    for (method, setting), group in grouped.items():
        good = [row for row in group if "error" not in row]
        if not good:
            found.append((-math.inf, f"| {method} | {setting} | fails: {group[0]['error']} |"))
            continue

        def mean(name: str, good: list[dict[str, Any]] = good) -> float:
            return statistics.fmean(row[name] for row in good)

        count, quality, likeness = str(len(good)), f"{mean('psnr'):.2f}", f"{mean('ssim'):.3f}"
        if method == "classical":
            cells = [classical, "", "", count, quality, "", "", likeness, "", "", ""]
        else:
            cells = [
                method,
                setting,
                f"{mean('evaluations'):.0f} × {good[0]['samples']}",
                count,
                quality,
                with_error([row["over"] for row in good]),
                f"{mean('psnr_sample'):.2f}",
                likeness,
                f"{mean('residual'):.1e}",
                ", ".join(sorted({row["dtype"] for row in good})),
                f"{100 * mean('overhead'):.0f} %",
            ]
        found.append((mean("over"), f"| {' | '.join(cells)} |"))
    names = (
        "method | setting | evaluations | pictures | PSNR | gain | one sample | SSIM | residual"
        " | dtype | overhead"
    )
    head = [f"| {names} |", "|---" * 11 + "|"]
    return head + [line for _, line in sorted(found, reverse=True)]


def with_error(values: list[float]) -> str:
    """The mean of differences and its standard error, where there is one."""
    mean = f"{statistics.fmean(values):+.2f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {statistics.stdev(values) / len(values) ** 0.5:.2f}"
