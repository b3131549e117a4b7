"""A network in the words of phone runtimes: the same pictures, from operations they all know.

Delegates (XNNPACK, GPUs, neural processors) run a graph in one piece only if they know every
operation in it; each stranger sends the frame back to a slow reference kernel. Strangers to most of
them are instance normalization, space-to-depth, depth-to-space and padding by replication. Here
the first is written out as means and products, the middle two as strided convolutions with one-hot
kernels (each output is one input times 1.0: exact, and one percent of a lean network's work), the
last as a concatenation of the edge with itself.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks import lean
from training.networks.layers import InstanceNorm

from .lean_layers import EPSILON


class WrittenOutNorm(nn.Module):
    """Instance normalization from means and products.

        d = x - mean_hw(x),   y = d * rsqrt(mean_hw(d^2) + epsilon) * weight + bias

    Phone runtimes add up a picture's values one after the other, in float32. So each mean is taken
    twice, the second time of what the first has left: sums of differences around zero stay small
    and keep their digits (starry at 1280x720 by XNNPACK: 86 dB with single means).
    """

    def __init__(self, norm: InstanceNorm, epsilon: Tensor | None = None) -> None:
        """Take over a normalization.

        Args:
            norm: whose scale and shift are used.
            epsilon: (C,), for inputs that were rescaled per channel; None is `EPSILON` for all.
        """
        super().__init__()
        channels = len(norm.weight)
        each = torch.full((channels,), EPSILON) if epsilon is None else epsilon.clone()
        self.register_buffer("weight", norm.weight.detach().clone().view(1, channels, 1, 1))
        self.register_buffer("bias", norm.bias.detach().clone().view(1, channels, 1, 1))
        self.register_buffer("epsilon", each.view(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, H, W) over H and W."""
        centered = x - _mean(x)
        centered = centered - _mean(centered)
        squares = centered * centered
        variance = _mean(squares)
        variance = variance + _mean(squares - variance)
        return centered * (torch.rsqrt(variance + self.epsilon) * self.weight) + self.bias


class RepeatedEdgeConv(nn.Module):
    """A convolution that repeats the edge of what it reads, from operations phones know."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        (self.pixels, _) = conv.padding
        self.conv = copy.deepcopy(conv)
        self.conv.padding, self.conv.padding_mode = (0, 0), "zeros"

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution itself."""
        return self.conv(repeat_edges(x, self.pixels))


def _mean(x: Tensor) -> Tensor:
    return x.mean((-1, -2), keepdim=True)


class LeanEdgeForm(nn.Module):
    """A lean generator, clamped, without shuffles and without padding operations.

    images (N, 3, H, W) in [0, 1] -> styled images, the same shape and range.
    """

    def __init__(self, generator: lean.Generator) -> None:
        super().__init__()
        self.margin, self.scale = generator.margin, generator.scale
        self.stem, self.stem_norm = generator.stem, generator.stem_norm
        self.stem_clip = generator.stem_clip
        self.trunk, self.head = generator.trunk, generator.head
        # Two copies: ExecuTorch 1.5 mixes up the layouts of a kernel that both directions share.
        self.register_buffer("one_hot", one_hot_kernel(generator.scale))
        self.register_buffer("one_hot_back", one_hot_kernel(generator.scale))
        self.register_buffer("middle", torch.full((1, 3, 1, 1), 0.5))

    def forward(self, images: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of the scale."""
        m = self.margin
        x = repeat_edges(images, m) - self.middle
        x = F.conv2d(x, self.one_hot, stride=self.scale)
        x = self.trunk(self.stem_clip(F.relu(self.stem_norm(self.stem(x)))))
        y = F.conv_transpose2d(self.head(x), self.one_hot_back, stride=self.scale) + self.middle
        y = y[:, :, m:-m, m:-m] if m else y
        return y.clamp(0.0, 1.0)


class ClampedForm(nn.Module):
    """Any other generator with its normalizations written out, clamped."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, images: Tensor) -> Tensor:
        """Style a batch."""
        return self.generator(images).clamp(0.0, 1.0)


def edge_form(generator: nn.Module, epsilons: dict[str, Tensor] | None = None) -> nn.Module:
    """The generator, clamped, in operations of phone runtimes; the original is left as it is.

    Args:
        generator: maps (N, 3, H, W) in [0, 1] to the same shape.
        epsilons: module name of a normalization -> its (C,) epsilons (`standardize_channels`).
    """
    plain = copy.deepcopy(generator)
    for name, module in list(plain.named_modules()):
        written_out: nn.Module
        if isinstance(module, InstanceNorm):
            written_out = WrittenOutNorm(module, (epsilons or {}).get(name))
        elif isinstance(module, nn.Conv2d) and module.padding_mode == "replicate":
            written_out = RepeatedEdgeConv(module)
        else:
            continue
        parent, _, child = name.rpartition(".")
        setattr(plain.get_submodule(parent), child, written_out)
    form = LeanEdgeForm(plain) if isinstance(plain, lean.Generator) else ClampedForm(plain)
    return form.eval().requires_grad_(False)


def one_hot_kernel(scale: int) -> Tensor:
    """(3 r r, 3, r, r): as a convolution of stride r it is `pixel_unshuffle(x, r)`, as a transposed
    one `pixel_shuffle(x, r)`.

        kernel[c r r + i r + j, c, i, j] = 1
    """
    r = scale
    return torch.eye(3 * r * r).reshape(3 * r * r, 3, r, r)


def repeat_edges(images: Tensor, margin: int) -> Tensor:
    """The same as `F.pad(images, (margin,) * 4, mode="replicate")`."""
    for axis in (2, 3) if margin else ():
        first, last = images.narrow(axis, 0, 1), images.narrow(axis, -1, 1)
        images = torch.cat([*[first] * margin, images, *[last] * margin], dim=axis)
    return images
