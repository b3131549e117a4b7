"""What decides how long a network takes: its operators, their settings and the sizes of its
tensors, not the weights in them.

A file that was trained further has other bytes and another checksum, but the same structure: times
that were measured with the file before are its times, too.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def structure(path: Path) -> str | None:
    """SHA-256 of an ONNX graph without its weights, in hexadecimal; None for files of other kinds.

    Operators in order with the names of what goes in and out, attributes, inputs, outputs, and type
    and shape of each stored tensor. Whole numbers of 64 bits are kept by value: they are shapes,
    axes and sizes.
    """
    if path.suffix != ".onnx":
        return None
    import onnx

    model = onnx.load(path)
    digest = hashlib.sha256()
    for line in _lines(model):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _lines(model: "onnx.ModelProto") -> Iterator[str]:
    yield from sorted(f"opset {each.domain} {each.version}" for each in model.opset_import)
    yield from _graph(model.graph)
    for function in model.functions:
        yield f"function {function.domain} {function.name}"
        yield from _nodes(function.node)


def _graph(graph: "onnx.GraphProto") -> Iterator[str]:
    for port in (*graph.input, *graph.output):
        yield f"port {port.name} {port.type.SerializeToString(deterministic=True).hex()}"
    for tensor in graph.initializer:
        yield f"tensor {tensor.name} {_tensor(tensor)}"
    yield from _nodes(graph.node)


def _nodes(nodes: "list[onnx.NodeProto]") -> Iterator[str]:
    for node in nodes:
        yield f"node {node.domain} {node.op_type} {list(node.input)} {list(node.output)}"
        for attribute in sorted(node.attribute, key=lambda each: each.name):
            yield f"attribute {attribute.name}"
            if attribute.HasField("t"):
                yield _tensor(attribute.t)
            elif attribute.HasField("g"):
                yield from _graph(attribute.g)
            else:
                yield attribute.SerializeToString(deterministic=True).hex()


def _tensor(tensor: "onnx.TensorProto") -> str:
    import onnx
    from onnx import numpy_helper

    line = f"{tensor.data_type} {list(tensor.dims)}"
    if tensor.data_type != onnx.TensorProto.INT64:
        return line
    return f"{line} {numpy_helper.to_array(tensor).tolist()}"
