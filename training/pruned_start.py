"""Structured pruning as a start: a smaller lean network takes the weights of a trained one.

A student that begins as the pruned copy of its teacher is where a random one arrives after
thousands of steps. Blocks are kept evenly spaced, first and last included; channels are kept by the
energy they pass on,

    stream channel c:  |head[:, c]|^2 var_c  +  sum over kept blocks |conv1[:, c]|^2 var_c
    inner channel c:   gamma1_c^2 |conv2[:, c]|^2

with var_c the variance that the normalizations give the channel (the sum of gamma^2 of what has
been added to it). Magnitude criterion of Li et al., ICLR 2017 (arXiv:1608.08710), with the incoming
variance as a factor because instance normalization makes the size of incoming weights meaningless.
"""

import numpy as np
import torch
from torch import Tensor

from runtime.errors import UsageError

State = dict[str, Tensor]


def prune_weights(state: State, wide: dict, narrow: dict) -> State:
    """Weights of the network `narrow` taken from those of `wide`.

    Args:
        state: of a lean generator with instance normalization.
        wide, narrow: settings (`training.networks.lean.Config` fields) of both.

    Raises:
        UsageError: `narrow` is wider, deeper, of another scale or normalization.
    """
    for key in ("width", "blocks"):
        if narrow[key] > wide[key]:
            raise UsageError(
                f"a network of {key} {narrow[key]} cannot start from one of {wide[key]}"
            )
    for key in ("scale", "normalization"):
        if narrow[key] != wide[key]:
            raise UsageError(
                f"a network of {key} {narrow[key]} cannot start from one of {wide[key]}"
            )
    if narrow["normalization"] != "instance":
        raise UsageError("pruning weighs channels by their instance normalizations: none here")
    blocks = kept_blocks(wide["blocks"], narrow["blocks"])
    stream = _largest(stream_energy(state, blocks), narrow["width"])
    new: State = {
        "stem.weight": state["stem.weight"][stream],
        "stem.bias": state["stem.bias"][stream],
        "stem_norm.weight": state["stem_norm.weight"][stream],
        "stem_norm.bias": state["stem_norm.bias"][stream],
        "head.weight": state["head.weight"][:, stream],
        "head.bias": state["head.bias"],
    }
    for number, block in enumerate(blocks):
        old, prefix = f"trunk.{block}.", f"trunk.{number}."
        inner = _largest(inner_energy(state, block), narrow["width"])
        new[prefix + "conv1.weight"] = state[old + "conv1.weight"][inner][:, stream]
        new[prefix + "conv2.weight"] = state[old + "conv2.weight"][stream][:, inner]
        for name, kept in (("1", inner), ("2", stream)):
            new[f"{prefix}conv{name}.bias"] = state[f"{old}conv{name}.bias"][kept]
            for part in ("weight", "bias"):
                key = f"norm{name}.{part}"
                new[prefix + key] = state[old + key][kept]
    return {key: value.clone() for key, value in new.items()}


def kept_blocks(available: int, wanted: int) -> list[int]:
    """Evenly spaced blocks, first and last included: 3 of 5 are 0, 2, 4."""
    return np.rint(np.linspace(0, available - 1, wanted)).astype(int).tolist() if wanted else []


def stream_energy(state: State, blocks: list[int]) -> Tensor:
    """Energy each channel of the residual stream passes on to the kept blocks and the head."""
    variance = state["stem_norm.weight"].square()
    energy = torch.zeros_like(variance)
    for block in blocks:
        passed = state[f"trunk.{block}.conv1.weight"].square().sum((0, 2, 3))
        energy = energy + passed * variance
        variance = variance + state[f"trunk.{block}.norm2.weight"].square()
    return energy + state["head.weight"].square().sum((0, 2, 3)) * variance


def inner_energy(state: State, block: int) -> Tensor:
    """Energy each channel between a block's two convolutions passes on."""
    gain = state[f"trunk.{block}.norm1.weight"].square()
    return gain * state[f"trunk.{block}.conv2.weight"].square().sum((0, 2, 3))


def _largest(energy: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest, in their old order."""
    return energy.topk(count).indices.sort().values
