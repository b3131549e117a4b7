"""The int8 graph for engines that normalize cheaply: integers in the convolutions, and instance
normalization in float between them, by each picture's own statistics.

    bytes -> margin -> space-to-depth -> [int8 convolution -> normalization -> bytes] ... -> bytes

No per-scene folding, no state: a still and a frame of a clip are painted alike. For starry at
640x480 on one thread that takes 4 times as long as the folded graph in ONNX Runtime (every
convolution leaves and enters the integers), but 1.15 times in OpenVINO; and OpenVINO needs 120 to
300 ms to compile a graph with other constants, where ONNX Runtime needs 7 to 10.

What the layers are and how they are rounded is `integer_graph`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .calibrate import Calibration
from .graph_builder import Attribute
from .integer_graph import assemble, in_floats
from .lean_layers import EPSILON, Layer, LeanLayers
from .planar_builder import PlanarBuilder

if TYPE_CHECKING:
    from onnx import ModelProto


def normalized_graph(parts: LeanLayers, calibration: Calibration) -> ModelProto:
    """The graph as an `onnx.ModelProto`: uint8 NHWC RGB in, uint8 NHWC RGB out."""
    build = PlanarBuilder("image", parts.scale)
    return assemble(
        build,
        parts,
        calibration,
        in_floats(build, lambda *given: _convolution(build, *given)),
    )


def _convolution(build: PlanarBuilder, layer: Layer, value: str, zeros: int) -> str:
    """An integer convolution, followed by its bias or its normalization in float."""
    name = layer.name
    weight, scale = layer.quantized()
    w = build.constant(name + ".weight", weight)
    s = build.constant(name + ".weight_scale", scale)
    z = build.constant(name + ".weight_zero", np.zeros(len(weight), np.int8))
    kernel = build.node("DequantizeLinear", [w, s, z], name + ".kernel", axis=0)
    window: dict[str, Attribute] = {"kernel_shape": [layer.kernel] * 2, "pads": [zeros] * 4}
    if layer.gamma is None or layer.beta is None:
        bias = build.constant(name + ".bias", layer.bias.astype(np.float32))
        return build.node("Conv", [value, kernel, bias], name + ".conv", **window)
    value = build.node("Conv", [value, kernel], name + ".conv", **window)
    gamma = build.constant(name + ".gamma", layer.gamma)
    beta = build.constant(name + ".beta", layer.beta)
    return build.node("InstanceNormalization", [value, gamma, beta], name, epsilon=EPSILON)
