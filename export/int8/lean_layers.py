"""A lean network as a list of convolutions: the form that is folded, calibrated and quantized.

Three things are rewritten without changing the pictures. Every normalization's scale is made
positive by turning the sign of its convolution's weights: folding multiplies a quantized weight
scale by it, which must not be negative. The channels of input and output are in the order
(row, column, color) of a stride-4 block, in which camera bytes are copied in runs. And both count
in bytes: the stem reads (byte - 128) / 255, the head writes byte / 255.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import UsageError
from training.networks import lean
from training.networks.layers import InstanceNorm, padded
from training.quantization.phases import quantize_phases
from training.quantization.scales import HALF_LEVEL, MIDDLE, quantize_weights

# Of torch's and our instance normalization.
EPSILON = 1e-5

# Padding of convolutions, by the name that PyTorch gives it, and the mode of ONNX's Pad for it;
# zeros need none, they are an attribute of the convolution.
PADDINGS = {"zeros": "", "replicate": "edge", "reflect": "reflect"}

# Lowest and highest value.
Range = tuple[float, float]


@dataclass(frozen=True)
class Layer:
    """One convolution with what follows it.

    Attributes:
        name: "stem", "block0.conv1", ..., "head".
        weight: (out, in, 3, 3) float32, or (out, in, 1, 1).
        bias: (out,) float32; without meaning where a normalization follows.
        gamma, beta: (out,) scale (not negative) and shift of the normalization, None without one.
        relu: whether a ReLU follows.
        residual: whether the block's input is added afterwards.
        clipping: range it is clipped to, None without.
        sum_clipping: that of the sum.
        phases: side of the blocks that its channels paint, if their kernels have equal sums
            (`training.quantization.phases`); else 0. Channels are by (row, column, color).
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    gamma: np.ndarray | None
    beta: np.ndarray | None
    relu: bool
    residual: bool
    clipping: Range | None = None
    sum_clipping: Range | None = None
    phases: int = 0

    def quantized(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights as int8, and (out,) float32 scales."""
        if not self.phases:
            return quantize_weights(self.weight)
        blocks = self.weight.reshape(self.phases, self.phases, -1, *self.weight.shape[1:])
        integers, scale = quantize_phases(np.moveaxis(blocks, 2, 0))
        rounded = np.moveaxis(integers, 0, 2).reshape(self.weight.shape)
        return np.ascontiguousarray(rounded), np.tile(scale, self.phases**2)

    @property
    def kernel(self) -> int:
        """Side of the convolution's window."""
        return self.weight.shape[-1]


@dataclass(frozen=True)
class LeanLayers:
    """A lean network taken apart.

    Attributes:
        layers: in order; stem, two per block, head.
        scale: of space-to-depth.
        margin: px replicated around the picture and cropped at the end.
        padding: of every convolution, by one position: a key of `PADDINGS`.
    """

    layers: tuple[Layer, ...]
    scale: int
    margin: int
    padding: str = "zeros"

    def clipping_ranges(self) -> dict[str, Range]:
        """Name of each activation that is clipped -> its range; keys as in `activations`."""
        sums = {f"{layer.name}.sum": layer.sum_clipping for layer in self.layers}
        every = {layer.name: layer.clipping for layer in self.layers} | sums
        return {name: found for name, found in every.items() if found is not None}


def take_apart(generator: nn.Module) -> LeanLayers:
    """The layers of a lean generator.

    Raises:
        UsageError: another network, or one whose convolutions pad in another way.
    """
    if not isinstance(generator, lean.Generator):
        name = getattr(generator, "name", type(generator).__name__)
        raise UsageError(f'whole-frame int8 graphs are made of "lean" networks, this is "{name}"')
    padding = generator.stem.padding_mode
    if padding not in PADDINGS:
        raise UsageError(
            f"whole-frame int8 graphs know {', '.join(PADDINGS)} as padding of convolutions, this "
            f'network has "{padding}"'
        )
    r = generator.scale
    stem = _layer("stem", generator.stem, generator.stem_norm, relu=True)
    layers = [_in_byte_order(replace(stem, clipping=_range(generator.stem_clip)), r)]
    for number, block in enumerate(generator.trunk):
        one = _layer(f"block{number}.conv1", block.conv1, block.norm1, relu=True)
        two = _layer(f"block{number}.conv2", block.conv2, block.norm2, residual=True)
        layers.append(replace(one, clipping=_range(block.clip1)))
        layers.append(
            replace(two, clipping=_range(block.clip2), sum_clipping=_range(block.clip_sum))
        )
    head = _in_byte_order(_layer("head", generator.head, nn.Identity()), r)
    layers.append(replace(head, phases=r if generator.equal_phases else 0))
    return LeanLayers(tuple(layers), r, generator.margin, padding)


@torch.no_grad()
def activations(parts: LeanLayers, image: Tensor) -> dict[str, Tensor]:
    """What each layer gives for one picture (1, 3, H, W) in [0, 1], statistics of this picture.

    Keys are layer names (after normalization and ReLU), "<name>.sum" after an addition, and for
    normalized layers "<name>.mean" and "<name>.variance" of the bare convolution, (C,).
    """
    m = parts.margin
    x = nn.functional.pad(image, (m, m, m, m), mode="replicate") if m else image
    x = space_to_depth(x - MIDDLE / 255, parts.scale)
    found: dict[str, Tensor] = {}
    skip = x
    for layer in parts.layers:
        y = nn.functional.conv2d(
            padded(x, parts.padding, layer.kernel), torch.from_numpy(layer.weight)
        )
        if layer.gamma is None or layer.beta is None:
            y = y + _column(layer.bias)
        else:
            mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3), correction=0)
            found[layer.name + ".mean"], found[layer.name + ".variance"] = mean, variance
            gain = torch.from_numpy(layer.gamma) / torch.sqrt(variance + EPSILON)
            shift = torch.from_numpy(layer.beta) - gain * mean
            y = y * gain[:, None, None] + shift[:, None, None]
        if layer.relu:
            y = y.relu()
        y = found[layer.name] = _clipped(y, layer.clipping)
        if layer.residual:
            y = found[layer.name + ".sum"] = _clipped(skip + y, layer.sum_clipping)
        if layer.residual or layer.name == "stem":
            skip = y
        x = y
    return found


