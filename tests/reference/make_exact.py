"""Keep the figures of methods against exact posteriors: writes exact_posterior.json.

    python tests/reference/make_exact.py [METHOD...]

Run it for a method that is new, or whose mathematics was changed on purpose; the others' figures
stay. `python -m benchmarks.exact_posterior` makes the table that people read.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import exact_cases as cases
import torch

from restore.methods import methods

HERE = Path(__file__).parent
STORED = HERE / "exact_posterior.json"


def main() -> None:
    torch.set_num_threads(1)
    kept = json.loads(STORED.read_text()) if STORED.exists() else {}
    for name in sys.argv[1:] or methods():
        kept = {key: value for key, value in kept.items() if key.split("/")[0] != name}
        for key in cases.keys(name):
            rows = [
                cases.figures(name, cases.run(key, replicate))
                for replicate in range(cases.REPLICATES)
            ]
            kept["/".join(map(str, key))] = {
                figure: [
                    round(statistics.mean(row[figure] for row in rows), 5),
                    round(statistics.stdev(row[figure] for row in rows), 5),
                ]
                for figure in rows[0]
            }
        print(name, sum(key.startswith(f"{name}/") for key in kept), flush=True)
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(kept[key])}" for key in sorted(kept))
    STORED.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
