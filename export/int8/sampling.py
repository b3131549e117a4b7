"""Convolutions that find their normalization out by themselves, from a sample of rows.

In our runtime a picture is measured once and its statistics are folded into constants
(`runtime.model.folding`). Whoever runs the file in plain ONNX Runtime has no such measurement, and
constants of other photos do not normalize: 13 to 29 dB from the float network on ten photos, washed
out. So the graph computes the normalization, and the runtime puts its constants in the place of it:

    z = (x - m) / s         on every `STEP`th row, in bytes; m, s: the calibration photos'
    mean = m + s mean(z),   variance = s^2 (var(z) - step^2 / 12)
    gain = gamma / sqrt(variance + epsilon)
    y = gain (x - m) + (beta + gain (m - mean))

The difference is Sheppard's correction for what rounding adds. The scale of weights is computed,
the bias is not, and the rest of it is added afterwards: ONNX Runtime up to 1.27 miscalculates a
computed bias (12 dB; 1.31 is right, and twice as slow). Scream on five photos at 640x480: 34.7 to
39.1 dB in 1.15, 1.20 and 1.31; 80 ms at 1280x720, where constants take 54.
"""

import numpy as np

from training.quantization.scales import MIDDLE, STEPS

from .graph_builder import GraphBuilder
from .lean_layers import EPSILON, Layer
from .scales import ScaleAndZero, quantize_range

# Only every this many rows are looked at. Ten photos at 640x480, dB of the median and the worst
# (scream, floats): every 4th 49 and 41, every 8th 43 and 37, every 12th 39 and 32, every 16th 36
# and 31. Each doubling halves the work, of which the 8th rows are 12 % of the convolution.
STEP = 8
# Deviations of the photos that a sample's bytes reach: contrasts of photos differ by a factor of
# three each way, and values reach five deviations.
REACH = 16.0
SAMPLE_SCALE = np.float32(2 * REACH / 255)

# Deviations by which means of pictures may differ from the photos'.
SHIFT = 1.5


def convolution(
    build: GraphBuilder,
    layer: Layer,
    read: tuple[str, np.float32, np.uint8],
    zeros: int,
    target: ScaleAndZero,
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
    weight, scale = layer.quantized()
    mean, spread = expected[0], np.sqrt(expected[1] + EPSILON).astype(np.float32)
    rows = build.dequantize(build.rows(value, name, STEP), name + ".rows", input_scale, input_zero)
    bias_scale = input_scale * scale / spread
    bias = np.rint(-mean / spread / bias_scale.astype(np.float64))
    sample = build.convolution(
        rows, name + ".sample", weight, scale / spread, bias, bias_scale, (0, zeros), strides=(3, 1)
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
    # The constant bias takes the photos' mean out; the rest of the shift is added to the answer.
    rest = node("Sub", [constant("expected_mean", mean), center], "rest")
    offset = node("Mul", [gain, rest], "offset")
    shift = node("Add", [constant("beta", layer.beta), offset], "folded_shift")
    gain = node("Max", [gain, constant("tiny", np.float32(1e-12))], "held_gain")
    weight_scale = node("Mul", [gain, constant("bare_scale", scale)], "weight_scale")
    given_scale = build.constant(name + ".input_scale", input_scale)
    photos_bias = np.rint(-mean / (input_scale * scale).astype(np.float64)).astype(np.int32)
    widest = float(np.abs(layer.gamma).max()) * SHIFT
    step, zero = (float(value) for value in target)
    low, high = -zero * step, (STEPS - zero) * step
    bare = quantize_range(
        low - float(layer.beta.max()) - widest, high - float(layer.beta.min()) + widest
    )
    made = build.integer_convolution(
        (value, given_scale, build.constant(name + ".input_zero", input_zero)),
        (name + ".sample.weight", weight_scale, name + ".sample.weight_zero"),
        bare,
        build.constant(name + ".bare.bias", photos_bias),
        name + ".bare",
        zeros,
    )
    most = float(np.abs(layer.beta).max()) + widest
    column = build.node("Reshape", [shift, build.integers("column", 1, -1, 1, 1)], name + ".column")
    terms = [
        build.dequantize(made, name + ".bare.moved", *bare),
        build.requantize(column, name + ".column", *quantize_range(-most, most)),
    ]
    total = build.node("Add", terms, name + ".moved")
    return build.quantize(total, name + ".output", *target)
