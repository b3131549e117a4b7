"""fast-neural-style of its authors (Lua, Torch7): a .t7 file, or one that some tool converted to
PyTorch, by the order of its layers: converters agree on the order, not on names.

    conv 9x9, conv 3x3 /2, conv 3x3 /2, residual blocks, 2 transposed conv 3x3, conv 9x9;
    each with a bias, each but the last with a normalization behind it

Its pictures are BGR, ours RGB: the channels of the first convolution and of the last one are turned
around. Running statistics are those of batch normalization (the files of the paper), which is a
scale and a shift by now and goes into the convolution before it; without them it is instance
normalization (the later files).
Source: jcjohnson/fast-neural-style, fast_neural_style/models.lua and preprocess.lua (layers).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from . import Converted, State

EPS = 1e-5  # of SpatialBatchNormalization in Torch7
TRANSPOSED = ("up.0.conv", "up.1.conv")


class Torch7:
    """See the module."""

    label = "jcjohnson/fast-neural-style (Torch7), by the order of its layers"

    @staticmethod
    def matches(state: State) -> bool:
        """By the shapes of the convolutions, in order."""
        return _shape(state) is not None

    @staticmethod
    def convert(state: State) -> Converted:
        """See `Family`."""
        shape = _shape(state)
        if shape is None:
            raise ValueError("its convolutions are not those of the published network, in order")
        width, blocks = shape
        tensors: State = {}
        batch = any(name.endswith("running_mean") for name in state)
        layers = _layers(state)
        for (conv, norm), layer in zip(_places(blocks), layers, strict=True):
            weight, bias = layer[0].float(), layer[1].float()
            if norm and batch:
                weight, bias = _folded(weight, bias, layer[2:], conv in TRANSPOSED)
            elif norm:
                tensors[f"{norm}.weight"], tensors[f"{norm}.bias"] = (t.float() for t in layer[2:])
            tensors[f"{conv}.weight"], tensors[f"{conv}.bias"] = weight, bias
        first, head = "down.0.conv.weight", "head."
        tensors[first] = tensors[first].flip(1)
        for part in ("weight", "bias"):
            tensors[head + part] = tensors[head + part].flip(0)
        network = {"name": "johnson2016", "width": width, "blocks": blocks}
        network["normalization"] = "none" if batch else "instance"
        return Converted(network, tensors, "perceptual")


def _layers(state: State) -> list[list[Tensor]]:
    """Weight and bias of each convolution, then weight and bias of what normalizes it and, of a
    batch normalization, mean and variance."""
    layers: list[list[Tensor]] = []
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        if tensor.dim() == 4:
            layers.append([])
        if not layers:
            return []
        layers[-1].append(tensor)
    return layers


def _shape(state: State) -> tuple[int, int] | None:
    """Width and blocks, None where the layers are others."""
    layers = _layers(state)
    blocks = (len(layers) - 6) // 2
    if len(layers) < 8:
        return None
    w = layers[0][0].shape[0]
    expected = [(w, 3, 9, 9), (2 * w, w, 3, 3), (4 * w, 2 * w, 3, 3)]
    expected += [(4 * w, 4 * w, 3, 3)] * (2 * blocks)
    expected += [(4 * w, 2 * w, 3, 3), (2 * w, w, 3, 3), (3, w, 9, 9)]
    parts = {len(layer) for layer in layers[:-1]}
    fits = [tuple(layer[0].shape) for layer in layers] == expected
    return (w, blocks) if fits and parts in ({4}, {6}) and len(layers[-1]) == 2 else None


def _places(blocks: int) -> Iterator[tuple[str, str]]:
    """Names of the convolutions and their normalizations in our network, in order."""
    for index in range(3):
        yield f"down.{index}.conv", f"down.{index}.norm"
    for index in range(blocks):
        for part in (1, 2):
            yield f"trunk.{index}.conv{part}", f"trunk.{index}.norm{part}"
    for index in range(2):
        yield f"up.{index}.conv", f"up.{index}.norm"
    yield "head", ""


def _folded(
    weight: Tensor, bias: Tensor, norm: list[Tensor], transposed: bool
) -> tuple[Tensor, Tensor]:
    """A convolution that does what its batch normalization did, too.

    y = g (W x + b - m) / sqrt(v + eps) + h
    """
    scale, shift, mean, variance = (tensor.float() for tensor in norm)
    factor = scale / torch.sqrt(variance + EPS)
    shape = (1, -1, 1, 1) if transposed else (-1, 1, 1, 1)
    return weight * factor.view(shape), (bias - mean) * factor + shift


PLUGIN = Torch7
