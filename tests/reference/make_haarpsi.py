"""Write haarpsi.json: HaarPSI by piq 0.8.0, in double precision.

    pip install --no-deps --target piq_only piq==0.8.0 torchvision==0.28.0
    PYTHONPATH=piq_only python tests/reference/make_haarpsi.py

piq imports torchvision, whose compiled operators do not load beside every build of torch and are
not needed: their names are declared first.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from haarpsi_cases import cases

_TORCHVISION = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _TORCHVISION.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def main() -> None:
    import piq  # type: ignore[import-not-found]

    pairs = {key: [torch.from_numpy(x)[None] for x in pair] for key, pair in cases().items()}
    values = {key: float(piq.haarpsi(a, b, data_range=1.0)) for key, (a, b) in pairs.items()}
    # Equal pictures are 1 by definition; piq's logarithm has rounding there.
    text = json.dumps({key: round(value, 7) for key, value in values.items()}, indent=1)
    Path(__file__).with_name("haarpsi.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
