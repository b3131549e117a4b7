"""What an ONNX graph says about its own pictures: the operations at its two ends.

A network that ends in a Sigmoid gives 0..1, whatever its answer to one picture looks like; one that
begins by subtracting 103.9, 116.8 and 123.7 wants blue first and bytes' values. Read from the file,
nothing is run. What the ends do not tell stays open for `probe_trial`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..card import Colors
from ..errors import CardMismatch
from ..onnxfile import Node, OnnxFile

RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
# Operations that leave the range of values as it is.
PASSING = {
    *("Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Dropout"),
    *("DepthToSpace", "SpaceToDepth", "Slice", "Pad", "Resize", "Upsample", "Crop"),
}
BOUNDED = {"Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0), "Tanh": (-1.0, 1.0)}
ARITHMETIC = ("Add", "Sub", "Mul", "Div")
# A chain at an end is short; a longer one is no end any more.
LONGEST = 16
# Words of documentation. Ranges as people write them: [0, 255], 0-255, 0..255, -1 to 1.
_BETWEEN = r"\s*(?:,|-|\.\.+|to)\s*"
_WORDS = {
    "0..255": re.compile(rf"\b0(?:\.0)?{_BETWEEN}255"),
    "-1..1": re.compile(rf"-1(?:\.0)?{_BETWEEN}\+?1\b"),
    "0..1": re.compile(rf"(?<![-\d])0(?:\.0)?{_BETWEEN}1\b"),
}


@dataclass(frozen=True, slots=True)
class Ends:
    """What the two ends tell; None where they do not.

    Attributes:
        input_range, output_range: keys of `RANGES`.
        colors: order of the channels that the picture comes in.
        reasons: why, in a few words each ("ends in Sigmoid").
    """

    input_range: str | None = None
    output_range: str | None = None
    colors: Colors | None = None
    reasons: tuple[str, ...] = ()


def read_ends(graph: OnnxFile, picture: str, answer: str) -> Ends:
    """Read both ends of a graph.

    Args:
        graph: parsed.
        picture, answer: names of the picture's input and output.

    Returns:
        what could be read; nothing of a damaged graph.
    """
    try:
        return _read(graph, picture, answer)
    except (ArithmeticError, CardMismatch, IndexError, TypeError, ValueError):
        return Ends()  # nodes without what such nodes have


def _read(graph: OnnxFile, picture: str, answer: str) -> Ends:
    reasons: list[str] = []
    taken, colors, why = _beginning(graph, picture)
    reasons += [why] if why else []
    words = graph.documentation(picture)
    if not colors and (order := re.search(r"\b(RGB|BGR)\b", words, re.IGNORECASE)):
        colors = "RGB" if order[1].upper() == "RGB" else "BGR"
        reasons.append(f"its documentation says {colors}")
    if not taken:
        taken = next((name for name, pattern in _WORDS.items() if pattern.search(words)), None)
        reasons += [f"its documentation says {taken}"] if taken else []
    given, why = _end(graph, answer)
    reasons += [why] if why else []
    return Ends(taken, given, colors, tuple(reasons))


def _end(graph: OnnxFile, name: str) -> tuple[str | None, str]:
    """Range of an output's values by the last bounded operation, and what that is."""
    made = {output: node for node in graph.nodes for output in node.outputs}
    after: list[tuple[str, float]] = []
    for _ in range(LONGEST):
        node = made.get(name)
        if node is None:
            return None, ""
        bounds = BOUNDED.get(node.op) or (_clip(graph, node) if node.op == "Clip" else None)
        if bounds is not None:
            low, high = bounds
            for op, value in reversed(after):
                low, high = (_apply(op, end, value) for end in (low, high))
            return _named(min(low, high), max(low, high)), f"ends in {node.op}" + (
                " and a scale" if after else ""
            )
        if node.op in ARITHMETIC:
            value, other = _operand(graph, node)
            if value is None or value.size != 1:
                return None, ""
            after.append((node.op, float(value.ravel()[0])))
            name = other
        elif node.op in PASSING or node.op in ("QuantizeLinear", "DequantizeLinear"):
            name = node.inputs[0]
        else:
            return None, ""
    return None, ""


