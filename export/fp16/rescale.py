"""Convolutions whose values half precision cannot hold, rescaled so that the pictures stay exact.

An instance normalization divides by the deviation of its input, so any factor s on the convolution
before it changes nothing but the meaning of epsilon:

    (s x - s mean) / sqrt(s^2 var + s^2 eps) = (x - mean) / sqrt(var + eps)

Training does not see that factor either, and lets it drift. Factors are powers of two: no float32
weight is rounded. If one factor serves all channels of a convolution it costs nothing, epsilon
takes it up. If channels differ so much that none does, each channel gets its own and the float32
side of the normalization divides by it, which one epsilon could not do exactly.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import onnx_tools

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# Peaks are left alone inside these bounds. 1024 leaves a factor of 64 below float16's largest value
# for photos brighter than those measured; 2^-6 leaves eight binades above its smallest normal one.
HIGHEST, LOWEST = 2.0**10, 2.0**-6
# Where a peak outside is moved to: the middle of the bounds on a logarithmic scale, rounded up.
WANTED = 2.0**3
# ONNX's default of InstanceNormalization.
EPSILON = 1e-5
# Factors stay inside float32's exact powers of two even after squaring.
MOST_BINADES = 50


@dataclass(frozen=True)
class Rescaled:
    """One convolution that was changed.

    Attributes:
        node: name of the convolution.
        divisor: name of the multiplication that undoes the factors, "" if epsilon does.
        least, most: its smallest and largest factor.
    """

    node: str
    divisor: str
    least: float
    most: float


def rescale(model: ModelProto, peaks: dict[str, np.ndarray]) -> list[Rescaled]:
    """Rescale convolutions before instance normalizations where values leave the bounds.

    Args:
        model: `onnx.ModelProto` of float32, changed in place.
        peaks: as from `export.int8.ranges.largest`.

    Returns:
        what was changed, in graph order.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(value.name for value in graph.output)
    makers = {name: node for node in graph.node for name in node.output}
    done = []
    for norm in list(graph.node):
        if norm.op_type != "InstanceNormalization":
            continue
        conv = makers.get(norm.input[0])
        if conv is None or not _is_ours(conv, constants, uses):
            continue
        weights = [_read(constants[name]) for name in conv.input[1:]]
        factors = channel_factors(peaks[conv.output[0]], _weight_peaks(conv, weights[0]))
        if factors is None:
            continue
        done.append(_apply(graph, conv, norm, constants, weights, factors))
    return done


def channel_factors(peaks: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """Powers of two, one per channel (all equal if one serves all), None if none is needed.

    Args:
        peaks: (C,) largest absolute activations.
        weights: (C,) largest absolute weights.
    """
    live = (peaks > 0) & (weights > 0)
    if not live.any() or _held(peaks[live], weights[live]):
        return None
    common = _factor(float(peaks[live].max()))
    if _held(peaks[live] * common, weights[live] * common):
        return np.full(len(peaks), common, np.float32)
    own = [_factor(float(peak)) if alive else 1.0 for peak, alive in zip(peaks, live, strict=True)]
    return np.array(own, np.float32)


def _held(peaks: np.ndarray, weights: np.ndarray) -> bool:
    """Whether half precision holds them with room on both sides."""
    return bool(peaks.max() <= HIGHEST and peaks.min() >= LOWEST and weights.max() <= HIGHEST)


def _factor(peak: float) -> float:
    return 2.0 ** max(-MOST_BINADES, min(MOST_BINADES, -round(math.log2(peak / WANTED))))


def _is_ours(node: NodeProto, constants: dict[str, TensorProto], uses: Counter) -> bool:
    """A convolution of constant weights that nothing shares, seen by its normalization only."""
    return (
        node.op_type in ("Conv", "ConvTranspose")
        and uses[node.output[0]] == 1
        and all(name in constants and uses[name] == 1 for name in node.input[1:])
        and not any(a.name == "group" and a.i != 1 for a in node.attribute)
    )


def _weight_peaks(conv: NodeProto, weight: np.ndarray) -> np.ndarray:
    axes = tuple(axis for axis in range(weight.ndim) if axis != _out_axis(conv))
    return np.abs(weight).max(axis=axes)


def _out_axis(conv: NodeProto) -> int:
    return 1 if conv.op_type == "ConvTranspose" else 0


def _apply(
    graph: GraphProto,
    conv: NodeProto,
    norm: NodeProto,
    constants: dict[str, TensorProto],
    weights: list[np.ndarray],
    factors: np.ndarray,
) -> Rescaled:
    onnx = onnx_tools.library()
    shape = [1] * weights[0].ndim
    shape[_out_axis(conv)] = -1
    scaled = [weights[0] * factors.reshape(shape), *(bias * factors for bias in weights[1:])]
    for name, values in zip(conv.input[1:], scaled, strict=True):
        constants[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    least, most = float(factors.min()), float(factors.max())
    if least == most:
        _set_epsilon(norm, _epsilon(norm) * least**2)
        return Rescaled(conv.name, "", least, most)
    undo = onnx.numpy_helper.from_array((1 / factors).reshape(1, -1, 1, 1), conv.name + ".undo")
    graph.initializer.append(undo)
    value = conv.output[0]
    node = onnx.helper.make_node(
        "Mul", [value, undo.name], [value + ".undone"], name=conv.name + ".rescale"
    )
    graph.node.insert(list(graph.node).index(norm), node)
    norm.input[0] = node.output[0]
    return Rescaled(conv.name, node.name, least, most)


def _epsilon(norm: NodeProto) -> float:
    return next((a.f for a in norm.attribute if a.name == "epsilon"), EPSILON)


def _set_epsilon(norm: NodeProto, value: float) -> None:
    kept = [a for a in norm.attribute if a.name != "epsilon"]
    del norm.attribute[:]
    norm.attribute.extend([*kept, onnx_tools.library().helper.make_attribute("epsilon", value)])


def _read(tensor: TensorProto) -> np.ndarray:
    return onnx_tools.library().numpy_helper.to_array(tensor)
