"""How large the values of a float graph get on photographs, per channel, measured by the graph.

A reduction is attached to every picture-like value and only its result leaves the engine, so that
wide networks are measured in the memory that one run takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime.card import ModelCard
from runtime.frame import Image
from runtime.model import arrays
from runtime.model.formats import open_model

from .. import onnx_tools
from ..verify.photos import cover

if TYPE_CHECKING:
    from onnx import ModelProto

# (width, height) of photos whose ranges are measured: near a camera's, and affordable.
SIZE = (480, 360)
# Prefix of the outputs attached; no exporter begins a name so.
PREFIX = "impasto.peak."


def largest(model: ModelProto, card: ModelCard, photos: Sequence[Image]) -> dict[str, np.ndarray]:
    """Largest absolute value of each channel over all photos.

    Args:
        model: `onnx.ModelProto` of one picture input, float32; left as it is.
        card: of the graph.
        photos: scaled to `SIZE`, or to the graph's own size if it has one.

    Returns:
        value name -> (C,) float32, for every float value of four axes.
    """
    measuring, values = _with_peaks(model)
    found: dict[str, np.ndarray] = {}
    for peaks in answers(measuring, card, photos, [PREFIX + value for value in values]):
        for value in values:
            peak = peaks[PREFIX + value].reshape(-1)
            found[value] = np.maximum(found.get(value, peak), peak)
    return found


def answers(
    model: ModelProto, card: ModelCard, photos: Sequence[Image], outputs: Sequence[str]
) -> Iterator[dict[str, np.ndarray]]:
    """What a graph gives for each photo, by ONNX Runtime on the CPU."""
    port = card.inputs[0]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ranges.onnx"
        path.write_bytes(model.SerializeToString())
        engine = open_model(path, "onnxruntime", "cpu")
        try:
            for photo in photos:
                feeds = {port.name: arrays.to_tensor(picture_for(photo, card), port)}
                yield engine.run(feeds, list(outputs))
        finally:
            engine.close()


def value_types(model: ModelProto) -> dict[str, tuple[int, int]]:
    """(element type, number of axes) of every value and constant of a graph; -1 axes if unknown."""
    onnx = onnx_tools.library()
    graph = onnx.shape_inference.infer_shapes(model).graph
    found = {t.name: (t.data_type, len(t.dims)) for t in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        tensor = value.type.tensor_type
        axes = len(tensor.shape.dim) if tensor.HasField("shape") else -1
        found[value.name] = (tensor.elem_type, axes)
    return found


def _with_peaks(model: ModelProto) -> tuple[ModelProto, list[str]]:
    """A copy that also gives the (1, C, 1, 1) peaks of its picture-like values."""
    onnx = onnx_tools.library()
    measuring = onnx.ModelProto()
    measuring.CopyFrom(model)
    types = value_types(model)
    graph = measuring.graph
    axes = onnx.numpy_helper.from_array(np.array([0, 2, 3], np.int64), PREFIX + "axes")
    graph.initializer.append(axes)
    values = []
    for node in list(graph.node):
        for value in node.output:
            if types.get(value) != (onnx.TensorProto.FLOAT, 4):
                continue
            size = onnx.helper.make_node("Abs", [value], [PREFIX + "abs." + value])
            peak = onnx.helper.make_node(
                "ReduceMax", [size.output[0], axes.name], [PREFIX + value], keepdims=1
            )
            graph.node.extend([size, peak])
            graph.output.append(
                onnx.helper.make_tensor_value_info(
                    PREFIX + value, onnx.TensorProto.FLOAT, [1, None, 1, 1]
                )
            )
            values.append(value)
    return measuring, values


def picture_for(photo: Image, card: ModelCard) -> Image:
    """The photo at a size that the graph accepts and that is worth measuring."""
    fixed = arrays.fixed_size(card.inputs[0])
    if fixed is not None:
        return cv2.resize(photo, (fixed[1], fixed[0]), interpolation=cv2.INTER_AREA)
    width, height = (
        max(side // card.multiple_of * card.multiple_of, card.minimum) for side in SIZE
    )
    return cover(photo, width, height)
