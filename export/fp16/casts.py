"""A float32 graph made float16, but for islands: types decided node by node, casts between them.

Ports stay float32. A value between two float32 nodes never passes through float16, so an island can
hold what float16 cannot.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from .. import onnx_tools
from ..int8.ranges import value_types

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# Operations that engines compute in float16; all others stay float32.
NARROW = frozenset(
    {"Abs", "Add", "Clip", "Concat", "Conv", "ConvTranspose", "DepthToSpace", "Div", "Expand"}
    | {"Gather", "Identity", "LeakyRelu", "Max", "Min", "Mul", "Neg", "PRelu", "Pad", "Relu"}
    | {"Reshape", "Resize", "Sigmoid", "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub", "Tanh"}
    | {"Transpose", "Unsqueeze"}
)
# Operations of which only the first input is a picture; the others are float32 by ONNX's rules.
FIRST_ONLY = frozenset({"Resize"})
# Operations that read a picture's size and not its values.
SIZES_ONLY = frozenset({"Shape", "Size"})
# Largest finite float16.
LARGEST = 65504.0


def narrow(model: ModelProto, islands: Collection[str] = ()) -> None:
    """Make everything float16 that may be. In place.

    Args:
        model: `onnx.ModelProto` of float32 with float32 ports and without subgraphs.
        islands: names of nodes that stay float32.
    """
    _Narrowing(model, islands).run()


class _Narrowing:
    """The state of one conversion."""

    def __init__(self, model: ModelProto, islands: Collection[str]) -> None:
        self.onnx = onnx_tools.library()
        self.graph, self.islands = model.graph, frozenset(islands)
        float32 = self.onnx.TensorProto.FLOAT
        self.floats = {name for name, (kind, _) in value_types(model).items() if kind == float32}
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.halves: set[str] = set()  # values that are float16 now
        self.made: dict[tuple[str, bool], str] = {}  # (value, float16) -> its other version
        self.nodes: list[NodeProto] = []

    def run(self) -> None:
        """Convert."""
        for node in self.graph.node:
            half = node.op_type in NARROW and node.name not in self.islands
            for at, name in enumerate(node.input):
                if name in self.floats and node.op_type not in SIZES_ONLY:
                    wanted = half and not (at and node.op_type in FIRST_ONLY)
                    node.input[at] = self.as_type(name, wanted)
            if half:
                self.halves.update(name for name in node.output if name in self.floats)
            self.nodes.append(node)
        for port in self.graph.output:
            self.widen_output(port.name)
        used = {name for node in self.nodes for name in node.input}
        kept = [t for t in self.constants.values() if t.name in used]
        nodes = list(self.nodes)
        del self.graph.node[:], self.graph.initializer[:], self.graph.value_info[:]
        self.graph.node.extend(nodes)
        self.graph.initializer.extend(kept)

    def as_type(self, name: str, half: bool) -> str:
        """The name of this value in float16, or float32; a cast is added the first time."""
        if (name in self.halves) == half:
            return name
        key = (name, half)
        if key not in self.made:
            self.made[key] = other = f"{name}.{'half' if half else 'float'}"
            if name in self.constants:
                values = self.onnx.numpy_helper.to_array(self.constants[name])
                self.constants[other] = self.onnx.numpy_helper.from_array(to_half(values), other)
            else:
                self.nodes.append(self.cast(name, other, half))
        return self.made[key]

    def widen_output(self, name: str) -> None:
        """Give a port its float32 back."""
        if name not in self.halves:
            return
        inner = name + ".half"
        for node in self.nodes:
            for names in (node.input, node.output):
                for at, found in enumerate(names):
                    if found == name:
                        names[at] = inner
        self.nodes.append(self.cast(inner, name, half=False))

    def cast(self, name: str, other: str, half: bool) -> NodeProto:
        """A Cast node."""
        kind = self.onnx.TensorProto.FLOAT16 if half else self.onnx.TensorProto.FLOAT
        return self.onnx.helper.make_node("Cast", [name], [other], name=f"{other}.cast", to=kind)


def to_half(values: np.ndarray) -> np.ndarray:
    """Rounded to float16; beyond its range cut to its largest value, never infinite."""
    return np.clip(values, -LARGEST, LARGEST).astype(np.float16)
