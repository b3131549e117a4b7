"""The same model for pictures as bytes: conversion to its layout and range on the GPU.

A picture of floats has four times the bytes to bring there and back, and converting it takes the
CPU. So the graph gets operations in front and behind that do what `runtime.model.arrays` does:

    in:   bytes (N, H, W, 3) -> float32 -> x (high - low) / 255 + low -> layout, dtype of the port
    out:  float32 -> (x - low) 255 / (high - low), cut to 0..255, rounded to even -> bytes
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ... import onnxfile
from ...card import FOLDING_KEY, ModelCard, Port
from ...engines import Engine
from ...engines._provider_choice import tell
from ...errors import StyleError
from ...frame import Image
from ...onnxfile import LENGTH, VARINT, Field, OnnxFile, encode
from .. import arrays

# ONNX's operators version in which Round came; Clip takes its bounds as inputs since then.
LEAST_OPSET = 11
# Of the ONNX protocol: element types, and kinds of attributes (TensorProto, AttributeProto).
FLOAT, UINT8, FLOAT16 = 1, 2, 10
INT, INTS = 2, 7
# Prefix of the new names; a graph that has it already is refused by the engine.
PREFIX = "impasto/"
# Mean squared error, in levels, at 40 dB: what every format of a model is asked for.
ALIKE = 255**2 / 10**4
# See `runtime.engines._cuda_lane`.
PLAIN = "IMPASTO_GPU_PLAIN"
# Operator, constants that follow its first input, attributes.
Step = tuple[str, Sequence[float], Sequence[Field]]


class BytePath:
    """A model that takes and gives bytes.

    Args:
        engine: of such a graph.
        given, made: its picture ports.

    Attributes:
        engine: of it.
        tried: it has painted a picture as the model itself does.
    """

    def __init__(self, engine: Engine, given: Port, made: Port) -> None:
        self.engine, self._given, self._made = engine, given, made
        self.tried = False

    def paint(
        self, image: Image, others: dict[str, np.ndarray]
    ) -> tuple[Image, dict[str, np.ndarray]]:
        """The painted picture and all outputs.

        Args:
            image: (H, W, 3), of a size the graph accepts.
            others: the tensors besides the picture.
        """
        tensor = arrays.to_tensor(image, self._given)
        results = self.engine.run({self._given.name: tensor, **others})
        return arrays.to_image(results[self._made.name], self._made), results

    def agrees(self, image: Image, others: dict[str, np.ndarray], expected: Image) -> bool:
        """Whether it paints this picture as the model itself does; a line says if it does not."""
        try:
            found, _ = self.paint(image, others)
        except StyleError as error:
            reason = str(error)
        else:
            self.tried = found.shape == expected.shape and _error(found, expected) <= ALIKE
            reason = "it paints another picture"
        if not self.tried:
            tell(f"pictures are converted on the CPU, not on the GPU: {reason}")
        return self.tried

    def close(self) -> None:
        """Free it; may be called twice."""
        self.engine.close()


def open_bytes(
    engine: Engine, card: ModelCard, path: Path, opens: Callable[[bytes], Engine]
) -> BytePath | None:
    """The byte path of an open model; None where the model does not suit one, or it fails.

    Args:
        engine: the model.
        card: of it.
        path: its file.
        opens: opens a graph as the model was opened.
    """
    if not engine.device.startswith("cuda") or os.environ.get(PLAIN, "") not in ("", "0"):
        return None
    if path.suffix != ".onnx" or FOLDING_KEY in engine.metadata or not _suits(card):
        return None
    try:
        graph, given, made = with_bytes(onnxfile.read_onnx(path), card)
        opened = opens(graph)
    except StyleError:
        return None  # only a faster way to the same picture
    if opened.device != engine.device:
        opened.close()
        return None
    return BytePath(opened, given, made)


def with_bytes(data: bytes, card: ModelCard) -> tuple[bytes, Port, Port]:
    """The graph with bytes in and out, and its picture ports.

    Args:
        data: a model in ONNX, in one piece.
        card: of it; its picture ports hold floats.

    Raises:
        CardMismatch: no such graph.
        StyleError: it is older than what is needed.
    """
    file = OnnxFile.parse(data)
    if file.opset < LEAST_OPSET:
        raise StyleError(f"opset {file.opset} is older than {LEAST_OPSET}")
    image, output = card.port("image"), _output(card)
    given, made = _as_bytes(image), _as_bytes(output)
    front, front_values = _front(given.name, image)
    back, back_values = _back(made.name, output)
    whole = file.with_constants({**front_values, **back_values}).serialize(file.outputs)
    body: list[Field] = []
    for entry in onnxfile.fields(_graph(whole)):
        number, _, value = entry
        name = _name(value) if number in (onnxfile.INPUT, onnxfile.OUTPUT) else None
        if (number, name) == (onnxfile.INPUT, image.name):
            body.append((number, LENGTH, _value_info(given)))
        elif (number, name) == (onnxfile.OUTPUT, output.name):
            body.append((number, LENGTH, _value_info(made)))
        else:
            body.append(entry)
    nodes = [entry for entry in body if entry[0] == onnxfile.NODE]
    rest = [entry for entry in body if entry[0] != onnxfile.NODE]
    graph = encode([*front, *nodes, *back, *rest])
    model = [
        (number, kind, graph if number == onnxfile.GRAPH else value)
        for number, kind, value in onnxfile.fields(whole)
    ]
    return encode(model), given, made


def _suits(card: ModelCard) -> bool:
    image = card.port("image")
    return "uint8" not in (image.dtype, _output(card).dtype)


def _output(card: ModelCard) -> Port:
    return next(port for port in card.outputs if port.role == "image")


def _error(one: Image, other: Image) -> float:
    return float(np.square(one.astype(np.float32) - other.astype(np.float32)).mean())


def _as_bytes(port: Port) -> Port:
    shape = port.shape
    if port.layout == "NCHW":
        shape = (shape[0], shape[2], shape[3], shape[1])
    name, low, high = PREFIX + port.name, 0.0, 255.0
    return replace(
        port, name=name, shape=shape, dtype="uint8", layout="NHWC", colors="RGB", low=low, high=high
    )


def _front(start: str, port: Port) -> tuple[list[Field], dict[str, np.ndarray]]:
    """Nodes from bytes to the port's tensor, and their constants."""
    scale = (port.high - port.low) / 255.0
    steps: list[Step] = [("Cast", (), (_whole("to", FLOAT),)), ("Mul", (scale,), ())]
    if port.low:
        steps.append(("Add", (port.low,), ()))
    steps += _turned(port, (0, 3, 1, 2), FLOAT16)
    return _chain(steps, start, port.name)


