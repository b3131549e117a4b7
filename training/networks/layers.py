"""Layers the generators share."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class InstanceNorm(nn.Module):
    """Instance normalization with a learned scale and shift per channel.

        y = weight * (x - mean_hw(x)) / sqrt(var_hw(x) + 1e-5) + bias     (biased variance)

    Ulyanov, Vedaldi, Lempitsky 2016 (arXiv:1607.08022). The parameters are cast to the type of `x`
    because CPU autocast leaves them in float32; statistics accumulate in float32 inside torch.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, H, W) over H and W."""
        return F.instance_norm(x, weight=self.weight.to(x.dtype), bias=self.bias.to(x.dtype))


class LayerNorm(nn.Module):
    """Layer normalization of feature maps, with a learned scale and shift per channel.

        y = weight * (x - mean_chw(x)) / sqrt(var_chw(x) + 1e-5) + bias     (biased variance)

    Unlike instance normalization it keeps how channels differ in mean and deviation, which is what
    AdaIN writes (Huang et al. 2018, section 4.2). Ba, Kiros, Hinton 2016 (arXiv:1607.06450).
    Sums are taken row by row, so that they keep their digits in graphs of large pictures.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, H, W) over C, H and W."""
        values = x.float()
        centered = values - _mean(values)
        normalized = centered / (_mean(centered.square()) + 1e-5).sqrt()
        scale, shift = self.weight[:, None, None], self.bias[:, None, None]
        return (normalized * scale + shift).to(x.dtype)


def _mean(x: Tensor) -> Tensor:
    return x.mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True)


def norm(kind: str, channels: int) -> nn.Module:
    """The normalization `kind` ("instance" or "none") for this many channels."""
    return InstanceNorm(channels) if kind == "instance" else nn.Identity()


class Residual(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))): two 3x3 convolutions, no ReLU after the sum.

    The form of Johnson et al. 2016 (supplement, after Gross and Wilber), with instance
    normalization in the place of batch normalization.
    """

    def __init__(self, channels: int, normalization: str, padding: str, kernel: int = 3) -> None:
        super().__init__()
        shape = {"kernel_size": kernel, "padding": kernel // 2, "padding_mode": padding}
        self.conv1 = nn.Conv2d(channels, channels, **shape)
        self.norm1 = norm(normalization, channels)
        self.conv2 = nn.Conv2d(channels, channels, **shape)
        self.norm2 = norm(normalization, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))


def padded(x: Tensor, mode: str, kernel: int = 3) -> Tensor:
    """(N, C, H, W) with one more row and column at each side, as `nn.Conv2d` of this padding mode
    surrounds what a 3x3 convolution reads; as it is for a 1x1 convolution."""
    if kernel == 1:
        return x
    return F.pad(x, (1, 1, 1, 1), mode="constant" if mode == "zeros" else mode)


def blur(x: Tensor, stride: int = 1) -> Tensor:
    """Each channel through the binomial filter (1 2 1) x (1 2 1) / 16, reflected at the border.

    Zhang 2019 (arXiv:1904.11486), the triangle filter: it lets nothing through at the highest
    frequency, which a stride of 2 would fold onto the lowest.

    Args:
        x: (N, C, H, W).
        stride: of the output's grid; its first sample lies on the first pixel.
    """
    line = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
    kernel = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(padded(x, "reflect"), kernel, stride=stride, groups=x.shape[1])


