"""Convolutions that find their normalization out by themselves, from a sample of rows.

In our runtime a picture is measured once and its statistics are folded into constants
(`runtime.model.folding`). Whoever runs the file in plain ONNX Runtime has no such measurement, and
with the photos' mean statistics instances of normalization do not normalize: 13 to 29 dB from the
float network on ten photos, washed out. So the constants are computed in the graph, where the
runtime's take their place:

    z = (x - m) / s         on every `STEP`th row, in bytes; m, s: the calibration photos' mean
    mean = m + s mean(z),   variance = s^2 (var(z) - step^2 / 12)
    weight scale, bias      as in `runtime.model.folding.FoldedLayer.fold`

Sheppard's correction takes out what rounding adds to the variance.
"""

import numpy as np

from runtime.model.folding import LARGEST_BIAS
from training.quantization import MIDDLE, quantize_weights

from .graph_builder import INT32, GraphBuilder
from .lean_layers import EPSILON, Layer

# Every this many rows of cells is looked at. Ten photos at 640x480, dB of the median and the worst
# (scream, floats): every 4th 49 and 41, every 8th 43 and 37, every 12th 39 and 32, every 16th 36
# and 31. Each doubling halves the work, of which the 8th rows are 12 % of the convolution.
STEP = 8
# Deviations of the photos that a sample's bytes reach: contrasts of photos differ by a factor of
# three each way, and values reach five deviations.
REACH = 16.0
SAMPLE_SCALE = np.float32(2 * REACH / 255)

Range = tuple[np.float32, np.uint8]


def convolution(
    build: GraphBuilder,
    layer: Layer,
    read: tuple[str, np.float32, np.uint8],
    zeros: int,
    target: Range,
    expected: tuple[np.ndarray, np.ndarray],
) -> str:
    """A normalized convolution of bytes; the name of its bytes.

    Args:
        build: the builder.
        layer: with a normalization.
        read: name, scale and zero point of the bytes it reads.
        zeros: it is padded with at each side.
        target: scale and zero point of its own.
        expected: (C,) mean and variance of the bare convolution on photos.
    """
    assert layer.gamma is not None and layer.beta is not None
    name, (value, input_scale, input_zero) = layer.name, read
    weight, scale = quantize_weights(layer.weight)
    mean, spread = expected[0], np.sqrt(expected[1] + EPSILON).astype(np.float32)
    rows = build.dequantize(build.rows(value, name, STEP), name + ".rows", input_scale, input_zero)
    step = input_scale * scale / spread
    bias = np.rint(-mean / spread / step.astype(np.float64))
    sample = build.convolution(
        rows, name + ".sample", weight, scale / spread, bias, step, (0, zeros), strides=(3, 1)
    )
    sample = build.requantize(sample, name + ".sample", SAMPLE_SCALE, np.uint8(MIDDLE))
    center, variance = build.moments(sample, name + ".sample")

    def constant(what: str, values: np.ndarray | np.float32) -> str:
        return build.constant(f"{name}.{what}", np.asarray(values, np.float32))

    def node(kind: str, inputs: list[str], what: str) -> str:
        return build.node(kind, inputs, f"{name}.{what}")

    center = node("Mul", [center, constant("spread", spread)], "shifted")
    center = node("Add", [center, constant("expected", mean)], "center")
    variance = node("Sub", [variance, constant("rounding", SAMPLE_SCALE**2 / 12)], "unrounded")
    variance = node("Max", [variance, constant("nothing", np.float32(0))], "not_negative")
    variance = node("Mul", [variance, constant("square_spread", spread**2)], "true_variance")
    variance = node("Add", [variance, constant("epsilon", np.float32(EPSILON))], "above_zero")
    deviation = node("Sqrt", [variance], "deviation")
    gain = node("Div", [constant("gamma", layer.gamma), deviation], "gain")
    offset = node("Mul", [gain, center], "offset")
    shift = node("Sub", [constant("beta", layer.beta), offset], "folded_shift")
    # A vanishing gain leaves the shift alone; the floor keeps it representable.
    size = node("Abs", [shift], "shift_size")
    floor = node("Mul", [size, constant("unit", 1 / (LARGEST_BIAS * input_scale * scale))], "least")
    floor = node("Add", [floor, constant("tiny", np.float32(1e-12))], "floor")
    gain = node("Max", [gain, floor], "held_gain")
    weight_scale = node("Mul", [gain, constant("bare_scale", scale)], "weight_scale")
    given_scale = build.constant(name + ".input_scale", input_scale)
    bias_scale = node("Mul", [weight_scale, given_scale], "bias_scale")
    bias_steps = node("Round", [node("Div", [shift, bias_scale], "bias_value")], "bias_steps")
    total = build.node("Cast", [bias_steps], name + ".bias", to=INT32)
    return build.integer_convolution(
        (value, given_scale, build.constant(name + ".input_zero", input_zero)),
        (name + ".sample.weight", weight_scale, name + ".sample.weight_zero"),
        target,
        total,
        name,
        zeros,
    )
