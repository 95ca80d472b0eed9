"""Make a safetensors file of an EDM network, whose published file is a pickle that holds code.

    git clone https://github.com/NVlabs/edm
    python tools/convert_edm.py edm edm-ffhq-64x64-uncond-vp.pkl ffhq.safetensors
    restore models info ffhq.safetensors

Unpickling runs the code in the file, with all your rights: convert only what you trust, from where
its authors publish it, best in a container without network. `restore` itself never unpickles.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
from pathlib import Path

from safetensors.torch import save_file

# What each preconditioning is made with; all are attributes of the network.
KEPT = {
    "EDMPrecond": ("sigma_data",),
    "VPPrecond": ("beta_d", "beta_min", "M", "epsilon_t"),
    "VEPrecond": ("sigma_min", "sigma_max"),
    "iDDPMPrecond": ("C_1", "C_2", "M"),
}


def main() -> None:
    """Convert one file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clone", type=Path, help="a clone of NVlabs/edm, whose classes are needed")
    parser.add_argument("pickle", type=Path, help="the network, which you trust")
    parser.add_argument("output", type=Path, help="the safetensors file to write")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.clone))
    with arguments.pickle.open("rb") as stream:
        network = pickle.load(stream)["ema"]
    kind = type(network).__name__
    kept = ("img_resolution", "img_channels", "label_dim", *KEPT[kind])
    config = {"class_name": kind, "model_type": type(network.model).__name__}
    config |= {name: getattr(network, name) for name in kept}
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, arguments.output, metadata={"config": json.dumps(config)})


if __name__ == "__main__":
    main()
