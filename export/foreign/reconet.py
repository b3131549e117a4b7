"""ReCoNet by the order of its layers: its implementations agree on the network, not on names.

    conv 9x9 (w), conv 3x3 /2 (2w), conv 3x3 /2 (4w), 4 residual blocks, 2 x [resize x2, conv 3x3],
    conv 9x9 and tanh; each convolution with a bias, each but the last with an affine instance
    normalization behind it

Weights are taken in the order in which they are stored. What the paper (Gao et al., ACCV 2018) does
not say is assumed as in its implementations: pictures -1..1 in and out, reflection padding, nearest
resizing, a ReLU behind each sum.
"""

import re

from . import Converted, State, without_statistics

NOTE = (
    "taken for a network of pictures -1..1, as implementations of the paper are; if it paints too "
    "dark or too bright, its training code had another range"
)
BLOCK = 4  # convolution and normalization, each of weight and bias


class ReCoNet:
    """See the module."""

    label = "ReCoNet, by the order of its layers"

    @staticmethod
    def matches(state: State) -> bool:
        """By the shapes of the convolutions, in order."""
        return _shapes(without_statistics(state)) is not None

    @staticmethod
    def convert(state: State) -> Converted:
        """See `Family`."""
        state = without_statistics(state)
        found = _shapes(state)
        if found is None:
            raise ValueError("its convolutions are not those of the paper, in their order")
        width, blocks = found
        places = [f"down.{index}.{part}" for index in range(3) for part in ("conv", "norm")]
        places += [
            f"trunk.{index}.{part}"
            for index in range(blocks)
            for part in ("conv1", "norm1", "conv2", "norm2")
        ]
        places += [f"up.{index}.{part}" for index in range(2) for part in ("conv", "norm")]
        names = [f"{place}.{part}" for place in (*places, "head") for part in ("weight", "bias")]
        tensors = {name: tensor.float() for name, tensor in zip(names, state.values(), strict=True)}
        # Ours sees x - 1/2, theirs 2 x - 1: twice the weight, and no shift.
        tensors["down.0.conv.weight"] = 2 * tensors["down.0.conv.weight"]
        network = {"name": "reconet", "width": width, "blocks": blocks, "reach": 0.5}
        return Converted(network, tensors, "perceptual", (NOTE,))


def _shapes(state: State) -> tuple[int, int] | None:
    """Width and blocks, None where the layers are others."""
    if any(re.match(r"conv1\.conv2d\.", name) for name in state):
        return None  # another family with a name for everything
    tensors = list(state.values())
    convs = [tuple(tensor.shape) for tensor in tensors[::BLOCK]]
    if len(tensors) % BLOCK != 2 or len(convs) < 8:
        return None
    w, blocks = convs[0][0], (len(convs) - 6) // 2
    expected = [(w, 3, 9, 9), (2 * w, w, 3, 3), (4 * w, 2 * w, 3, 3)]
    expected += [(4 * w, 4 * w, 3, 3)] * (2 * blocks)
    expected += [(2 * w, 4 * w, 3, 3), (w, 2 * w, 3, 3), (3, w, 9, 9)]
    return (w, blocks) if convs == expected else None


PLUGIN = ReCoNet