def _beginning(graph: OnnxFile, name: str) -> tuple[str | None, Colors | None, str]:
    """Range and order of channels by the first arithmetic, and what that is."""
    steps: list[tuple[str, np.ndarray]] = []
    for _ in range(LONGEST):
        users = [node for node in graph.nodes if name in node.inputs]
        if len(users) != 1:
            break
        node = users[0]
        if node.op in ARITHMETIC:
            value, other = _operand(graph, node)
            if (
                value is None
                or other != name
                or (node.op in ("Sub", "Div") and node.inputs[0] != name)
            ):
                break
            steps.append((node.op, value.astype(np.float64).ravel()))
        elif node.op == "QuantizeLinear" and not steps:
            return _quantized(graph, node), None, "begins by rounding to bytes"
        elif node.op not in PASSING or node.op == "Slice":
            break
        name = node.outputs[0]
    return _by_steps(steps)


def _by_steps(steps: Sequence[tuple[str, np.ndarray]]) -> tuple[str | None, Colors | None, str]:
    if not steps:
        return None, None, ""
    op, value = steps[0]
    size = float(np.abs(value).mean())
    shown = ", ".join(f"{number:.4g}" for number in value[:3])
    told = f"begins with {op} {shown}"
    if op in ("Add", "Sub"):
        centers = value if op == "Sub" else -value
        colors = order_of(centers)
        if size > 20:  # a mean of bytes
            return "0..255", colors, told
        if op == "Add" and abs(size - 1.0) < 0.01:  # (x + 1) / 2
            return "-1..1", None, told
        if 0.2 < size < 0.8:
            return "0..1", colors, told
        return None, None, ""
    factor = size if op == "Mul" else 1.0 / size if size else 0.0
    if 0 < factor < 0.02:  # 1/255, 1/127.5, 1/58
        return "0..255", None, told
    if factor > 200:
        return "0..1", None, told
    then = steps[1][0] if len(steps) > 1 else ""
    shift = float(np.abs(steps[1][1]).mean()) if then in ("Add", "Sub") else 0.0
    if abs(factor - 2.0) < 0.01 and then and abs(shift - 1.0) < 0.01:  # 2 x - 1
        return "0..1", None, told
    if then == "Add" and abs(factor - shift) < 0.01 * factor:  # x / 2 + 1/2, 127.5 x + 127.5
        return "-1..1", None, told
    return None, None, ""


def order_of(means: np.ndarray) -> Colors | None:
    """By the means of photographs, which are largest in red and smallest in blue (ImageNet: .485,
    .456, .406; 123.7, 116.8, 103.9)."""
    if means.size != 3 or abs(means[0] - means[2]) < 0.02 * abs(means).mean():
        return None
    return "RGB" if means[0] > means[2] else "BGR"


def _quantized(graph: OnnxFile, node: Node) -> str | None:
    scale = graph.constant(node.inputs[1])
    zero = graph.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if scale is None or scale.size != 1:
        return None
    lowest = -128 if zero is not None and zero.dtype == np.int8 else 0
    offset = 0 if zero is None else int(zero.ravel()[0])
    unit = float(scale.ravel()[0])
    return _named(unit * (lowest - offset), unit * (lowest + 255 - offset))


def _clip(graph: OnnxFile, node: Node) -> tuple[float, float] | None:
    ends: list[float] = []
    for index, name in ((1, "min"), (2, "max")):
        given = graph.constant(node.inputs[index]) if len(node.inputs) > index else None
        stated = node.number(name) if given is None else float(given.ravel()[0])
        if stated is None:
            return None
        ends.append(stated)
    return ends[0], ends[1]


def _operand(graph: OnnxFile, node: Node) -> tuple[np.ndarray | None, str]:
    """The constant of a two-sided operation, and the name of the other side."""
    for index in (1, 0):
        value = graph.constant(node.inputs[index])
        if value is not None:
            return value, node.inputs[1 - index]
    return None, ""


def _apply(op: str, end: float, value: float) -> float:
    if op == "Mul":
        return end * value
    if op == "Div":
        return end / value if value else end
    return end + value if op == "Add" else end - value


def _named(low: float, high: float) -> str | None:
    """The range these bounds mean. Bounds may lie a little outside, as those of the usual
    150 tanh(x) + 127.5; what is far from all is none."""
    if not np.isfinite([low, high]).all() or high <= low:
        return None
    for name, (lowest, highest) in RANGES.items():
        room = 0.1 * (highest - lowest)
        if abs(low - lowest) <= room and abs(high - highest) <= room:
            return name
    return None
