"""Fake quantization: what an int8 graph rounds, rounded while the network still learns.

    activations  q(x) = s * (clamp(round(x / s) + z, 0, 255) - z)
    weights      q(w) = s_c * round(w / s_c)

Scales and zero points are those of the exported file (`scales`), so that a network trained here
and its file agree. Gradients pass rounding as if it were not there (straight-through, Bengio,
Leonard, Courville 2013, arXiv:1308.3432); those of the bounds are LSQ+'s (Bhalgat et al. 2020,
arXiv:2004.09576).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..networks import lean
from ..networks.layers import padded
from .phases import quantize_phases
from .scales import HALF_LEVEL, MIDDLE, STEPS, WEIGHT_LEVELS, quantize_range

# Group of a checkpoint's extra tensors that holds ranges: name -> (2,) lowest and highest value.
# They belong to the network: its float form is clipped as its bytes are (`networks.lean`).
RANGES = "range"


def rounded_weights(weight: Tensor, levels: int = WEIGHT_LEVELS) -> Tensor:
    """`weight` as `scales.quantize_weights` stores it, in float; the gradient is the identity."""
    with torch.no_grad():
        scale = weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12) / levels
        error = (weight / scale).round_().mul_(scale) - weight
    return weight + error


def rounded_phases(weight: Tensor, scale: int) -> Tensor:
    """A head's `weight` as `phases.quantize_phases` stores it; the gradient is the identity.

    Args:
        weight: (3 r r, in, k, k), channels by (color, row, column).
        scale: r.
    """
    with torch.no_grad():
        kernels = weight.reshape(-1, scale, scale, *weight.shape[1:])
        integers, scales = quantize_phases(kernels.double().cpu().numpy())
        steps = torch.from_numpy(scales).view(-1, 1, 1, 1, 1, 1)
        rounded = (torch.from_numpy(integers) * steps).reshape(weight.shape)
        error = rounded.to(weight.device) - weight
    return weight + error


class _Rounded(torch.autograd.Function):
    """An activation as a byte holds it; see the module's docstring.

    Inside the range the output is s * round(x / s): its derivative by s is the rounding error in
    steps. Beyond a bound the output is that bound.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        scale, zero = (float(v) for v in quantize_range(float(low), float(high)))
        steps = x / scale
        position = steps.round().add_(zero)
        below, above = position < 0, position > STEPS
        position.clamp_(0, STEPS).sub_(zero)
        ctx.save_for_backward(below, above, position - steps)
        return position * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        (gradient,) = gradients
        below, above, error = ctx.saved_tensors
        passed = gradient.masked_fill(below | above, 0.0)
        step = (passed * error).sum() / STEPS
        low = (gradient * below).sum() - step if ctx.needs_input_grad[1] else None
        high = (gradient * above).sum() + step
        return passed, low, high


class Ranges(nn.Module):
    """Lowest and highest value of every activation of a lean network that becomes bytes.

    Names are those of `export.int8.lean_layers`: "stem", "block0.conv1", "block0.conv2" and, after
    the addition,
    "block0.conv2.sum", ... The low end of a tensor after a ReLU is zero and stays there.
    """

    def __init__(self, values: dict[str, tuple[float, float]]) -> None:
        super().__init__()
        self.names = list(values)
        self.low = nn.Parameter(torch.tensor([low for low, _ in values.values()]))
        self.high = nn.Parameter(torch.tensor([high for _, high in values.values()]))

    def forward(self, name: str, x: Tensor) -> Tensor:
        """`x` as bytes of the range `name` hold it."""
        at = self.names.index(name)
        low = self.low[at]
        return _Rounded.apply(x, low if float(low.detach()) < 0 else low.detach(), self.high[at])

    def to_dict(self) -> dict[str, tuple[float, float]]:
        """The way back."""
        pairs = zip(self.low.tolist(), self.high.tolist(), strict=True)
        return dict(zip(self.names, pairs, strict=True))


class QuantizedLean(nn.Module):
    """A lean generator as its int8 graph paints, statistics of each picture folded exactly.

    Shares the generator's parameters. The head's bytes are the picture's own and are left out: they
    are not rounded twice.

    Args:
        generator: the network.
        ranges: of its activations.
    """

    def __init__(self, generator: lean.Generator, ranges: Ranges) -> None:
        super().__init__()
        self.generator, self.ranges = generator, ranges

    def forward(self, images: Tensor) -> Tensor:
        """As the generator's, in float32 (bfloat16 is as coarse as the bytes)."""
        net, ranges = self.generator, self.ranges
        with torch.autocast(images.device.type, enabled=False):
            m = net.margin
            x = F.pad(images.float(), (m, m, m, m), mode="replicate") if m else images.float()
            x = F.pixel_unshuffle(x - MIDDLE / 255, net.scale)
            x = ranges("stem", F.relu(_normalized(x, net.stem, net.stem_norm, HALF_LEVEL)))
            for number, block in enumerate(net.trunk):
                name = f"block{number}.conv"
                y = ranges(f"{name}1", F.relu(_normalized(x, block.conv1, block.norm1)))
                y = ranges(f"{name}2", _normalized(y, block.conv2, block.norm2))
                x = ranges(f"{name}2.sum", x + y)
            head = net.head.weight
            head = rounded_phases(head, net.scale) if net.equal_phases else rounded_weights(head)
            y = F.pixel_shuffle(_convolved(x, net.head, head, net.head.bias), net.scale) + 0.5
        return y[:, :, m:-m, m:-m] if m else y


def _normalized(x: Tensor, conv: nn.Conv2d, norm: nn.Module, offset: float = 0.0) -> Tensor:
    """The convolution of `x + offset` with rounded weights, and its normalization."""
    bias = conv.bias
    if offset and bias is not None:
        bias = bias + offset * conv.weight.sum((1, 2, 3))
    return norm(_convolved(x, conv, rounded_weights(conv.weight), bias))


def _convolved(x: Tensor, conv: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(padded(x, conv.padding_mode, conv.kernel_size[0]), weight, bias)