def space_to_depth(x: Tensor, r: int) -> Tensor:
    """(1, 3, H, W) -> (1, 3 r r, H / r, W / r), channels by (row, column, color)."""
    n, c, height, width = x.shape
    split = x.reshape(n, c, height // r, r, width // r, r).permute(0, 3, 5, 1, 2, 4)
    return split.reshape(n, c * r * r, height // r, width // r)


def _range(module: nn.Module) -> Range | None:
    return (module.min_val, module.max_val) if isinstance(module, nn.Hardtanh) else None


def _clipped(values: Tensor, limits: Range | None) -> Tensor:
    return values if limits is None else values.clamp(*limits)


def _in_byte_order(layer: Layer, r: int) -> Layer:
    """The stem or head with its picture channels by (row, column, color), counting in bytes."""
    order = np.arange(3 * r * r).reshape(3, r, r).transpose(1, 2, 0).ravel()
    if layer.name == "stem":
        bias = layer.bias + np.float32(HALF_LEVEL) * layer.weight.sum(axis=(1, 2, 3))
        return replace(layer, weight=np.ascontiguousarray(layer.weight[:, order]), bias=bias)
    return replace(layer, weight=layer.weight[order].copy(), bias=layer.bias[order] + 0.5)


def _column(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values)[:, None, None]


def _layer(
    name: str, conv: nn.Conv2d, norm: nn.Module, *, relu: bool = False, residual: bool = False
) -> Layer:
    weight = conv.weight.detach().float().numpy().copy()
    bias = (
        np.zeros(len(weight), np.float32)
        if conv.bias is None
        else conv.bias.detach().float().numpy().copy()
    )
    gamma = beta = None
    if isinstance(norm, InstanceNorm):
        gamma, beta = (p.detach().float().numpy().copy() for p in (norm.weight, norm.bias))
        sign = np.where(gamma < 0, -1.0, 1.0).astype(np.float32)
        weight, bias, gamma = weight * sign[:, None, None, None], bias * sign, gamma * sign
    return Layer(name, weight, bias, gamma, beta, relu, residual)