def minibatch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """One more channel: how much the pictures of a batch differ, the same at every position.

        mean over channels and positions of std over the pictures of a group

    A discriminator that sees it tells a batch of equal pictures from a real one.

    Args:
        x: (N, C, H, W).
        group: pictures compared with one another; the largest divisor of N up to it is taken.

    Returns:
        (N, C + 1, H, W).

    Reference:
        Karras et al., ICLR 2018 (arXiv:1710.10196), section 3; groups as in StyleGAN2.
    """
    count = x.shape[0]
    size = next(n for n in range(min(group, count), 0, -1) if count % n == 0)
    grouped = x.float().view(size, count // size, *x.shape[1:])
    # The variance of equal pictures is 0, where a root has no gradient.
    deviation = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    plane = deviation.repeat(size).view(count, 1, 1, 1).expand(-1, 1, *x.shape[2:])
    return torch.cat([x, plane.to(x.dtype)], 1)


@torch.no_grad()
def icnr_(conv: nn.Conv2d, scale: int) -> None:
    """Start a convolution before `pixel_shuffle(scale)` with equal kernels inside every block.

    The shuffle then begins as nearest-neighbor upsampling, free of checkerboard (Aitken et al.
    2017, arXiv:1707.02937). In place.
    """
    block = scale * scale
    conv.weight.copy_(conv.weight[::block].repeat_interleave(block, 0))
    if conv.bias is not None:
        conv.bias.copy_(conv.bias[::block].repeat_interleave(block, 0))


@torch.no_grad()
def equalize_phases_(conv: nn.Conv2d, scale: int) -> None:
    """Take from a convolution before `pixel_shuffle(scale)` what draws its grid. In place.

        sum over ky of W[c, py, px, i, ky, kx] is the same for every py,
        sum over kx of W[c, py, px, i, ky, kx] is the same for every px,   b[c] for every py, px

    (c: color, p: place in a block, i: input channel, k: tap; the nearest such weights). Inputs that
    are constant then paint a constant and no net, and inputs that are constant along a row or a
    column, as beside a straight edge, paint a line and no string of beads. What changes from block
    to block is painted as finely as before. The first is the condition for upsampling without
    checkerboard (Sugawara, Shiota and Kiya 2018, arXiv:1806.02658: equal gains of all phases at
    frequency 0); that it holds along lines is ours.
    """
    kernel = conv.weight.reshape(-1, scale, scale, *conv.weight.shape[1:])
    down, across = kernel.shape[4:]
    columns = kernel.sum(4, keepdim=True)
    kernel = kernel - (columns - columns.mean(1, keepdim=True)) / down
    rows = kernel.sum(5, keepdim=True)
    kernel = kernel - (rows - rows.mean(2, keepdim=True)) / across
    conv.weight.copy_(kernel.view_as(conv.weight))
    if conv.bias is not None:
        bias = conv.bias.view(-1, scale, scale)
        bias.copy_(bias.mean((1, 2), keepdim=True).expand_as(bias))


def levels_of(side: int) -> int:
    """How often 4 px are doubled to get `side`.

    Raises:
        ValueError: not a power of two of at least 8.
    """
    levels = side.bit_length() - 3
    if side < 8 or side != 4 << levels:
        raise ValueError(f"side is {side}, a power of two from 8 on is needed")
    return levels


def leaky(x: Tensor) -> Tensor:
    """LeakyReLU of slope 0.2, times sqrt 2, which keeps the mean square of a normal input."""
    return F.leaky_relu(x, 0.2) * 2**0.5


class EqualizedDense(nn.Module):
    """y = g W x + r b,  g = r / sqrt(fan-in),  W ~ N(0, 1) / r: all layers learn at one speed.

    Karras et al., ICLR 2018 (arXiv:1710.10196), section 4.1. With Adam, r is the layer's learning
    rate as a share of the others'.

    Args:
        before, after: features.
        rate: r.
        start: of b.
    """

    def __init__(self, before: int, after: int, rate: float = 1.0, start: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), start / rate))
        self.rate, self.gain = rate, rate * before**-0.5

    def forward(self, x: Tensor) -> Tensor:
        """(N, before) -> (N, after)."""
        return F.linear(x, self.weight * self.gain, self.bias * self.rate)


class EqualizedConv(nn.Module):
    """As `EqualizedDense`, a convolution with zero padding of half its kernel."""

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        self.gain, self.stride = (before * kernel * kernel) ** -0.5, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, h, w) -> (N, after, h / stride, w / stride)."""
        padding = self.weight.shape[2] // 2
        return F.conv2d(x, self.weight * self.gain, self.bias, self.stride, padding)
