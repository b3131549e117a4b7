"""Graphs of opset 18 for readers that know less: down to 13, with the same numbers.

PyTorch's exporter begins at 18, and onnx's own converter cannot lower `Pad` from there. Between 13
and 18 few operators changed in what they compute (https://onnx.ai/onnx/operators):

    Pad 18          may name axes                       pads for all axes
    ReduceMean 18   axes are an input                   they are an attribute
    Resize 18       antialias, axes, ...                 left off where they have no effect
    Split 18        num_outputs                          left off: equal parts are the default
    Reshape 14      allowzero                            left off where no side is 0
    Shape 15        start, end                           Shape, then Slice

Others that changed took further element types only, or are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runtime.errors import UsageError

from . import onnx_tools

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

FROM, TO = 18, 13
# Changed between those, but only in the element types they take.
SAME = frozenset({"Add", "Sub", "Mul", "Div", "Relu", "LeakyRelu", "PRelu", "Pow", "Identity"})
SAME |= frozenset({"CumSum", "Where", "GreaterOrEqual", "LessOrEqual", "Scan", "ScatterElements"})
# What these attributes of Resize 18 must be for Resize 13 to compute the same.
WITHOUT_EFFECT: dict[str, int | bytes | None] = {
    "antialias": 0,
    "keep_aspect_ratio_policy": b"stretch",
}
REDUCTIONS = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2")


def lower(model: ModelProto, opset: int) -> ModelProto:
    """The same graph in an older operator set.

    Args:
        model: of opset 18; changed in place.
        opset: 13..18.

    Raises:
        UsageError: it holds an operation that the older set lacks.
    """
    if opset >= FROM:
        return model
    onnx = onnx_tools.library()
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    ranks = _ranks(onnx.shape_inference.infer_shapes(model))
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        for made in _lowered(node, stored, ranks, opset):
            _check(made, opset)
            nodes.append(made)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    known = {tensor.name for tensor in model.graph.initializer}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name)
        for name, array in stored.items()
        if name not in known
    )
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = opset
    return model


def _lowered(
    node: NodeProto, stored: dict[str, np.ndarray], ranks: dict[str, int], opset: int
) -> list[NodeProto]:
    """The operations that stand for one; new constants go into `stored`."""
    kind = node.op_type
    if kind == "Pad" and len(node.input) > 3 and node.input[3]:
        rank, axes = ranks[node.input[0]], stored[node.input[3]] % ranks[node.input[0]]
        pads = np.zeros(2 * rank, np.int64)
        pads[[*axes, *(axes + rank)]] = stored[node.input[1]]
        name = f"{node.output[0]}.pads"
        stored[name] = pads
        inputs = [node.input[0], name, *node.input[2:3]]
        del node.input[:]
        node.input.extend(inputs if inputs[-1] else inputs[:-1])
    elif kind in REDUCTIONS and len(node.input) > 1:
        axes = stored[node.input[1]]
        del node.input[1:]
        _drop(node, {"noop_with_empty_axes": None if len(axes) else 0})
        node.attribute.append(onnx_tools.library().helper.make_attribute("axes", axes.tolist()))
    elif kind == "Resize":
        _drop(node, WITHOUT_EFFECT)
    elif kind == "Split":
        _drop(node, {"num_outputs": len(node.output)})
    elif kind == "Reshape" and opset < 14:
        shape = stored.get(node.input[1])
        # Without a zero in the shape it has no effect; computed shapes are those of pictures.
        _drop(node, {"allowzero": None if shape is None or shape.all() else 0})
    elif kind == "Shape" and opset < 15 and node.attribute:
        return _sliced(node, stored)
    return [node]


def _sliced(node: NodeProto, stored: dict[str, np.ndarray]) -> list[NodeProto]:
    """Shape with a start and an end, as Shape and Slice."""
    helper = onnx_tools.library().helper
    given = {attribute.name: attribute.i for attribute in node.attribute}
    output = node.output[0]
    names = [f"{output}.start", f"{output}.end"]
    stored[names[0]] = np.array([given.get("start", 0)], np.int64)
    stored[names[1]] = np.array([given.get("end", np.iinfo(np.int64).max)], np.int64)
    return [
        helper.make_node("Shape", [node.input[0]], [f"{output}.whole"]),
        helper.make_node("Slice", [f"{output}.whole", *names], [output]),
    ]


def _drop(node: NodeProto, without_effect: dict[str, int | bytes | None]) -> None:
    """Remove attributes with the value that is the older operator's only way; None: any value."""
    for attribute in list(node.attribute):
        if attribute.name in without_effect:
            value = onnx_tools.library().helper.get_attribute_value(attribute)
            if without_effect[attribute.name] not in (None, value):
                raise UsageError(
                    f"{node.op_type} with {attribute.name} {value} needs --opset {FROM} or newer"
                )
            node.attribute.remove(attribute)


def _check(node: NodeProto, opset: int) -> None:
    """Raise UsageError for an operation that the older set does not have, or has otherwise."""
    defs = onnx_tools.library().defs
    lowered = (*REDUCTIONS, "Pad", "Resize", "Split", "Reshape", "Shape")
    try:
        known = defs.get_schema(node.op_type, opset, node.domain).since_version
        newer = defs.get_schema(node.op_type, FROM, node.domain).since_version
    except defs.SchemaError:
        known, newer = -1, 0
    if known != newer and node.op_type not in {*SAME, *lowered}:
        raise UsageError(f"--opset {opset}: {node.op_type} needs --opset {FROM} or newer")


def _ranks(model: ModelProto) -> dict[str, int]:
    graph = model.graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {value.name: len(value.type.tensor_type.shape.dim) for value in values}
