"""Graphs of ours are traced with one picture; a server puts several into one tensor."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.errors import ParityError
from runtime.frame import Image

from .. import onnx_tools

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

AXIS = "batch"


def free(model: ModelProto) -> None:
    """Give a graph of pictures a free first axis. In place.

    The trace wrote its one picture into inputs and outputs, and as a leading 1 into the shapes that
    the graph itself works out for Reshape; there it becomes -1, "what is left". Whether that is
    all, `check` finds out.
    """
    from onnx import numpy_helper

    graph = model.graph
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.Clear()
        first.dim_param = AXIS
    constants = {each.name: each for each in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    for shape in _worked_out_shapes(graph.node, makers):
        first = constants.get(shape.input[0])
        if first is not None and numpy_helper.to_array(first).tolist() == [1]:
            rest = f"{first.name}_{AXIS}"
            if rest not in constants:
                constants[rest] = numpy_helper.from_array(np.array([-1], np.int64), rest)
                graph.initializer.append(constants[rest])
            shape.input[0] = rest
    _drop_unused(model)


def check(path: Path, photos: list[Image], multiple_of: int) -> str:
    """Compare the graph's answers to a batch with those to each picture of it.

    Args:
        path: of the graph.
        photos: (H, W, 3) uint8, cut to one size.
        multiple_of: sizes that the graph accepts.

    Returns:
        what was found, in a sentence.

    Raises:
        ParityError: they are not the same to the last bit.
    """
    import onnxruntime as ort

    height, width = (
        min(photo.shape[axis] for photo in photos) // multiple_of * multiple_of for axis in (0, 1)
    )
    cut = [photo[:height, :width].transpose(2, 0, 1) for photo in photos]
    batch = np.stack(cut).astype(np.float32) / np.float32(255)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    together = np.asarray(session.run(None, {given.name: batch})[0])
    for index in range(len(batch)):
        alone = np.asarray(session.run(None, {given.name: batch[index : index + 1]})[0])
        if not np.array_equal(alone[0], together[index]):
            raise ParityError(f"{path.name}: picture {index} of a batch is not what it is alone")
    return f"{path.name}: {len(batch)} pictures at once, each the same to the last bit as alone"


def _worked_out_shapes(nodes: Iterable[NodeProto], makers: dict[str, NodeProto]) -> list[NodeProto]:
    """The Concat nodes that make the shapes of Reshape nodes."""
    found = [makers.get(node.input[1]) for node in nodes if node.op_type == "Reshape"]
    return [node for node in found if node is not None and node.op_type == "Concat"]


def _drop_unused(model: ModelProto) -> None:
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def write(source: Path, path: Path) -> None:
    """Free the batch axis of a file; our card, which says otherwise, is left out."""
    onnx = onnx_tools.library()
    model = onnx.load(source)
    free(model)
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
