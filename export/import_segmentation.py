"""python -m export.import_segmentation selfie_segmentation.tflite --output models/person.onnx

Rebuilds a TensorFlow Lite network that separates people from their background as ONNX: the same
layers with the same half-precision weights, computed in float32, at the size it was trained for.
Meant for MediaPipe's selfie segmentation (Apache-2.0, npm package
@mediapipe/selfie_segmentation); a layer it does not have is refused by name.
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.card import ModelCard, Port
from runtime.checksum import sha256
from runtime.cli import command_main, command_parser, print_text, say
from runtime.errors import DONE, StyleError, UsageError
from runtime.outputs import check_output, replacing

from . import onnx_tools

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

    from .int8.graph_builder import Attribute

OPSET = 14
# What readers raise on bytes that are something else depends on where they mislead them.
DAMAGE = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, struct.error)
DAMAGE += (StopIteration, MemoryError)
# x * min(max(x / 6 + 1/2, 0), 1), the hard swish of MobileNetV3 (arXiv:1905.02244).
HARD_SWISH = {"alpha": 1 / 6, "beta": 0.5}


@dataclass(frozen=True)
class Layer:
    """One operation of a TensorFlow Lite graph.

    Attributes:
        kind: its name, as "CONV_2D".
        inputs, outputs: numbers of tensors.
        stride: of convolutions, (rows, columns).
        same: convolutions pad so that the output is the input's size divided by the stride.
    """

    kind: str
    inputs: list[int]
    outputs: list[int]
    stride: tuple[int, int] = (1, 1)
    same: bool = True


@dataclass(frozen=True)
class Graph:
    """What a file holds.

    Attributes:
        layers: in the order of computing.
        constants: weights and sizes by tensor number, as they are stored.
        shapes: of all tensors, channels last.
        input, output: tensor numbers.
    """

    layers: list[Layer]
    constants: dict[int, np.ndarray]
    shapes: dict[int, tuple[int, ...]]
    input: int
    output: int


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument("weights", type=Path, help=".tflite file")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help=".onnx")
    parser.add_argument("--source", default="", help="where the file comes from, for the card")
    parser.add_argument("--license", default="Apache-2.0", help="of the weights")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Convert; prints the ONNX file."""
    if not args.weights.is_file():
        raise UsageError(f'no file "{args.weights}"')
    path = check_output(args.output, overwrite=args.overwrite)
    report = check_output(path.with_suffix(".json"), overwrite=args.overwrite)
    data = args.weights.read_bytes()
    graph = read(data)
    card = card_of(graph, path.stem, args.license, args.source, sha256(args.weights))
    made = rebuild(graph, card)
    with replacing(path, overwrite=args.overwrite) as temporary:
        temporary.write_bytes(made)
    record = {
        "file": path.name,
        "sha256": sha256(path),
        "bytes": len(made),
        "source": {"file": args.weights.name, "sha256": sha256(args.weights), "from": args.source},
        "license": args.license,
        "steps": ["layers and half-precision weights as they were, channels first"],
    }
    with replacing(report, overwrite=args.overwrite) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print_text(path)
    say(f"{len(graph.layers)} layers, {len(made)} bytes", quiet=args.quiet)
    return DONE


def card_of(graph: Graph, name: str, license: str, source: str, digest: str) -> ModelCard:
    """A card with one picture in and one mask out."""
    picture = Port("image", "image", (1, 3, *graph.shapes[graph.input][1:3]))
    mask = Port("mask", "mask", (1, 1, *graph.shapes[graph.output][1:3]))
    return ModelCard(
        name=name,
        method="foreign",
        inputs=(picture,),
        outputs=(mask,),
        checkpoint_sha256=digest,
        style={"title": "People and background", "source": source},
        license=license,
    )


