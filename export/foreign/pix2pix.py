"""`netG` of the pix2pix reference code: U-Nets of any depth (unet_256 has eight levels).

Levels are nested there: `model.model.1.model.3.model.3...`; each has a strided convolution down,
the next level, and a transposed convolution up. What is handed across comes before what comes from
below in their concatenation, behind it in ours. Batch normalization is applied with the picture's
own statistics (the reference code does not switch to evaluation unless told to), which is instance
normalization; dropout, its only noise there, is off here.
Source: junyanz/pytorch-CycleGAN-and-pix2pix, models/networks.py (names and shapes).
"""

import torch

from . import Converted, State, without_statistics


class Pix2Pix:
    """See the module."""

    label = "U-Net netG of pytorch-CycleGAN-and-pix2pix"

    @staticmethod
    def matches(state: State) -> bool:
        """By the names of the two outermost convolutions down."""
        return {"model.model.0.weight", "model.model.1.model.1.weight"} <= set(state)

    @staticmethod
    def convert(state: State) -> Converted:
        """See `Family`."""
        state = without_statistics(state)
        prefixes = ["model.model"]
        while any(name.startswith(prefixes[-1] + ".") for name in state):
            inner = f"{prefixes[-1]}.{1 if len(prefixes) == 1 else 3}.model"
            if f"{inner}.1.weight" not in state:
                break
            prefixes.append(inner)
        depth = len(prefixes)
        tensors: State = {}
        for level, prefix in enumerate(prefixes):
            outermost, innermost = level == 0, level == depth - 1
            # Behind our LeakyReLU, ReLU.
            down = f"{prefix}.{0 if outermost else 1}"
            _conv(tensors, f"down.{level}.{0 if outermost else 1}", state, down, 0)
            up = f"{prefix}.{3 if outermost or innermost else 5}"
            ours = f"up.{depth - 1 - level}"
            _conv(tensors, f"{ours}.1", state, up, 1)
            if not innermost:  # two kinds of channels come in
                weight = tensors[f"{ours}.1.weight"]
                tensors[f"{ours}.1.weight"] = torch.cat(weight.chunk(2)[::-1])
            if not outermost and not innermost:
                _norm(tensors, f"down.{level}.2", state, f"{prefix}.2", f"{down}.weight", 0)
            if not outermost:
                _norm(
                    tensors,
                    f"{ours}.2",
                    state,
                    f"{prefix}.{4 if innermost else 6}",
                    f"{up}.weight",
                    1,
                )
        network = {"name": "unet_pix2pix", "depth": depth}
        network["width"] = state["model.model.0.weight"].shape[0]
        return Converted(network, tensors, "pix2pix")


def _conv(tensors: State, ours: str, state: State, theirs: str, axis: int) -> None:
    weight = state[f"{theirs}.weight"].float()
    tensors[f"{ours}.weight"] = weight
    tensors[f"{ours}.bias"] = state.get(f"{theirs}.bias", torch.zeros(weight.shape[axis])).float()


def _norm(tensors: State, ours: str, state: State, theirs: str, conv: str, axis: int) -> None:
    channels = state[conv].shape[axis]
    tensors[f"{ours}.weight"] = state.get(f"{theirs}.weight", torch.ones(channels)).float()
    tensors[f"{ours}.bias"] = state.get(f"{theirs}.bias", torch.zeros(channels)).float()


PLUGIN = Pix2Pix
