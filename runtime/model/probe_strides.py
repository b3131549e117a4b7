"""How much smaller a graph makes its picture inside, read from its operations.

A network that halves its picture n times takes sizes in multiples of 2^n: sizes in between come
back rounded, or are refused where two branches meet. Nothing is run.
"""

from fractions import Fraction

from ..onnxfile import Node, OnnxFile

SHRINKING = ("Conv", "QLinearConv", "ConvInteger", "MaxPool", "AveragePool", "LpPool")
# Beyond this a graph is no picture-to-picture network any more (six halvings).
MOST = 64


def downsampling(graph: OnnxFile, picture: str) -> int:
    """Pixels of the input's side that become one inside, where they are most.

        stride(output) = max over inputs of stride(input) * factor(operation)

    Args:
        graph: parsed.
        picture: name of the picture's input.

    Returns:
        1..64; 1 where nothing shrinks.
    """
    strides = {picture: Fraction(1)}
    for node in graph.nodes:
        known = [strides[name] for name in node.inputs if name in strides]
        if known:
            stride = max(known) * _factor(graph, node)
            strides.update(dict.fromkeys(node.outputs, stride))
    deepest = max(strides.values())
    return min(MOST, -(-deepest.numerator // deepest.denominator))


def _factor(graph: OnnxFile, node: Node) -> Fraction:
    if node.op in SHRINKING:
        return Fraction(max(node.ints("strides") or (1,)))
    if node.op == "SpaceToDepth":
        return Fraction((node.ints("blocksize") or (1,))[0])
    if node.op == "DepthToSpace":
        return Fraction(1, (node.ints("blocksize") or (1,))[0])
    if node.op == "ConvTranspose":
        return Fraction(1, max(node.ints("strides") or (1,)))
    if node.op in ("Resize", "Upsample"):
        for name in node.inputs[1:]:
            scales = graph.constant(name) if name else None
            if scales is not None and scales.size == 4 and scales.dtype.kind == "f":
                grown = Fraction(float(max(scales))).limit_denominator(MOST)
                shrunk = Fraction(float(min(scales))).limit_denominator(MOST)
                return 1 / grown if grown > 1 else 1 / shrunk if shrunk > 0 else Fraction(1)
    return Fraction(1)