def read(data: bytes) -> Graph:
    """The graph in a TensorFlow Lite file.

    Raises:
        StyleError: it is none, or has more than one picture in and one out.
    """
    import tflite

    try:
        model = tflite.Model.GetRootAsModel(data, 0)
        graph = model.Subgraphs(0)
        if graph is None or (graph.InputsLength(), graph.OutputsLength()) != (1, 1):
            raise StyleError("this file has not one input and one output")
        tensors = [graph.Tensors(k) for k in range(graph.TensorsLength())]
        constants = {
            number: values
            for number, tensor in enumerate(tensors)
            if (values := _constant(model, tensor)) is not None
        }
        shapes = {k: tuple(int(n) for n in t.ShapeAsNumpy()) for k, t in enumerate(tensors)}
        layers = [_layer(model, graph.Operators(index)) for index in range(graph.OperatorsLength())]
        return Graph(layers, constants, shapes, graph.Inputs(0), graph.Outputs(0))
    except DAMAGE as error:
        raise StyleError(f"this is no TensorFlow Lite file that can be read: {error}") from None


def _constant(model: Any, tensor: Any) -> np.ndarray | None:
    import tflite

    kinds = {
        tflite.TensorType.FLOAT32: np.float32,
        tflite.TensorType.FLOAT16: np.float16,
        tflite.TensorType.INT32: np.int32,
    }
    buffer = model.Buffers(tensor.Buffer())
    if buffer.DataLength() == 0:
        return None
    if tensor.Type() not in kinds:
        raise StyleError(f"tensor {tensor.Name().decode()} is of a type that is not read here")
    values = np.frombuffer(buffer.DataAsNumpy().tobytes(), kinds[tensor.Type()])
    return values.reshape(tensor.ShapeAsNumpy())


def _layer(model: Any, operator: Any) -> Layer:
    import tflite

    code = model.OperatorCodes(operator.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    inputs = [int(k) for k in operator.InputsAsNumpy()]
    outputs = [int(k) for k in operator.OutputsAsNumpy()]
    if number == tflite.BuiltinOperator.CUSTOM:
        return Layer(code.CustomCode().decode(), inputs, outputs)
    kind = next(n for n, value in vars(tflite.BuiltinOperator).items() if value == number)
    options = {
        "CONV_2D": tflite.Conv2DOptions,
        "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    }.get(kind)
    if options is None:
        return Layer(kind, inputs, outputs)
    table = operator.BuiltinOptions()
    found = options()
    found.Init(table.Bytes, table.Pos)
    if found.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
        raise StyleError(f"{kind} with an activation of its own is not converted")
    stride = (found.StrideH(), found.StrideW())
    return Layer(kind, inputs, outputs, stride, found.Padding() == tflite.Padding.SAME)


def rebuild(graph: Graph, card: ModelCard) -> bytes:
    """The ONNX file of a graph, with its card.

    Raises:
        StyleError: a layer that is not converted.
    """
    from onnx import TensorProto, helper

    build = _Build(graph)
    for layer in graph.layers:
        convert = CONVERTERS.get(layer.kind)
        if convert is None:
            known = ", ".join(CONVERTERS)
            raise StyleError(f"layer {layer.kind} is not converted, these are: {known}")
        try:
            convert(build, layer)
        except DAMAGE as error:
            raise StyleError(f"layer {layer.kind} is damaged: {error}") from None
    ends = (card.inputs[0], card.outputs[0])
    values = [
        helper.make_tensor_value_info(port.name, TensorProto.FLOAT, port.shape) for port in ends
    ]
    made = helper.make_graph(build.nodes, card.name, values[:1], values[1:], build.tensors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)])
    return onnx_tools.finish(model, card)


