r"""Other libraries' methods on our operators, measurements and denoisers, for comparison.

Each adapter is a `Method`, so that it can stand wherever one of ours can:

    pip install --no-deps --target FOLDER torchvision==0.28.0 deepinv==0.5.0 azula==0.11.1 gdown \
        natsort tqdm einops h5py matplotlib contourpy cycler fonttools kiwisolver pyparsing \
        python-dateutil six
    PYTHONPATH=FOLDER restore compare --exact --operator mask --sigma 0.05 -m ddrm \
        -m benchmarks.peers.deepinv:DDRM -m benchmarks.peers.azula:MMPS

run in this repository. FOLDER is their own: nothing of it becomes a dependency. Their random
numbers are torch's own, seeded by ours: a run can be repeated, but not batch by batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from restore.noise import Noise

# torchvision's compiled operations do not load beside the CPU build of torch. Kept alive here.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _operation in ("nms", "qnms"):
    _LIBRARY.define(_operation + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def seed_torch(noise: Noise, y: Tensor) -> None:
    """Seed torch's generator by the method's noise."""
    torch.manual_seed(int(noise(y).abs().sum().double() * 1e6) % 2**31)
