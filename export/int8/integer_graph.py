"""Whole-frame graphs of lean networks: uint8 NHWC RGB in, uint8 NHWC RGB out.

    bytes -> margin -> space-to-depth -> quantized convolutions -> crop -> depth-to-space -> bytes

No float tensor has the size of the frame. The byte shuffles are written as block copies plus a
transposition that ONNX Runtime's layout pass cancels against its NHWC convolutions: 18.9 -> 13.3 ms
for S(32,2,4) at 1280x720. The camera's bytes are the quantized input
(scale 1/255, zero point 128) and the head's output scale is 1/255, so both ends cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runtime.model.folding import FoldedLayer, Folding
from training.quantization.scales import MIDDLE

from .. import onnx_tools
from . import sampling
from .calibrate import Calibration
from .graph_builder import Attribute, GraphBuilder
from .lean_layers import EPSILON, PADDINGS, Layer, LeanLayers
from .scales import PICTURE_SCALE, ScaleAndZero, output_scale, tensor_scale

if TYPE_CHECKING:
    import onnx


class Bytes(NamedTuple):
    """A value of a graph in bytes: the bytes' name, and what they stand for."""

    name: str
    scale: np.float32
    zero: np.uint8


Convolve = Callable[[Layer, Bytes, int, ScaleAndZero], str]


def folding_of(parts: LeanLayers, calibration: Calibration) -> Folding | None:
    """The runtime's figures of a network with normalization, None of one without."""
    layers, source = [], PICTURE_SCALE
    for layer in parts.layers:
        if layer.gamma is not None and layer.beta is not None:
            _, scale = layer.quantized()
            layers.append(
                FoldedLayer(layer.name, float(source), scale, layer.gamma, layer.beta, EPSILON)
            )
        source, _ = output_scale(layer, calibration)
    if not layers:
        return None
    return Folding(tuple(layers), statistics_graph(parts, calibration).SerializeToString())


def integer_graph(
    parts: LeanLayers, calibration: Calibration, folding: Folding | None, *, sampled: bool = False
) -> onnx.ModelProto:
    """The quantized graph as an `onnx.ModelProto`.

    Args:
        parts: the network.
        calibration: its ranges, and statistics of photos.
        folding: its figures, None without normalization.
        sampled: whether each picture's statistics are found out in the graph (`sampling`); else
            the photos' mean statistics are folded in, for a runtime to replace.
    """
    fixed: dict[str, np.ndarray] = {}
    if folding is not None:
        pairs = [calibration.statistics[layer.name] for layer in folding.layers]
        statistics = np.stack([np.concatenate(column) for column in zip(*pairs, strict=True)])
        fixed = folding.initializers(statistics)
    build = GraphBuilder("image", parts.scale)

    def convolve(layer: Layer, read: Bytes, zeros: int, target: ScaleAndZero) -> str:
        if sampled and layer.gamma is not None:
            expected = calibration.statistics[layer.name]
            return sampling.convolution(build, layer, read, zeros, target, expected)
        keys = ("weight_scale", "bias_scale", "bias")
        vectors = {key: fixed.get(f"{layer.name}.{key}") for key in keys}
        value = _floats(build, read, layer.name + ".input")
        value = _convolution(build, layer, value, read.scale, vectors, zeros)
        return build.quantize(value, layer.name + ".output", *target)

    # The statistics are constants here: what is cropped in the end need not be painted for them.
    return assemble(build, parts, calibration, convolve, shrink=True)


def in_floats(build: GraphBuilder, convolve: Callable[[Layer, str, int], str]) -> Convolve:
    """A convolution of floats, normalized, between bytes.

    Args:
        build: the builder.
        convolve: (layer, value it reads, zeros it is padded with) to the value it gives.
    """

    def between_bytes(layer: Layer, read: Bytes, zeros: int, target: ScaleAndZero) -> str:
        value = convolve(layer, _floats(build, read, layer.name + ".input"), zeros)
        return build.quantize(value, layer.name + ".output", *target)

    return between_bytes


def assemble(
    build: GraphBuilder,
    parts: LeanLayers,
    calibration: Calibration,
    convolve: Convolve,
    shrink: bool = False,
) -> onnx.ModelProto:
    """Everything of a whole-frame graph but its convolutions: borders, roundings, residual sums.

    Args:
        build: the builder of the byte layout wanted.
        parts: the network.
        calibration: its ranges.
        convolve: (layer, bytes it reads, zeros it is padded with: none if these are padded already,
            scale and zero point of its answer) to the name of its answer's bytes, normalized.
        shrink: take the margin off bit by bit, a position at each side by each of the last
            convolutions, which then need no padding. The picture is the same: what a convolution
            leaves out is out of reach of the pixels that are kept. At 1280x720, with a margin of
            24 px, six convolutions (`starry-fast`) have 5.7 % less to do, eight (`starry`) 4.3 %.
    """
    positions = parts.margin // parts.scale
    shrinking = min(positions, len(parts.layers)) if shrink else 0
    picture = _chain(build, parts, calibration, convolve, shrinking)
    return build.finish(build.depth_to_space(picture, parts.margin - shrinking * parts.scale))


