"""`netG` of the CycleGAN and pix2pix reference code: ResNet generators of any number of blocks.

    model.1 7x7, model.4 and model.7 3x3 /2, blocks model.10 to model.<9 + blocks> with conv_block.1
    and conv_block.5 (.6 with dropout), two transposed convolutions, 7x7, tanh

With instance normalization, which has no weights there: ours gets ones and zeros. Networks with
batch normalization, which the reference code applies with the picture's own statistics unless told
otherwise, bring scale and shift, and no biases. Source: junyanz/pytorch-CycleGAN-and-pix2pix,
models/networks.py (names and shapes).
"""

import torch

from . import Converted, State, count, without_statistics


class Cyclegan:
    """See the module."""

    label = "ResNet netG of pytorch-CycleGAN-and-pix2pix"

    @staticmethod
    def matches(state: State) -> bool:
        """By the names of the first convolution and of a block's."""
        return {"model.1.weight", "model.10.conv_block.1.weight"} <= set(state)

    @staticmethod
    def convert(state: State) -> Converted:
        """See `Family`."""
        state = without_statistics(state)
        blocks = count({n: t for n, t in state.items() if ".conv_block." in n}, "model.")
        width = state["model.1.weight"].shape[0]
        second = 5 if "model.10.conv_block.5.weight" in state else 6  # behind a dropout
        tensors: State = {}
        after = 10 + blocks
        ends = {1: "down.0", 4: "down.3", 7: "down.6", after: "up.0", after + 3: "up.3"}
        for theirs, ours in ends.items():
            name, _, index = ours.partition(".")
            transposed = name == "up"
            _layer(tensors, ours, f"{name}.{int(index) + 1}", state, f"model.{theirs}", transposed)
        for block in range(blocks):
            for ours, theirs in ((1, 1), (2, second)):
                _layer(
                    tensors,
                    f"trunk.{block}.conv{ours}",
                    f"trunk.{block}.norm{ours}",
                    state,
                    f"model.{10 + block}.conv_block.{theirs}",
                )
        head = f"model.{after + 7}"
        tensors["head.weight"] = state[f"{head}.weight"].float()
        tensors["head.bias"] = state[f"{head}.bias"].float()
        network = {"name": "resnet_cycle", "width": width, "blocks": blocks}
        return Converted(network, tensors, "cyclegan")


def _layer(
    tensors: State, conv: str, norm: str, state: State, theirs: str, transposed: bool = False
) -> None:
    """A convolution, and the normalization that follows it in the list of layers."""
    weight = state[f"{theirs}.weight"].float()
    channels = weight.shape[1 if transposed else 0]
    prefix, _, index = theirs.rpartition(".")
    beside = f"{prefix}.{int(index) + 1}"
    tensors[f"{conv}.weight"] = weight
    tensors[f"{conv}.bias"] = state.get(f"{theirs}.bias", torch.zeros(channels)).float()
    tensors[f"{norm}.weight"] = state.get(f"{beside}.weight", torch.ones(channels)).float()
    tensors[f"{norm}.bias"] = state.get(f"{beside}.bias", torch.zeros(channels)).float()


PLUGIN = Cyclegan