def _back(end: str, port: Port) -> tuple[list[Field], dict[str, np.ndarray]]:
    """Nodes from the port's tensor to bytes, and their constants."""
    scale = 255.0 / (port.high - port.low)
    steps: list[Step] = []
    if port.dtype != "float32":
        steps.append(("Cast", (), (_whole("to", FLOAT),)))
    steps.append(("Mul", (scale,), ()))
    if port.low:
        steps.append(("Add", (-port.low * scale,), ()))
    steps += [("Clip", (0.0, 255.0), ()), ("Round", (), ())]
    # TensorRT takes bytes at the ends of a graph only: the cast to them comes last.
    steps += _turned(replace(port, dtype="float32"), (0, 2, 3, 1), FLOAT)
    steps.append(("Cast", (), (_whole("to", UINT8),)))
    return _chain(steps, port.name, end)


def _turned(port: Port, order: tuple[int, ...], kind: int) -> list[Step]:
    """Steps to (or from) the port's order of axes and colors, and to its type."""
    steps: list[Step] = []
    swap: Step = ("Gather", (), (_whole("axis", 3),))
    if port.layout == "NCHW":
        turn: Step = ("Transpose", (), (_wholes("perm", order),))
        swap = ("Gather", (), (_whole("axis", 1),))
        before = order == (0, 3, 1, 2)
        steps.append(turn)
        if port.colors == "BGR":
            steps.insert(1 if before else 0, swap)
    elif port.colors == "BGR":
        steps.append(swap)
    if port.dtype == "float16":
        steps.append(("Cast", (), (_whole("to", kind),)))
    return steps


def _chain(
    steps: Sequence[Step], start: str, end: str
) -> tuple[list[Field], dict[str, np.ndarray]]:
    """Nodes one behind the other, from the value `start` to the value `end`."""
    nodes: list[Field] = []
    values: dict[str, np.ndarray] = {}
    at = start
    for number, (operator, constants, attributes) in enumerate(steps):
        after = end if number == len(steps) - 1 else f"{PREFIX}{end}/{number}"
        inputs = [at]
        arrays = [np.array(constant, np.float32) for constant in constants]
        if operator == "Gather":
            arrays = [np.array([2, 1, 0], np.int32)]
        for place, array in enumerate(arrays):
            name = f"{PREFIX}{end}/{number}/{place}"
            values[name] = array
            inputs.append(name)
        entries: list[Field] = [(onnxfile.NODE_INPUT, LENGTH, name.encode()) for name in inputs]
        entries.append((onnxfile.NODE_OUTPUT, LENGTH, after.encode()))
        entries.append((onnxfile.OP_TYPE, LENGTH, operator.encode()))
        entries += attributes
        nodes.append((onnxfile.NODE, LENGTH, encode(entries)))
        at = after
    return nodes, values


def _whole(name: str, value: int) -> Field:
    """An attribute of one whole number (AttributeProto: name, i, type)."""
    entries: list[Field] = [(1, LENGTH, name.encode()), (3, VARINT, value), (20, VARINT, INT)]
    return onnxfile.ATTRIBUTE, LENGTH, encode(entries)


def _wholes(name: str, values: Sequence[int]) -> Field:
    """An attribute of several (AttributeProto: name, ints, type)."""
    entries: list[Field] = [(1, LENGTH, name.encode())]
    entries += [(8, VARINT, value) for value in values]
    return onnxfile.ATTRIBUTE, LENGTH, encode([*entries, (20, VARINT, INTS)])


def _value_info(port: Port) -> bytes:
    """ValueInfoProto of a picture port: sizes are numbers (dim_value) or names (dim_param)."""
    dims: list[Field] = []
    for axis in port.shape:
        size: Field = (1, VARINT, axis) if isinstance(axis, int) else (2, LENGTH, axis.encode())
        dims.append((1, LENGTH, encode([size] if axis else [])))
    tensor = encode([(1, VARINT, UINT8), (2, LENGTH, encode(dims))])
    kind = encode([(1, LENGTH, tensor)])
    return encode([(1, LENGTH, port.name.encode()), (2, LENGTH, kind)])


def _name(value: int | bytes) -> str:
    entries = onnxfile.fields(value) if isinstance(value, bytes) else ()
    return next(
        (item.decode() for number, _, item in entries if number == 1 and isinstance(item, bytes)),
        "",
    )


def _graph(model: bytes) -> bytes:
    return b"".join(
        value
        for number, _, value in onnxfile.fields(model)
        if number == onnxfile.GRAPH and isinstance(value, bytes)
    )
