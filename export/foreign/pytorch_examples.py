"""`fast_neural_style` of PyTorch's examples (TransformerNet): Johnson's network for 0..255.

    conv1 9x9, conv2 and conv3 3x3 /2, res1..res5, deconv1 and deconv2 (nearest x2, then 3x3), each
    but the blocks followed by in1..in5; deconv3 9x9 without an activation. Reflection padding.

Pictures are 0..255 in and out, without a shift. Ours are 0..1 and shifted by a half, which goes
into the first convolution (padding repeats values, so a shift commutes with it) and the last one.
Source: pytorch/examples, fast_neural_style/neural_style/transformer_net.py (names and shapes).
"""

from . import Converted, State, count, without_statistics

LEVELS = 255.0
# Our generator's own input shift (`training.networks.johnson`).
SHIFT = 0.5


class PytorchExamples:
    """See the module."""

    label = "fast_neural_style of pytorch/examples"

    @staticmethod
    def matches(state: State) -> bool:
        """By the names of the first and the last convolution."""
        return {"conv1.conv2d.weight", "deconv3.conv2d.weight", "in1.weight"} <= set(state)

    @staticmethod
    def convert(state: State) -> Converted:
        """See `Family`."""
        state = without_statistics(state)
        first = state["conv1.conv2d.weight"].float()
        tensors: State = {
            "down.0.conv.weight": first * LEVELS,
            "down.0.conv.bias": state["conv1.conv2d.bias"].float()
            + SHIFT * LEVELS * first.sum((1, 2, 3)),
            "head.weight": state["deconv3.conv2d.weight"].float() / LEVELS,
            "head.bias": state["deconv3.conv2d.bias"].float() / LEVELS,
        }
        places = {"conv2": "down.1", "conv3": "down.2", "deconv1": "up.0", "deconv2": "up.1"}
        for theirs, ours in places.items():
            for part in ("weight", "bias"):
                tensors[f"{ours}.conv.{part}"] = state[f"{theirs}.conv2d.{part}"].float()
        norms = {"in1": "down.0", "in2": "down.1", "in3": "down.2", "in4": "up.0", "in5": "up.1"}
        for theirs, ours in norms.items():
            for part in ("weight", "bias"):
                tensors[f"{ours}.norm.{part}"] = state[f"{theirs}.{part}"].float()
        blocks = count(state, "res")
        for block in range(blocks):
            for index in (1, 2):
                for part in ("weight", "bias"):
                    ours = f"trunk.{block}"
                    theirs = f"res{block + 1}"
                    tensors[f"{ours}.conv{index}.{part}"] = state[
                        f"{theirs}.conv{index}.conv2d.{part}"
                    ].float()
                    tensors[f"{ours}.norm{index}.{part}"] = state[
                        f"{theirs}.in{index}.{part}"
                    ].float()
        network = {"name": "johnson", "width": first.shape[0], "blocks": blocks, "squash": False}
        return Converted(network, tensors, "perceptual")


PLUGIN = PytorchExamples