@dataclass
class _Build:
    """The nodes so far; tensors keep their numbers as names, but for the two ends."""

    graph: Graph
    nodes: list[NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)

    def name(self, number: int) -> str:
        """What ONNX calls a tensor."""
        return {self.graph.input: "image", self.graph.output: "mask"}.get(number, f"t{number}")

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Attribute) -> str:
        """A node; returns its output's name."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(self, number: int, arrange: Callable[[np.ndarray], np.ndarray]) -> str:
        """A weight as a float32 value, kept in the precision it was stored in."""
        from onnx import TensorProto, numpy_helper

        values = arrange(self.graph.constants[self._stored(number)])
        name = self.name(number)
        if values.dtype == np.float32:
            self.tensors.append(numpy_helper.from_array(values, name))
            return name
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), f"{name}_half"))
        return self.add("Cast", [f"{name}_half"], name, to=TensorProto.FLOAT)

    def _stored(self, number: int) -> int:
        """The tensor behind the DEQUANTIZE that widens a weight."""
        widened = {k.outputs[0]: k.inputs[0] for k in self.graph.layers if k.kind == "DEQUANTIZE"}
        return widened.get(number, number)


def _convolution(build: _Build, layer: Layer) -> None:
    depthwise = layer.kind == "DEPTHWISE_CONV_2D"
    order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
    picture, weight, bias = layer.inputs
    rows, columns = build.graph.shapes[weight][1:3]
    build.add(
        "Conv",
        [
            build.name(picture),
            build.weight(weight, lambda values: values.transpose(order)),
            build.weight(bias, lambda values: values),
        ],
        build.name(layer.outputs[0]),
        kernel_shape=[rows, columns],
        strides=list(layer.stride),
        pads=same_pads((rows, columns), layer.stride) if layer.same else [0, 0, 0, 0],
        group=build.graph.shapes[picture][3] if depthwise else 1,
    )


def same_pads(kernel: tuple[int, int], stride: tuple[int, int]) -> list[int]:
    """ONNX's pads (top, left, bottom, right) for TensorFlow's SAME, on sides that are multiples of
    the stride: kernel - stride in all, the odd one behind."""
    total = [max(0, k - s) for k, s in zip(kernel, stride, strict=True)]
    return [n // 2 for n in total] + [n - n // 2 for n in total]


def _transposed(build: _Build, layer: Layer) -> None:
    """MediaPipe's own layer: a transposed convolution whose stride is its kernel, plus a bias."""
    picture, weight, bias = layer.inputs
    rows, columns = build.graph.shapes[weight][1:3]
    build.add(
        "ConvTranspose",
        [
            build.name(picture),
            build.weight(weight, lambda values: values.transpose(3, 0, 1, 2)),
            build.weight(bias, lambda values: values),
        ],
        build.name(layer.outputs[0]),
        kernel_shape=[rows, columns],
        strides=[rows, columns],
    )


def _resize(build: _Build, layer: Layer) -> None:
    from onnx import numpy_helper

    before, after = (build.graph.shapes[k] for k in (layer.inputs[0], layer.outputs[0]))
    scales = np.array([1, 1, after[1] / before[1], after[2] / before[2]], np.float32)
    name = f"scales{layer.outputs[0]}"
    build.tensors.append(numpy_helper.from_array(scales, name))
    build.add(
        "Resize",
        [build.name(layer.inputs[0]), "", name],
        build.name(layer.outputs[0]),
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def _mean(build: _Build, layer: Layer) -> None:
    if build.graph.shapes[layer.outputs[0]][1:3] != (1, 1):
        raise StyleError(f"{layer.kind} over less than the whole picture is not converted")
    build.add("GlobalAveragePool", [build.name(layer.inputs[0])], build.name(layer.outputs[0]))


def _plain(kind: str, **attributes: Attribute) -> Callable[[_Build, Layer], None]:
    def convert(build: _Build, layer: Layer) -> None:
        names = [build.name(number) for number in layer.inputs]
        build.add(kind, names, build.name(layer.outputs[0]), **attributes)

    return convert


def _hard_swish(build: _Build, layer: Layer) -> None:
    before, after = build.name(layer.inputs[0]), build.name(layer.outputs[0])
    gate = build.add("HardSigmoid", [before], f"{after}_gate", **HARD_SWISH)
    build.add("Mul", [before, gate], after)


CONVERTERS: dict[str, Callable[[_Build, Layer], None]] = {
    "ADD": _plain("Add"),
    "AVERAGE_POOL_2D": _mean,
    "CONV_2D": _convolution,
    "Convolution2DTransposeBias": _transposed,
    "DEPTHWISE_CONV_2D": _convolution,
    "DEQUANTIZE": lambda build, layer: None,  # see `_Build.weight`
    "HARD_SWISH": _hard_swish,
    "LOGISTIC": _plain("Sigmoid"),
    "MUL": _plain("Mul"),
    "RELU": _plain("Relu"),
    "RESIZE_BILINEAR": _resize,
}

main = command_main(build_parser, run)

if __name__ == "__main__":
    raise SystemExit(main())
