"""Channels of equal range, so that one scale per tensor serves them all.

A lean network paints the same after any positive factor per channel, as long as what reads the
channel divides by it: ReLU and addition let it through. Channels are divided by their range on
photos, which makes all of them fill their bytes. The channels of the residual stream are added to
one another from block to block and share one factor (Nagel et al. 2019, arXiv:1906.04721).
"""

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from training.networks import lean
from training.networks.layers import InstanceNorm

from .calibrate import Calibration

# Least factor relative to the widest channel: weights of a channel that hardly ever moves would
# otherwise vanish beside the others of their kernel when they are rounded.
LEAST = 0.05
# Rounds of the search for the stream's factors: each tensor's widest channel depends on them.
ROUNDS = 20


def balance(
    generator: lean.Generator, calibration: Calibration
) -> tuple[lean.Generator, Calibration]:
    """A copy of the generator with balanced channels, and its calibration.

    Raises:
        ValueError: the calibration is of another network.
    """
    balanced, ranges = copy.deepcopy(generator), dict(calibration.ranges)
    stream = [name for name in ranges if name == "stem" or name.endswith(("conv2", ".sum"))]
    if len(stream) != 1 + 2 * len(balanced.trunk):
        raise ValueError(f"the calibration is of another network, it knows {sorted(ranges)}")
    shared = common_factors([_widths(ranges[name]) for name in stream])
    _divide(balanced.stem, balanced.stem_norm, shared)
    for number, block in enumerate(balanced.trunk):
        name = f"block{number}.conv1"
        inner = common_factors([_widths(ranges[name])])
        ranges[name] = ranges[name] / inner
        _multiply(block.conv1, shared)
        _divide(block.conv1, block.norm1, inner)
        _multiply(block.conv2, inner)
        _divide(block.conv2, block.norm2, shared)
    _multiply(balanced.head, shared)
    for name in stream:
        ranges[name] = ranges[name] / shared
    return balanced, replace(calibration, ranges=ranges)


def common_factors(widths: list[np.ndarray]) -> np.ndarray:
    """(C,) factors, at most 1, by which channels are divided.

    Afterwards every channel fills at least one of the tensors, and none sticks out further:

        f_c = max_t w_tc / W_t,   W_t = max_c w_tc / f_c

    Args:
        widths: (C,) largest absolute value of each channel, one array per tensor.
    """
    factors = np.ones(len(widths[0]))
    for _ in range(ROUNDS):
        wholes = [max(float((width / factors).max()), 1e-12) for width in widths]
        shares = [width / whole for width, whole in zip(widths, wholes, strict=True)]
        factors = np.maximum(np.max(shares, axis=0), 1e-12)
    return np.maximum(factors / factors.max(), LEAST).astype(np.float32)


def _widths(ranges: np.ndarray) -> np.ndarray:
    return np.abs(ranges).max(axis=0)


@torch.no_grad()
def _divide(conv: nn.Conv2d, norm: nn.Module, factors: np.ndarray) -> None:
    """Make the layer's output channels smaller."""
    by = torch.from_numpy(factors)
    if isinstance(norm, InstanceNorm):
        norm.weight.div_(by)
        norm.bias.div_(by)
        return
    conv.weight.div_(by[:, None, None, None])
    if conv.bias is not None:
        conv.bias.div_(by)


@torch.no_grad()
def _multiply(conv: nn.Conv2d, factors: np.ndarray) -> None:
    """Make up for smaller input channels."""
    conv.weight.mul_(torch.from_numpy(factors)[None, :, None, None])
