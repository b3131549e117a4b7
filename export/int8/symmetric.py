"""Quantization as TensorRT reads it: symmetric int8 around convolutions, everything else as it was.

    x -> QuantizeLinear -> DequantizeLinear -> Conv(DequantizeLinear(int8 weights), float bias)

Zero points are zero (TensorRT knows no others), weights have one scale per output channel, biases
stay float: an int32 bias behind DequantizeLinear is what TensorRT's parser refuses. Normalizations
keep measuring the picture, so no scene is folded. A range is cut where the squared error of cutting
and of rounding together is least on photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from runtime.card import ModelCard
from runtime.frame import Image

from .. import onnx_tools
from .ranges import answers, largest
from .scales import SYMMETRIC_LEVELS, best_cut, quantize_weights, symmetric_scale

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# Bins of the histogram of sizes a range is chosen from: a cut is found to 0.05 % of the largest.
BINS = 2048


def quantize(
    model: ModelProto,
    card: ModelCard,
    photos: Sequence[Image],
    floats: frozenset[str] = frozenset(),
) -> list[str]:
    """Put Q/DQ pairs around convolutions. In place.

    Args:
        model: `onnx.ModelProto` of float32.
        card: of the graph.
        photos: that set the ranges of activations.
        floats: names of convolutions that stay float.

    Returns:
        names of the convolutions that were quantized.
    """
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    chosen = [
        node
        for node in graph.node
        if node.op_type == "Conv" and node.name not in floats and node.input[1] in stored
    ]
    limits = cuts(model, card, photos, sorted({node.input[0] for node in chosen}))
    rounded: dict[str, str] = {}
    for node in chosen:
        value = node.input[0]
        if value not in rounded:
            rounded[value] = _pair(graph, value, limits[value], node)
        node.input[0] = rounded[value]
        node.input[1] = _weights(graph, stored[node.input[1]], node)
    _drop_unused(graph)
    return [node.name for node in chosen]


def cuts(
    model: ModelProto, card: ModelCard, photos: Sequence[Image], values: Sequence[str]
) -> dict[str, float]:
    """The largest size to represent of each value, from photographs; of the picture itself, from
    its card."""
    onnx = onnx_tools.library()
    port = card.inputs[0]
    if port.name in values:
        others = [name for name in values if name != port.name]
        full = max(abs(port.low), abs(port.high))
        return {port.name: full, **cuts(model, card, photos, others)}
    if not values:
        return {}
    tops = {name: float(peak.max()) for name, peak in largest(model, card, photos).items()}
    measuring = onnx.ModelProto()
    measuring.CopyFrom(model)
    measuring.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in values
    )
    counts = {name: np.zeros(BINS) for name in values}
    for found in answers(measuring, card, photos, values):
        for name in values:
            top = tops[name] or 1.0
            counts[name] += np.histogram(np.abs(found[name]), BINS, (0.0, top))[0]
    return {name: best_cut(counts[name], tops[name]) for name in values}


def _pair(graph: GraphProto, value: str, cut: float, before: NodeProto) -> str:
    """QuantizeLinear and DequantizeLinear of a value; returns the rounded value's name."""
    onnx = onnx_tools.library()
    scale, zero = f"{value}.scale", f"{value}.zero"
    graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.asarray(symmetric_scale(cut)), scale),
            onnx.numpy_helper.from_array(np.array(0, np.int8), zero),
        ]
    )
    nodes = [
        onnx.helper.make_node(
            kind, [source, scale, zero], [f"{value}.{suffix}"], name=f"{value}.{kind}"
        )
        for kind, source, suffix in (
            ("QuantizeLinear", value, "int8"),
            ("DequantizeLinear", f"{value}.int8", "rounded"),
        )
    ]
    at = list(graph.node).index(before)
    for offset, node in enumerate(nodes):
        graph.node.insert(at + offset, node)
    return nodes[-1].output[0]


def _weights(graph: GraphProto, tensor: TensorProto, before: NodeProto) -> str:
    """int8 weights behind a DequantizeLinear; returns its output's name."""
    onnx = onnx_tools.library()
    weight = onnx.numpy_helper.to_array(tensor)
    name = tensor.name
    integers, scale = quantize_weights(weight, SYMMETRIC_LEVELS)
    zeros = np.zeros(len(weight), np.int8)
    for suffix, values in (("int8", integers), ("scale", scale), ("zero", zeros)):
        graph.initializer.append(onnx.numpy_helper.from_array(values, f"{name}.{suffix}"))
    node = onnx.helper.make_node(
        "DequantizeLinear",
        [f"{name}.int8", f"{name}.scale", f"{name}.zero"],
        [f"{name}.rounded"],
        name=f"{name}.DequantizeLinear",
        axis=0,
    )
    graph.node.insert(list(graph.node).index(before), node)
    return node.output[0]


def _drop_unused(graph: GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