def _chain(
    build: GraphBuilder,
    parts: LeanLayers,
    calibration: Calibration,
    convolve: Convolve,
    shrinking: int = 0,
) -> str:
    """From the picture through all layers; the name of the last one's bytes.

    Args:
        build, parts, calibration, convolve: as in `assemble`.
        shrinking: how many of the last convolutions take off a position at each side.
    """
    shuffled = build.space_to_depth(build.margin("image", parts.margin))
    stored = block = Bytes(shuffled, PICTURE_SCALE, np.uint8(MIDDLE))
    mode = PADDINGS[parts.padding]
    lost = 0
    for number, layer in enumerate(parts.layers):
        padding = int(number < len(parts.layers) - shrinking) * (layer.kernel // 2)
        read, zeros = stored, padding
        if padding and mode:
            # Repeating bytes is repeating what they stand for, at a quarter of the cost.
            read, zeros = stored._replace(name=build.surround(stored.name, layer.name, mode)), 0
        # A ReLU is the lower end of the byte's range.
        whole = output_scale(layer, calibration)
        target = tensor_scale(calibration, layer.name) if layer.residual else whole
        stored = Bytes(convolve(layer, read, zeros, target), *target)
        lost += layer.kernel // 2 - padding
        if layer.residual:
            skip = block._replace(name=build.crop(block.name, layer.name + ".skip", lost))
            terms = [
                _floats(build, value, f"{layer.name}.{what}")
                for value, what in ((skip, "skip"), (stored, "output"))
            ]
            total = build.node("Add", terms, layer.name + ".sum")
            stored = Bytes(build.quantize(total, layer.name + ".total", *whole), *whole)
        if layer.residual or layer.name == "stem":
            block, lost = stored, 0
    return stored.name


def _floats(build: GraphBuilder, value: Bytes, name: str) -> str:
    """What the bytes stand for."""
    return build.dequantize(value.name, name, value.scale, value.zero)


def statistics_graph(parts: LeanLayers, calibration: Calibration) -> onnx.ModelProto:
    """The measuring graph: mean and variance of every normalized convolution on a picture.

    It computes in float, but weights and activations are rounded as in the int8 graph, so that what
    is measured is what runs: with the float network's statistics large flat areas, whose rounding
    errors all point the same way, take a tint. Layers after the last normalization are left out.
    """
    build = GraphBuilder("image", parts.scale)
    measured: list[tuple[str, str]] = []

    def convolve(layer: Layer, value: str, zeros: int) -> str:
        kernel = build.dequantized_weight(layer.name, *layer.quantized())
        window: dict[str, Attribute] = {"kernel_shape": [layer.kernel] * 2, "pads": [zeros] * 4}
        value = build.node("Conv", [value, kernel], layer.name + ".bare", **window)
        if layer.gamma is None or layer.beta is None:
            bias = build.constant(layer.name + ".bias", layer.bias[None, :, None, None])
            return build.node("Add", [value, bias], layer.name)
        moments = build.moments(value, layer.name)
        measured.append(moments)
        gamma = build.constant(layer.name + ".gamma", layer.gamma)
        beta = build.constant(layer.name + ".beta", layer.beta)
        given = [value, gamma, beta, *moments]
        return build.node("BatchNormalization", given, layer.name, epsilon=EPSILON)

    last = max(i for i, layer in enumerate(parts.layers) if layer.gamma is not None)
    measured_parts = replace(parts, layers=parts.layers[: last + 1])
    _chain(build, measured_parts, calibration, in_floats(build, convolve))
    means, variances = zip(*measured, strict=True)
    return build.finish_statistics(list(means), list(variances))


def _convolution(
    build: GraphBuilder,
    layer: Layer,
    value: str,
    input_scale: np.float32,
    fixed: dict[str, np.ndarray | None],
    padding: int,
) -> str:
    """A quantized convolution; `fixed` holds the folded vectors of normalized layers."""
    weight, scale = layer.quantized()
    weight_scale, bias_scale, bias = fixed["weight_scale"], fixed["bias_scale"], fixed["bias"]
    if weight_scale is None or bias_scale is None or bias is None:
        weight_scale, bias_scale = scale, input_scale * scale
        bias = np.rint(layer.bias / bias_scale.astype(np.float64)).astype(np.int32)
    around = (padding, padding)
    return build.convolution(value, layer.name, weight, weight_scale, bias, bias_scale, around)


def check(model: onnx.ModelProto) -> None:
    """Let onnx check a graph that is not written through `onnx_tools.save`."""
    onnx_tools.library().checker.check_model(model, full_check=True)
